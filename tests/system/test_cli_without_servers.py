"""What the command says and how it ends when no server is involved yet."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.cli_home import until

MAILSYNC = [sys.executable, "-m", "mailsync.cli.main"]
SECRET = "hunter2-the-secret"


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "MAILSYNC_"))
    }
    return {**kept, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2]), **more}


def run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAILSYNC, *arguments],
        cwd=home,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mailsync.yaml"
    path.write_text(
        "archive: {root: mail}\naccounts:\n\n  home: {protocol: imap, host: 127.0.0.1, port: 9,"
        f" security: none, username: u, password: {SECRET}}}\n  old: {{protocol: pop3, host:"
        " 127.0.0.1, port: 9, security: none, username: u, password: {env: NOT_SET}}\n"
    )
    return path


def test_every_mistake_of_a_configuration_is_listed_with_its_line_and_the_exit_code_is_2(
    tmp_path: Path,
) -> None:
    (tmp_path / "mailsync.yaml").write_text(
        f"archive: {{rot: x}}\naccounts:\n  a:\n    protocol: imap\n    pasword: {SECRET}\n   "
        " host: h\n"
    )
    done = run(tmp_path, "status")
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        str(tmp_path / f"mailsync.yaml:{n}") for n in (1, 1, 3, 5)
    ]
    assert "did you mean `password`?" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_program_gets_the_mistakes_as_json_too(tmp_path: Path) -> None:
    (tmp_path / "mailsync.yaml").write_text(
        "archive: {root: x}\naccounts: {a: {protocol: imap, host: h, username: u, prot: 1}}\n"
    )
    done = run(tmp_path, "pull", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["exit_code"], answer["complete"], answer["version"]) == (
        2,
        2,
        False,
        2,
    )
    assert answer["problems"][0]["where"].endswith("mailsync.yaml:2")


def test_without_a_configuration_it_is_told_where_one_was_looked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "pull")
    assert done.returncode == 2
    assert str(tmp_path / ".config/mailsync/mailsync.yaml") in done.stderr


def test_the_configuration_may_be_named_by_option_or_environment(
    tmp_path: Path, config: Path
) -> None:
    elsewhere = config.rename(tmp_path / "other.yaml")
    done = run(tmp_path, "--config", str(elsewhere), "status")
    assert (done.returncode, "no archive at" in done.stderr) == (10, True)
    assert run(tmp_path, "status", MAILSYNC_CONFIG=str(elsewhere)).returncode == 10


def test_an_account_that_is_only_sent_to_is_left_out_unless_it_is_named(
    tmp_path: Path, config: Path
) -> None:
    text = config.read_text()
    config.write_text(text.replace("home: {", "home: {backup: false, "))
    everything, named = run(tmp_path, "status", "--json"), run(tmp_path, "status", "home", "--json")
    assert [account["account"] for account in json.loads(everything.stdout)["accounts"]] == ["old"]
    assert [account["account"] for account in json.loads(named.stdout)["accounts"]] == ["home"]


def test_an_unknown_account_is_answered_with_those_there_are(tmp_path: Path, config: Path) -> None:
    done = run(tmp_path, "pull", "hime")
    assert done.returncode == 2
    assert f"there is no account 'hime' in {config}; there is: home, old" in done.stderr


@pytest.mark.parametrize("asked", [(), ("--max-age", "26h")])
def test_status_of_an_account_that_was_never_pulled_says_that_there_is_no_archive(
    tmp_path: Path, config: Path, asked: tuple[str, ...]
) -> None:
    assert config.exists()
    plain, quiet = run(tmp_path, "status", *asked), run(tmp_path, "-q", "status", *asked)
    assert "never" in plain.stdout
    for done in (plain, quiet):
        assert done.returncode == 10
        assert f"home: there is no archive at {tmp_path / 'mail/home'}" in done.stderr
    answer = json.loads(run(tmp_path, "status", *asked, "--json").stdout)
    assert [account["exit_code"] for account in answer["accounts"]] == [10, 10]
    assert [account["stale"] for account in answer["accounts"]] == [bool(asked)] * 2


def test_a_damaged_archive_is_told_beside_the_state_of_the_others(
    tmp_path: Path, config: Path
) -> None:
    assert config.exists()
    (tmp_path / "mail/home").mkdir(parents=True)
    (tmp_path / "mail/home/catalogue.sqlite3").write_bytes(b"rubbish" * 1000)
    done = run(tmp_path, "status")
    assert done.returncode == 13
    assert "never (no archive yet)" in done.stdout
    assert "mailsync reindex" in done.stderr


@pytest.mark.parametrize(
    "command", [["list", "home"], ["show", "home", "abcd"], ["verify", "home"]]
)
def test_reading_an_archive_that_is_not_there_ends_with_10_and_makes_none(
    tmp_path: Path, config: Path, command: list[str]
) -> None:
    assert config.exists()
    done = run(tmp_path, *command)
    assert done.returncode == 10
    assert str(tmp_path / "mail" / "home") in done.stderr
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["migrate", f"pop3s://alice:{SECRET}@old.example", "imaps://alice@new.example"],
        ["pull", f"imaps://alice:{SECRET}@new.example"],
        ["list", f"imap://alice:{SECRET}@new.example"],
    ],
)
def test_a_password_in_a_url_is_refused_with_an_explanation_and_not_repeated(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "a password inside a URL would be seen by everybody" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_an_address_without_its_scheme_is_answered_with_the_urls_it_may_mean(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, "pull", "alice@mail.example.org")
    assert done.returncode == 2
    assert "imaps://alice@mail.example.org or pop3s://alice@mail.example.org" in done.stderr


def test_a_destination_must_be_imap(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", "pop3s://alice@old.example", "pop3s://alice@new.example")
    assert done.returncode == 2
    assert "a destination must be IMAP" in done.stderr


def test_without_a_terminal_no_password_is_asked_for(tmp_path: Path) -> None:
    done = run(tmp_path, "pull", "imap://alice@127.0.0.1:9")
    assert done.returncode == 2
    assert "no password for imap://alice@127.0.0.1:9, and no terminal to ask on" in done.stderr
    assert not (tmp_path / "mailsync-archive").exists()


def test_a_failing_password_command_is_told_with_its_own_words(tmp_path: Path) -> None:
    vault = shlex.join(
        [sys.executable, "-c", f"import sys; print({SECRET!r}); sys.exit('the vault is locked')"]
    )
    done = run(tmp_path, "pull", "imap://alice@127.0.0.1:9", "--source-password-command", vault)
    assert done.returncode == 2
    assert "the vault is locked" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_password_in_plain_text_is_warned_of_once_and_never_shown(
    tmp_path: Path, config: Path
) -> None:
    assert config.exists()
    done = run(tmp_path, "--debug", "pull", "home")
    assert done.stderr.count("stands in the configuration as plain text") == 1
    assert SECRET not in done.stderr + done.stdout


def test_a_closed_port_is_told_in_words_and_one_account_does_not_stop_the_others(
    tmp_path: Path, config: Path
) -> None:
    assert config.exists()
    done = run(tmp_path, "pull", "--json", NOT_SET="x")
    answer = json.loads(done.stdout)
    assert [report["account"] for report in answer["reports"]] == ["home", "old"]
    assert all("refuses connections" in report["error"] for report in answer["reports"])
    assert done.returncode == 1


def test_accounts_that_fail_differently_end_with_3(tmp_path: Path, config: Path) -> None:
    assert config.exists()
    done = run(tmp_path, "pull", "--json")
    assert [report["exit_code"] for report in json.loads(done.stdout)["reports"]] == [1, 2]
    assert done.returncode == 3


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130_and_says_that_nothing_is_lost(
    tmp_path: Path, which: signal.Signals
) -> None:
    # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
    before = signal.signal(which, signal.default_int_handler)
    started = tmp_path / "started"
    program = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    slow = shlex.join([sys.executable, "-c", program])
    process = subprocess.Popen(
        [*MAILSYNC, "pull", "imap://alice@127.0.0.1:9", "--source-password-command", slow],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(which, before)
    until(started.exists)
    process.send_signal(which)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130
    assert (
        said
        == "\nmailsync: interrupted; nothing is lost: run the same command again and it goes on"
        " from here\n"
    )


def test_a_reader_that_goes_away_is_no_error_to_speak_of(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MAILSYNC, "config", "schema"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_schema_is_printed_as_json(tmp_path: Path) -> None:
    done = run(tmp_path, "config", "schema")
    assert done.returncode == 0
    assert json.loads(done.stdout)["title"] == "mailsync configuration"
