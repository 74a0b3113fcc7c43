"""What later pulls bring over the line: counted in octets the server sent, through a proxy that
writes everything down.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from mailsync.plan import is_due
from mailsync.plan.pull import LOOKED_AT_EVERY
from tests.messages import plain
from tests.servers import pymap as pymaps
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, next_second

BODY = 40_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def line(dovecot: Dovecot) -> Iterator[Cutter]:
    with Cutter(dovecot.imap_port) as cutter:
        yield cutter


def large(number: int) -> bytes:
    return plain(number) + b"".join(
        b"%06d %s\r\n" % (number * 1000 + row, b"x" * 90) for row in range(BODY // 100)
    )


def account(
    port: int, user: str, more: str = "", protocol: str = "imap", password: str = "{env: PASSWORD}"
) -> str:
    return (
        f"protocol: {protocol}, host: 127.0.0.1, port: {port}, security: none, username: {user},"
        f" password: {password}{more}"
    )


def totals(home: Home, *arguments: str, expect: int = 0) -> dict[str, int]:
    done = home.run("pull", *arguments, "--json")
    assert done.returncode == expect, done.stderr
    found: dict[str, int] = json.loads(done.stdout)["reports"][0]["total"]
    return found


def sent(line: Cutter) -> int:
    return len(line.dialogues[-1].from_server)


def client(dovecot: Dovecot, user: str) -> IMAPClient:
    found = IMAPClient("127.0.0.1", dovecot.imap_port, ssl=False)
    found.login(user, dovecot.password)
    return found


def renumber(dovecot: Dovecot, user: str) -> None:
    """Let Dovecot forget its UIDs.

    The new UIDVALIDITY is the time in seconds, so at least one must have passed.
    """
    next_second()
    for file in dovecot.folder(user, "INBOX").glob("dovecot*"):
        file.unlink() if file.is_file() else shutil.rmtree(file)


def test_a_night_with_no_news_opens_only_the_mailboxes_whose_turn_it_is(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(30):
        dovecot.deliver(user, f"Box{number % 10}", plain(number))
    home.configure(a=account(line.port, user))
    home.well("pull")
    there = ["INBOX", "Drafts", "Sent", "Trash", "Junk", *(f"Box{number}" for number in range(10))]
    for run in range(2, 2 + LOOKED_AT_EVERY):
        assert totals(home)["new"] == 0
        due = {name.encode() for name in there if is_due((name,), run)}
        commands = line.dialogues[-1].commands
        opened = [one.split()[2].strip(b'"\r\n') for one in commands if b" EXAMINE " in one]
        assert sorted(opened) == sorted(due)
        assert len(commands) <= 7 + 3 * len(due)


def test_new_messages_changed_flags_and_deletions_are_all_a_later_pull_asks_for(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(50):
        dovecot.deliver(user, "INBOX", large(number))
    home.configure(a=account(line.port, user))
    home.well("pull")
    with client(dovecot, user) as other:
        other.select_folder("INBOX")
        other.add_flags([3, 4], [b"\\Flagged", b"work"])
        other.delete_messages([10, 11])
        other.expunge()
        other.append("INBOX", large(77))

    found = totals(home)

    assert (found["new"], found["flags"], found["gone"]) == (1, 2, 2)
    assert sent(line) < 2 * BODY
    assert len(home.archived("a")) == 51
    assert "2" in home.well("list", "a", "--gone")
    flagged = [
        path.name
        for path in (home.directory / "mail/a/mail/cur").iterdir()
        if path.name.endswith(("F", "Fa"))
    ]
    assert len(flagged) == 2


def test_no_body_crosses_the_line_twice_when_uidvalidity_changes(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(40):
        dovecot.deliver(user, "INBOX", large(number))
    home.configure(a=account(line.port, user))
    home.well("pull")
    whole = sent(line)
    renumber(dovecot, user)

    found = totals(home)

    assert (found["new"], found["matched"], found["gone"]) == (0, 40, 0)
    assert sent(line) < whole * 2 / 5
    assert len(home.archived("a")) == 40


def test_moved_and_renamed_messages_are_recognised_and_not_fetched(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(40):
        dovecot.deliver(user, "INBOX" if number % 2 else "Old name", large(number))
    home.configure(a=account(line.port, user))
    home.well("pull")
    whole = sent(line)
    with client(dovecot, user) as other:
        other.create_folder("Moved")
        other.select_folder("INBOX")
        other.move(other.search("ALL"), "Moved")
        other.rename_folder("Old name", "New name")

    found = totals(home)

    assert (found["new"], found["matched"]) == (0, 40)
    assert sent(line) < whole * 2 / 5
    # One content, two names: the place it was in and the place it is in now.
    inodes = {path.stat().st_ino for path in (home.directory / "mail/a/mail").rglob("*.mailsync,*")}
    assert len(inodes) == 40


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_after_a_lost_catalogue_and_a_reindex_a_pull_fetches_no_message_again(
    dovecot: Dovecot, home: Home, protocol: str
) -> None:
    user = dovecot.user()
    received = b"Received: from a by b with ESMTP id %d; Tue, 3 Jun 2014 10:11:12 +0200\r\n"
    for number in range(40):
        dovecot.deliver(
            user,
            "INBOX" if number % 2 or protocol == "pop3" else "Work",
            received % number + large(number),
        )
    with Cutter(dovecot.imap_port if protocol == "imap" else dovecot.pop3_port) as line:
        home.configure(a=account(line.port, user, protocol=protocol))
        home.well("pull")
        for path in (home.directory / "mail" / "a").glob("catalogue*"):
            path.unlink()

        refused = home.run("pull")
        assert refused.returncode == 13
        assert "mailsync reindex" in refused.stderr
        told = home.well("reindex", "a")
        assert "40 messages" in told
        found = totals(home)

        assert (found["new"], found["matched"]) == (0, 40)
        assert sent(line) < 40 * BODY * 2 / 5
    home.well("verify")
    counts = [
        (box["messages"], box["gone"])
        for box in json.loads(home.well("list", "a", "--json"))["mailboxes"]
        if box["messages"]
    ]
    assert counts == ([(40, 0)] if protocol == "pop3" else [(20, 0), (20, 0)])


def test_a_lost_catalogue_of_another_account_over_the_same_mail_fetches_nothing_again(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(40):
        dovecot.deliver(user, "INBOX", large(number))
    home.configure(
        pop=account(dovecot.pop3_port, user, ", archive: both", protocol="pop3"),
        imap=account(line.port, user, ", archive: both"),
    )
    home.well("pull", "pop")

    assert totals(home, "imap")["matched"] == 40

    assert sent(line) < 40 * BODY * 2 / 5


def test_a_message_that_several_mailboxes_show_under_one_id_is_fetched_once(home: Home) -> None:
    with pymaps.start() as server, Cutter(server.port) as line:
        with IMAPClient("127.0.0.1", server.port, ssl=False) as other:
            other.login(server.user, server.password)
            for name in ("Label one", "Label two"):
                other.create_folder(name)
            for number in range(5):
                other.append("INBOX", large(number))
            other.select_folder("INBOX")
            for name in ("Label one", "Label two"):
                other.copy(other.search("ALL"), name)
        home.configure(a=account(line.port, server.user, password=f"'{server.password}'"))

        found = totals(home)

        assert (found["seen"], found["new"], found["matched"]) == (15, 5, 10)
        assert sent(line) < 6 * BODY


def test_a_whole_pull_says_nothing_that_could_change_the_server(
    dovecot: Dovecot, home: Home, line: Cutter
) -> None:
    user = dovecot.user()
    for number in range(20):
        dovecot.deliver(user, "INBOX" if number % 2 else "Box", plain(number))
    home.configure(a=account(line.port, user))
    home.well("pull")
    dovecot.deliver(user, "Box", plain(50))
    home.well("pull")

    said = [command for dialogue in line.dialogues for command in dialogue.commands]

    harmless = re.compile(
        rb"m\d+ (AUTHENTICATE|ID|ENABLE|NAMESPACE|LIST|EXAMINE|UID FETCH|UID"
        rb" SEARCH|STATUS|LOGOUT|CAPABILITY|CLOSE|NOOP)\b",
        re.IGNORECASE,
    )
    assert said
    assert all(harmless.match(command) for command in said), said
    assert not any(re.search(rb"BODY\[|RFC822(?!\.SIZE)", command) for command in said)


def test_messages_without_uidl_are_told_by_size_and_header_and_not_fetched_again(
    dovecot: Dovecot, home: Home
) -> None:
    """Dovecot's UIDLs change when its index is lost, as those of some servers do every session."""
    user = dovecot.user()
    delivered = b"Received: from a by b with ESMTP id %d; Tue, 3 Jun 2014 10:11:12 +0200\r\n"
    for number in range(30):
        dovecot.deliver(user, "INBOX", delivered % number + large(number))
    with Cutter(dovecot.pop3_port) as line:
        home.configure(a=account(line.port, user, protocol="pop3"))
        home.well("pull")
        whole = sent(line)
        renumber(dovecot, user)

        found = totals(home)

        assert (found["new"], found["matched"]) == (0, 30)
        assert sent(line) < whole * 2 / 5
        assert not [
            command for command in line.dialogues[-1].commands if command.startswith(b"RETR")
        ]
