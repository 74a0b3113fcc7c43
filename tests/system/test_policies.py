"""Limits and the deletion of messages from a POP3 server: nothing by default, nothing too early,
nothing unproven.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Conversation, Scripted
from tests.system.cli_home import Home, arrived, filled, imap, pop3


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def age(home: Home, days: int) -> None:
    """Let the archive have held everything for so many days."""
    with sqlite3.connect(home.directory / "mail" / "a" / "catalogue.sqlite3") as catalogue:
        catalogue.execute("UPDATE runs SET started = started - ?", (days * 86400,))


def total(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(done.stdout)["reports"][0]["total"]
    return found


def test_messages_leave_a_pop3_server_only_after_the_archive_held_them_long_enough(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot, 5)
    home.configure(a=pop3(dovecot, user) + ", keep: {delete_after: 14d}")
    home.well("pull")
    age(home, 13)
    home.well("pull")
    assert len(arrived(dovecot, user)) == 5
    age(home, 2)
    dovecot.deliver(user, "INBOX", plain(99))

    assert total(home.run("pull", "--json"))["removed"] == 5

    assert arrived(dovecot, user) == [plain(99)]
    assert len(home.archived("a")) == 6
    home.well("verify")


def test_nothing_is_deleted_by_default_nor_in_a_rehearsal(dovecot: Dovecot, home: Home) -> None:
    user = filled(dovecot, 3)
    with Cutter(dovecot.pop3_port) as line:
        settings = (
            f"protocol: pop3, host: 127.0.0.1, port: {line.port}, security: none, username: {user},"
            " password: {env: PASSWORD}"
        )
        home.configure(a=settings)
        home.well("pull")
        age(home, 1000)
        home.well("pull")
        home.configure(a=settings + ", keep: {delete_after: 1d}")
        assert "up to 3 messages" in home.well("pull", "--dry-run")
        assert b"DELE" not in line.said_by_client
    assert len(arrived(dovecot, user)) == 3


def test_a_message_whose_file_rotted_is_not_deleted_on_the_server(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot, 3)
    home.configure(a=pop3(dovecot, user) + ", keep: {delete_after: 1d}")
    home.well("pull")
    age(home, 5)
    victim = next((home.directory / "mail" / "a" / "mail" / "cur").glob("*.mailsync,*"))
    victim.write_bytes(victim.read_bytes().replace(b"e", b"3"))

    home.run("pull")

    assert len(arrived(dovecot, user)) == 1
    home.well("pull")
    home.well("verify")
    assert len(home.archived("a")) == 3


HEADER = b"Subject: one\r\nMessage-ID: <1@example.org>\r\nDate: Tue, 3 Jun 2014 10:11:12 +0200\r\n"
MESSAGE = HEADER + b"\r\nbody\r\n"


def made_up(header: bytes, size: int) -> Callable[[Conversation], None]:
    """A POP3 server that announces `size` for MESSAGE and, asked for the header alone, shows
    `header`.
    """

    def dialogue(talk: Conversation) -> None:
        talk.line("+OK hello")
        while True:
            word = talk.readline().split()
            if word[0] == b"CAPA":
                talk.line("+OK", "USER", "UIDL", "TOP", ".")
            elif word[0] == b"UIDL":
                talk.line("+OK", "1 a", ".")
            elif word[0] == b"LIST":
                talk.line("+OK", f"1 {size}", ".")
            elif word[0] == b"RETR":
                talk.send(b"+OK\r\n" + MESSAGE + b".\r\n")
            elif word[0] == b"TOP":
                talk.send(b"+OK\r\n" + header + b"\r\n.\r\n")
            else:
                talk.line("+OK")

    return dialogue


@pytest.mark.parametrize(
    ("header", "size", "deleted"),
    [
        (HEADER, len(MESSAGE), True),
        (HEADER, len(MESSAGE) - 2, True),
        (b"Subject: another\r\n", len(MESSAGE), True),
        (HEADER, 4000, False),
        (HEADER, len(MESSAGE) - 1, False),
    ],
)
def test_only_the_message_that_is_in_the_archive_is_deleted(
    home: Home, header: bytes, size: int, *, deleted: bool
) -> None:
    with Scripted(made_up(header, size)) as server:
        home.configure(
            a=(
                f"protocol: pop3, host: localhost, port: {server.port}, security: none, username:"
                " u, password: {env: PASSWORD}, keep: {delete_after: 1d}"
            )
        )
        home.run("pull")  # which names a size that nothing like it comes of
        age(home, 5)
        home.run("pull")
        assert (
            any(line == b"DELE 1" for talk in server.conversations for line in talk.heard)
            == deleted
        )


def test_a_daily_limit_ends_the_run_and_the_next_day_goes_on(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    for number in range(10):
        dovecot.deliver(user, "INBOX", plain(number) + b"x" * 98_000 + b"\r\n")
    home.configure(a=imap(dovecot, user, ", limits: {bytes_per_day: 350 kB}"))

    first = home.run("pull")

    assert first.returncode == 75
    assert "limit" in first.stderr
    assert len(home.archived("a")) == 3
    assert home.run("pull").returncode == 75
    assert len(home.archived("a")) == 3
    with sqlite3.connect(home.directory / "mail" / "a" / "catalogue.sqlite3") as catalogue:
        catalogue.execute("UPDATE traffic SET hour = hour - 25")
    assert home.run("pull").returncode == 75
    assert len(home.archived("a")) == 6
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    assert len(home.archived("a")) == 10


def test_a_daily_limit_of_the_destination_holds_too(dovecot: Dovecot, home: Home) -> None:
    user, other = dovecot.user(), dovecot.user()
    for number in range(6):
        dovecot.deliver(user, "INBOX", plain(number) + b"x" * 98_000 + b"\r\n")
    home.configure(
        a=imap(dovecot, user), b=imap(dovecot, other, ", limits: {bytes_per_day: 250 kB}")
    )
    home.well("pull", "a")

    done = home.run("push", "a", "b")

    assert done.returncode == 75, done.stderr
    assert len(arrived(dovecot, other)) == 2
    home.configure(a=imap(dovecot, user), b=imap(dovecot, other))
    home.well("push", "a", "b")
    assert len(arrived(dovecot, other)) == 6


def test_a_limit_a_second_slows_a_pull_down(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    for number in range(4):
        dovecot.deliver(user, "INBOX", plain(number) + b"x" * 98_000 + b"\r\n")
    home.configure(a=imap(dovecot, user, ", limits: {bytes_per_second: 200 kB}"))
    done = threading.Event()
    slow = threading.Timer(1.5, done.set)
    slow.start()
    home.well("pull")
    assert done.is_set()
