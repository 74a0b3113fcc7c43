"""What people stumble over first: certificates, passwords, how options are called."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from mailsync.cli import main
from mailsync.cli.session import Session
from tests.messages import plain
from tests.servers import dovecot as dovecots
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, filled
from tests.system.terminal import typed

PASSWORD = ("--password-env", "PASSWORD")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="module")
def of_another_name() -> Iterator[Dovecot]:
    with dovecots.start(certificate="wrong_name") as server:
        yield server


@pytest.fixture(scope="module")
def of_nobody() -> Iterator[Dovecot]:
    """Its certificate is signed by a CA that nobody has."""
    with dovecots.start(certificate="untrusted") as server:
        yield server


def url(server: Dovecot, user: str, scheme: str = "imaps") -> str:
    port = {"imaps": server.imaps_port, "pop3s": server.pop3s_port, "imap": server.imap_port}
    return f"{scheme}://{user}@localhost:{port[scheme]}"


# certificates


def test_a_certificate_of_another_name_tells_it_and_is_trusted_under_it(
    of_another_name: Dovecot, dovecot: Dovecot, home: Home
) -> None:
    user, new = filled(of_another_name), dovecot.user()
    old = url(of_another_name, user, "pop3s")
    ca = str(of_another_name.ca_file)
    done = home.run("check", old, *PASSWORD, "--ca-file", ca)
    assert done.returncode == 14
    assert "is for 'mail.example.org', not for 'localhost' (nothing was sent)" in done.stderr
    home.well("check", old, *PASSWORD, "--ca-file", ca, "--tls-name", "mail.example.org")
    said = home.well(
        *("migrate", old, url(dovecot, new)),
        *("--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"),
        *("--source-ca-file", ca, "--source-tls-name", "mail.example.org"),
        *("--destination-ca-file", str(dovecot.ca_file)),
    )
    assert "proved: 5 messages" in said


def test_a_certificate_that_nobody_signed_is_kept_once_its_fingerprint_is_confirmed(
    of_nobody: Dovecot, of_another_name: Dovecot, home: Home
) -> None:
    user = filled(of_nobody)
    where, file = url(of_nobody, user), home.directory / "server.pem"
    shown = home.run("certificate", where)
    assert shown.returncode == 14
    assert "localhost, 127.0.0.1" in shown.stdout
    assert "not trusted: it is signed by nobody this machine trusts" in shown.stderr
    told = json.loads(home.run("certificate", where, "--json").stdout)["certificate"]
    fingerprint = told["fingerprint"]

    keep = ("certificate", where, "--save", str(file))
    unasked = home.run(*keep)
    assert (unasked.returncode, file.exists()) == (2, False)
    assert "nobody can be asked here" in unasked.stderr
    wrong = home.run(*keep, "--fingerprint", "AA" + fingerprint[2:])
    assert (wrong.returncode, file.exists()) == (2, False)
    part = home.run(*keep, "--fingerprint", fingerprint[-11:])
    assert (part.returncode, file.exists()) == (2, False)
    assert "it is trusted with" in home.well(*keep, "--fingerprint", fingerprint.lower())
    assert home.run("pull", where, *PASSWORD).returncode == 14
    home.well("pull", where, *PASSWORD, "--ca-file", str(file))
    other = home.run("pull", url(of_another_name, "u"), *PASSWORD, "--ca-file", str(file))
    assert other.returncode == 14


def test_a_person_types_the_end_of_a_fingerprint_back(of_another_name: Dovecot, home: Home) -> None:
    where, file = url(of_another_name, "u"), home.directory / "server.pem"
    told = json.loads(home.run("certificate", where, "--json").stdout)["certificate"]
    end = told["fingerprint"][-11:]
    keep = ("certificate", where, "--save", str(file))
    refused = typed(home, *keep, answers=("00:00:00:00",))
    assert (refused.code, file.exists()) == (2, False)
    kept = typed(home, *keep, answers=(end,))
    assert (kept.code, "--ca-file" in kept, "--tls-name mail.example.org" in kept) == (
        0,
        True,
        True,
    )


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_certificate_is_shown_by_a_server_that_is_asked_for_encryption_first(
    dovecot: Dovecot, home: Home, protocol: str
) -> None:
    port = {"imap": dovecot.imap_port, "pop3": dovecot.pop3_port}[protocol]
    where = f"protocol: {protocol}, host: localhost, port: {port}, security: starttls"
    home.configure(
        known=f"{where}, username: u, ca_file: {dovecot.ca_file}", unknown=f"{where}, username: u"
    )
    assert "trusted: the CA file you named vouches for it" in home.well("certificate", "known")
    told = json.loads(home.run("certificate", "unknown", "--json").stdout)
    assert (told["exit_code"], told["certificate"]["names"]) == (14, ["localhost", "127.0.0.1"])


def test_a_missing_file_that_the_environment_names_is_named(
    of_nobody: Dovecot, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    done = home.run("check", url(of_nobody, "u"), *PASSWORD)
    assert done.returncode == 14
    assert "SSL_CERT_FILE in the environment names /nowhere/ca.pem, and there is no" in done.stderr


# passwords


def test_a_wrong_password_is_asked_for_again_and_three_times_at_most(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot)
    with Cutter(dovecot.imap_port) as line:
        where = f"imap://{user}@localhost:{line.port}"
        right = typed(home, "check", where, answers=("wrong", "secret"))
        assert (right.code, f"Password for {where}:" in right) == (0, True)
        assert "logged in at" in right
        before = line.said_by_client.count(b"AUTHENTICATE")
        wrong = typed(home, "check", where, answers=("wrong",) * 5)
        assert (wrong.code, wrong.text.count("Password for")) == (12, 3)
        assert line.said_by_client.count(b"AUTHENTICATE") - before == 3


def test_all_passwords_are_asked_for_before_the_first_account_is_pulled(
    dovecot: Dovecot, home: Home
) -> None:
    def account() -> str:
        where = f"host: {dovecot.host}, port: {dovecot.imap_port}, security: none"
        return f"protocol: imap, {where}, username: {filled(dovecot)}"

    home.configure(a=account(), b=account())
    screen = typed(home, "pull", answers=("secret", *("wrong",) * 3))
    assert screen.code == 3
    assert "a: complete: 5 messages" in screen
    assert screen.text.rindex("Password for b") < screen.text.index("a: complete")
    assert "b: 127.0.0.1" in screen
    assert screen.text.count("Password for a") == 1


def test_no_password_is_asked_for_before_both_servers_were_reached(
    dovecot: Dovecot, of_nobody: Dovecot, home: Home
) -> None:
    old = url(dovecot, dovecot.user(), "imap")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    for new, code, words in (
        (f"imaps://u@localhost:{port}", 1, "refuses connections"),
        (url(of_nobody, "u"), 14, "is signed by nobody this machine trusts"),
    ):
        screen = typed(home, "migrate", old, new, answers=("secret", "secret"))
        assert (screen.code, words in screen, "Password" in screen) == (code, True, False)


def test_the_two_servers_of_a_migration_are_asked_for_as_old_and_new(
    dovecot: Dovecot, home: Home
) -> None:
    user, new = filled(dovecot), dovecot.user()
    source, destination = url(dovecot, user, "imap"), url(dovecot, new, "imap")
    screen = typed(home, "migrate", source, destination, answers=("secret", "secret"))
    assert screen.code == 0
    assert f"Password for {source} (old):" in screen
    assert f"Password for {destination} (new):" in screen
    assert f"{source} → {destination}: complete: sent 5 messages" in screen


# names and options


def test_an_account_is_called_as_it_was_typed_and_found_by_that_again(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot)
    where = url(dovecot, user, "pop3s")
    said = home.well("pull", where, *PASSWORD, "--ca-file", str(dovecot.ca_file))
    name = said.splitlines()[-1].partition(": complete")[0]
    assert name == where
    assert "INBOX" in home.well("list", name)
    assert f"{where} " in home.well("status", name)


@pytest.mark.parametrize("option", ["--password-env", "--source-password-env"])
@pytest.mark.parametrize("command", ["check", "pull", "verify"])
def test_a_password_is_given_by_one_name_to_every_command(
    dovecot: Dovecot, home: Home, option: str, command: str
) -> None:
    where = url(dovecot, filled(dovecot), "imap")
    home.well("pull", where, *PASSWORD)
    remote = ("--remote",) if command == "verify" else ()
    home.well(command, where, *remote, option, "PASSWORD")
    assert "--source-password" not in home.well(command, "--help")


@pytest.mark.parametrize("option", ["--password-env", "--destination-password-env"])
def test_what_is_sent_to_takes_its_password_by_either_name(
    dovecot: Dovecot, home: Home, option: str
) -> None:
    where, there = (url(dovecot, user, "imap") for user in (filled(dovecot), dovecot.user()))
    home.well("pull", where, *PASSWORD)
    home.well("push", where, there, option, "PASSWORD")
    home.well("restore", where, "--to", there, option, "PASSWORD")


# a network that is cut


def test_a_migration_whose_source_is_lost_does_not_end_with_the_word_complete(
    dovecot: Dovecot, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    user = dovecot.user()
    for number in range(60):
        dovecot.deliver(user, "INBOX", plain(number) + b"x" * 20_000)
    with (
        Cutter(dovecot.imap_port) as line,
        patch("mailsync.stores.retry.backoff", return_value=0.0),
    ):
        line.cuts = [Cut(400_000), *(Cut(1, connection=number) for number in range(2, 30))]
        source, new = f"imap://{user}@localhost:{line.port}", url(dovecot, dovecot.user(), "imap")
        where = ("--archive", str(home.directory / "archive"))
        passwords = ("--source-password-env", "P", "--destination-password-env", "P")
        code = main.run(["migrate", source, new, *where, *passwords], Session({"P": "secret"}))
    out, err = capsys.readouterr()
    assert code == 75
    assert "complete" not in out
    last = err.splitlines()[-1]
    assert last.startswith(f"{source} → {new}: incomplete")
    assert "the pull stopped early; nothing was proved" in " ".join(err.split())


# several accounts


def test_one_missing_password_does_not_keep_the_other_accounts_from_being_compared(
    dovecot: Dovecot, home: Home
) -> None:
    def account(password: str) -> str:
        user = filled(dovecot)
        dovecot.deliver(user, "INBOX", plain(77))
        where = f"host: {dovecot.host}, port: {dovecot.imap_port}, security: none"
        return f"protocol: imap, {where}, username: {user}, password: {password}"

    home.configure(
        a=account("{env: PASSWORD}"), b=account("{env: MISSING}"), c=account("{env: PASSWORD}")
    )
    assert home.run("pull").returncode == 3
    done = home.run("verify", "--remote")
    assert done.returncode == 3
    for name in ("a", "c"):
        assert f"{name}: complete: the archive has 6 messages of 6" in done.stdout
    assert "b: the password of b should be in the environment variable MISSING" in done.stderr
    quiet = home.run("-q", "verify")
    assert f"b: there is no archive at {home.directory / 'mail/b'}" in quiet.stderr
