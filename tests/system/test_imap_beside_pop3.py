"""An office that moves from POP3, whose login works over IMAP too."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.dovecot import Dovecot
from tests.servers.forwarded import forwarded
from tests.servers.pop3 import Pop3
from tests.system.cli_home import Home, filled, imap
from tests.system.terminal import typed

PASSWORDS = ("--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dovecot: Dovecot) -> Home:
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca_file))
    return Home(tmp_path)


@contextmanager
def office(dovecot: Dovecot) -> Iterator[tuple[str, str, str]]:
    """Bring the URLs of an old mailbox by POP3 and by IMAP, with folders, and of a new one."""
    user, new = filled(dovecot), dovecot.user()
    for number in range(3):
        dovecot.deliver(user, "Projects/2024", plain(100 + number), flags=["\\Seen"])
    # As on the standard ports: IMAP two below POP3.
    with forwarded((0, dovecot.imaps_port), (2, dovecot.pop3s_port)) as port:
        yield (
            f"pop3s://{user}@localhost:{port + 2}",
            f"imaps://{user}@localhost:{port}",
            f"imap://{new}@localhost:{dovecot.imap_port}",
        )


def test_a_migration_by_pop3_tells_what_the_same_login_shows_over_imap(
    dovecot: Dovecot, home: Home
) -> None:
    with office(dovecot) as (by_pop3, by_imap, new):
        for rehearse in ((), ("--dry-run",)):
            said = " ".join(home.well("migrate", by_pop3, new, *PASSWORDS, *rehearse).split())
            assert "over IMAP the same login shows 6 mailboxes with 8 messages" in said
            assert "while POP3 shows the 5 messages of the inbox alone" in said
            assert f"use {by_imap} instead" in said


def test_a_person_who_says_yes_moves_all_of_it_by_imap(dovecot: Dovecot, home: Home) -> None:
    with office(dovecot) as (by_pop3, by_imap, new):
        screen = typed(home, "migrate", by_pop3, new, answers=("secret", "secret", "y"))
        assert screen.code == 0
        assert "shows 6 mailboxes with 8 messages, and what was read" in screen
        assert "Move all of it, by IMAP" in screen
        assert "proved: 8 messages" in screen
        assert f"{by_imap} → {new}: complete" in screen
        again = typed(home, "migrate", by_imap, new, "--archive", _archive(home), *PASSWORDS)
        assert (again.code, "nothing new" in again) == (0, True)
        # From the shell's history, or from cron: what POP3 does not know changes nothing there.
        home.well("migrate", by_pop3, new, *PASSWORDS)
    read = [file.name.rpartition(",")[2] for file in _new(dovecot, new, "Projects/2024")]
    assert ["S" in flags for flags in read] == [True] * 3
    unread = [file.name.rpartition(",")[2] for file in _new(dovecot, new, "INBOX")]
    assert ["S" in flags for flags in unread] == [False] * 5


def test_who_moved_by_imap_and_asks_by_pop3_is_told_what_to_write(
    dovecot: Dovecot, home: Home
) -> None:
    with office(dovecot) as (by_pop3, _, new):
        assert typed(home, "migrate", by_pop3, new, answers=("secret", "secret", "y")).code == 0
        for command in ("list", "status"):
            done = home.run(command, by_pop3)
            assert done.returncode == 10
            assert "came by IMAP: write `" in done.stderr
            assert "no archive yet" not in done.stdout
            written = done.stderr.partition("write `")[2].partition("`")[0]
            assert "Projects" in home.well("list", *shlex.split(written))


def test_a_person_who_says_no_moves_the_inbox_and_is_not_asked_again(
    dovecot: Dovecot, home: Home
) -> None:
    with office(dovecot) as (by_pop3, _, new):
        first = typed(home, "migrate", by_pop3, new, answers=("secret", "secret", "n"))
        assert (first.code, "proved: 5 messages" in first) == (0, True)
        again = typed(home, "migrate", by_pop3, new, *PASSWORDS, answers=("y",))
        assert (again.code, "Move all of it" in again) == (0, False)
        assert "this is not all that the account holds" in again


def test_mail_that_came_by_pop3_is_not_fetched_again_by_imap(dovecot: Dovecot, home: Home) -> None:
    user = filled(dovecot)
    with forwarded((0, dovecot.imaps_port), (2, dovecot.pop3s_port)) as port:
        by_pop3 = (
            f"protocol: pop3, host: localhost, port: {port + 2}, username: {user}, password:"
            " {env: PASSWORD}"
        )
        home.configure(
            old=by_pop3 + ", archive: shared", new=imap(dovecot, user, ", archive: shared")
        )
        said = home.well("pull", "old")
        assert "this is not all that the account holds" in said
        assert "this is not all" not in home.well("pull", "old")
    home.well("pull", "new")
    with sqlite3.connect(home.directory / "mail/shared/catalogue.sqlite3") as catalogue:
        assert catalogue.execute("SELECT count(*) FROM files").fetchone() == (5,)
    catalogue.close()


def test_where_there_is_only_pop3_it_is_said_that_it_does_not_tell_what_was_read(
    pop3_server: Callable[..., Pop3], home: Home
) -> None:
    old = pop3_server([plain(1)])
    where = f"pop3://demo@{old.host}:{old.port}"
    said = home.well("pull", where, "--password-env", "PASSWORD")
    assert "POP3 does not tell what was read: every message is marked as read" in said
    assert "Whether the login works over IMAP too was not tried" in " ".join(said.split())


def test_a_message_without_a_date_is_named_with_the_one_it_gets(
    pop3_server: Callable[..., Pop3], home: Home
) -> None:
    undated = b"From: a@example.org\r\nSubject: When?\r\nMessage-ID: <w@example.org>\r\n\r\nNow\r\n"
    old = pop3_server([plain(1), undated])
    where = f"pop3://demo@{old.host}:{old.port}"
    said = " ".join(home.well("pull", where, "--password-env", "PASSWORD").split())
    assert said.count("bears no date that can be true: it is kept under the day of this run") == 1


def _archive(home: Home) -> str:
    (archive,) = (home.directory / "mailsync-archive").iterdir()
    return str(archive)


def _new(dovecot: Dovecot, url: str, mailbox: str) -> list[Path]:
    user = url.partition("://")[2].partition("@")[0]
    place = dovecot.folder(user, mailbox)
    return [file for part in ("cur", "new") for file in (place / part).iterdir()]
