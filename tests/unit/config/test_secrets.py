from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from mailsync.config import secrets
from mailsync.config.secrets import (
    FromCommand,
    FromCredential,
    FromEnvironment,
    FromFile,
    imprudence,
    reveal,
)
from mailsync.errors import ConfigError


def python(program: str) -> FromCommand:
    return FromCommand(command=shlex.join([sys.executable, "-c", program]))


def test_the_first_line_a_command_prints_is_the_password() -> None:
    assert (
        reveal(python("print(' pass wörd '); print('login: alice')"), "home", os.environ)
        == " pass wörd "
    )


def test_a_command_sees_no_shell() -> None:
    assert reveal(FromCommand(command="echo $HOME;ls"), "home", os.environ) == "$HOME;ls"


def test_a_failing_command_is_told_with_its_own_words_but_not_its_arguments() -> None:
    with pytest.raises(ConfigError) as caught:
        reveal(
            python("import sys; print('locked\\nvault', file=sys.stderr); sys.exit(7)"),
            "home",
            os.environ,
        )
    assert "exit code 7: locked vault" in str(caught.value)
    assert "sys.exit" not in str(caught.value)


def test_what_a_failing_command_printed_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        reveal(python("import sys; print('hunter2'); sys.exit(1)"), "home", os.environ)
    assert "hunter2" not in str(caught.value)


def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(ConfigError, match=r"did not end in 0\.2 s"):
        secrets._run(python("import time; time.sleep(60)").command, "home", os.environ, timeout=0.2)


@pytest.mark.parametrize("command", ["hunter2", "hunter2 secret", "/etc/hunter2", "/"])
def test_a_command_that_is_not_there_is_told_without_its_name(command: str) -> None:
    with pytest.raises(ConfigError, match=r"of home cannot be run: there is no such") as caught:
        reveal(FromCommand(command=command), "home", os.environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("program", ["pass", "print()", "print('\\nsecond')"])
def test_a_command_that_gives_nothing_is_told(program: str) -> None:
    with pytest.raises(ConfigError, match="gave nothing"):
        reveal(python(program), "home", os.environ)


def test_a_password_that_is_not_text_is_told_but_not_shown() -> None:
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        reveal(python("import sys; sys.stdout.buffer.write(b'hunter\\xff2')"), "home", os.environ)
    assert "hunter" not in str(caught.value)


def test_an_environment_variable_gives_the_password() -> None:
    assert reveal(FromEnvironment(env="X"), "home", {"X": "secret"}) == "secret"


@pytest.mark.parametrize("environ", [{}, {"X": ""}])
def test_a_variable_that_is_not_set_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="variable X, which is not set"):
        reveal(FromEnvironment(env="X"), "home", environ)


def test_the_first_line_of_a_file_is_the_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"secret\r\nmore\n")
    assert reveal(FromFile(file=path), "home", {}) == "secret"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path / "nowhere")):
        reveal(FromFile(file=tmp_path / "nowhere"), "home", {})


def test_a_file_everybody_can_read_is_careless(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(0o644)
    assert "chmod 600" in str(imprudence(FromFile(file=path), "home"))
    path.chmod(0o600)
    assert imprudence(FromFile(file=path), "home") is None


def test_a_password_in_the_configuration_is_careless_and_not_shown() -> None:
    said = str(imprudence(SecretStr("hunter2"), "home"))
    assert "plain text" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("password", ["a\nb", "a\rb", "a\0b"])
def test_a_password_that_would_end_a_protocol_line_is_refused_unseen(password: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reveal(SecretStr(password), "home", {})
    assert repr(password)[1:-1] not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r\nSecond line\r\n"])
def test_a_byte_order_mark_and_a_line_end_are_no_part_of_the_password(
    tmp_path: Path, encoding: str, end: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"pässwörd Ċ{end}".encode(encoding))
    assert reveal(FromFile(file=file), "home", {}) == "pässwörd Ċ"


def test_a_password_file_in_latin_1_is_said_to_be_one_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("pässwörd\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"Latin-1.* save it as UTF-8") as caught:
        reveal(FromFile(file=file), "home", {})
    assert "ssw" not in str(caught.value).replace("password", "")


def test_a_credential_is_read_from_the_directory_the_service_manager_names(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("pass wörd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert reveal(FromCredential(credential="home"), "home", environ) == "pass wörd"


def test_a_credential_outside_a_service_is_told() -> None:
    with pytest.raises(ConfigError, match="LoadCredential=home:FILE"):
        reveal(FromCredential(credential="home"), "home", {})


def test_a_credential_that_was_not_handed_over_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: .*/home: No such file"):
        reveal(FromCredential(credential="home"), "home", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("name", ["", ".", "..", "../home", "a/b"])
def test_a_credential_is_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError, match="plain name of a credential"):
        FromCredential(credential=name)
