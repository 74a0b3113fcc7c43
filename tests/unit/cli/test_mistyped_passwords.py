"""A password that somebody wrote where none belongs, on the command line or in the configuration,
is not repeated.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.cli.main import run
from mailsync.cli.session import Session
from mailsync.config.file import load
from mailsync.errors import ConfigError
from mailsync.formats.redaction import password_in, without_password

SECRET = "hunter2/@:x"
ADDRESSES = [
    f"alice:{SECRET}@mx.example",
    f"imaps:/alice:{SECRET}@mx.example",
    f"imaps:alice:{SECRET}@mx.example",
    f"imaps//alice:{SECRET}@mx.example",
    f"imaps://alice:{SECRET}@mx.example",
    f"imasp://alice:{SECRET}@mx.example:993",
    f"imaps:///alice:{SECRET}@mx.example",
    f":{SECRET}@mx.example",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "command",
    [
        ["pull"],
        ["pull", "--json"],
        ["--debug", "check"],
        ["migrate"],
        ["status"],
        [],
        ["--nothing"],
    ],
)
def test_no_error_repeats_a_password_of_the_command_line(
    address: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mailsync.yaml"
    config.write_text("archive: {root: m}\naccounts: {a: {protocol: imap, host: h, username: u}}\n")
    options = ["--config", str(config)] if command else []
    assert run([*options, *command, address], Session(environ={})) != 0
    shown = capsys.readouterr()
    assert shown.err
    assert "hunter2" not in shown.err + shown.out


@pytest.mark.parametrize("value", [*ADDRESSES, "hunter2"])
@pytest.mark.parametrize(
    "lines",
    [
        "'{}'",
        "archive: '{}'\naccounts: '{}'",
        "archive: {{root: m}}\naccounts: ['{}']",
        "archive: {{root: m}}\naccounts:\n  home: '{}'",
        "archive: {{root: m}}\naccounts:\n  home:\n    '{}'\n    protocol: imap",
        "archive: {{root: m}}\naccounts: {{a: {{protocol: '{}', host: h, username: u}}}}",
        "archive: {{root: m}}\naccounts: {{a: {{protocol: imap, host: h, password: ['{}']}}}}",
    ],
)
def test_no_mistake_in_a_configuration_quotes_what_may_be_a_password(
    lines: str, value: str, tmp_path: Path
) -> None:
    if "protocol: '{}'" in lines and value == "hunter2":
        return  # a word where one of two words belongs is quoted
    config = tmp_path / "mailsync.yaml"
    config.write_text(lines.replace("{}", value).replace("{{", "{").replace("}}", "}"))
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_in_an_accounts_name_is_not_repeated_either(
    address: str, tmp_path: Path
) -> None:
    config = tmp_path / "mailsync.yaml"
    config.write_text(
        f"archive: {{root: m}}\naccounts:\n  '{address}': {{protocol: x}}\n  '{address}': 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert "hunter2" not in str(caught.value)


@given(st.text(), st.text(min_size=1), st.text())
def test_a_password_between_colon_and_at_sign_is_found_whole(
    user: str, secret: str, host: str
) -> None:
    user, host = user.replace(":", ""), host.replace("@", "")
    address = f"imaps://{user}:{secret}@{host}"
    assert password_in(address).endswith(secret)
    assert without_password(address).endswith(f":***@{host}")


@pytest.mark.parametrize("address", ["imaps://alice@mx.example:993", "alice@mx.example", "home"])
def test_an_address_without_a_password_stays_as_it_is(address: str) -> None:
    assert without_password(address) == address
    assert not password_in(address)
