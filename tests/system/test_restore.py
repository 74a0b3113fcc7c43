"""Getting messages back: what was lost on the server, as it was on a day, chosen as people choose,
and never twice.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.messages import plain
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, imap, next_second


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def client(dovecot: Dovecot, user: str) -> IMAPClient:
    found = IMAPClient("127.0.0.1", dovecot.imap_port, ssl=False)
    found.login(user, dovecot.password)
    return found


def there(dovecot: Dovecot, user: str, mailbox: str) -> list[tuple[bytes, frozenset[bytes]]]:
    with client(dovecot, user) as look:
        if not look.folder_exists(mailbox):
            return []
        look.select_folder(mailbox, readonly=True)
        uids = look.search("ALL")
        found = look.fetch(uids, ["BODY.PEEK[]", "FLAGS"]) if uids else {}
        return sorted(
            (one[b"BODY[]"], frozenset(set(one[b"FLAGS"]) - {b"\\Recent"}))
            for one in found.values()
        )


def total(home: Home, *arguments: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(home.well(*arguments, "--json"))["reports"][0]["total"]
    return found


def now() -> str:
    """A moment that lies between two runs, whose times are whole seconds."""
    next_second()
    moment = datetime.now(UTC)
    next_second()
    return moment.isoformat()


def test_a_deleted_folder_comes_back_as_it_was_on_that_day_with_its_flags(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(6):
        dovecot.deliver(user, "Projects", plain(number), flags=["\\Seen"] if number % 2 else [])
    dovecot.deliver(user, "INBOX", plain(99))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    before = there(dovecot, user, "Projects")
    moment = now()
    with client(dovecot, user) as other:
        other.select_folder("Projects")
        other.add_flags([1, 2, 3], [b"\\Flagged"])
    home.well("pull")
    with client(dovecot, user) as other:
        other.delete_folder("Projects")
    home.well("pull")
    assert "Projects" in home.well("list", "a")

    assert (
        total(home, "restore", "a", "--mailbox", "Projects", "--as-of", moment, "--dry-run")["new"]
        == 6
    )
    assert there(dovecot, user, "Projects") == []
    assert total(home, "restore", "a", "--mailbox", "Projects", "--as-of", moment)["new"] == 6

    assert there(dovecot, user, "Projects") == before
    assert total(home, "restore", "a", "--mailbox", "Projects", "--as-of", moment)["new"] == 0
    assert there(dovecot, user, "Projects") == before


def test_what_was_restored_and_deleted_again_comes_back_again(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    for number in range(4):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    before = there(dovecot, user, "INBOX")
    for _ in range(2):
        with client(dovecot, user) as other:
            other.select_folder("INBOX")
            other.delete_messages(other.search("ALL")[:3])
            other.expunge()
        home.well("restore", "a", "--include-gone")
        assert there(dovecot, user, "INBOX") == before


def test_a_few_lost_messages_among_very_many_come_back(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    for number in range(700):
        dovecot.deliver(user, "INBOX", plain(number), internaldate=1_600_000_000 + number)
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    before = there(dovecot, user, "INBOX")
    with client(dovecot, user) as other:
        other.select_folder("INBOX")
        other.delete_messages(other.search("ALL")[-5:])
        other.expunge()

    assert total(home, "restore", "a")["new"] == 5

    assert there(dovecot, user, "INBOX") == before


def test_single_messages_are_chosen_by_date_id_and_words_of_the_header(
    dovecot: Dovecot, home: Home
) -> None:
    user, other = dovecot.user(), dovecot.user()
    for number in range(5):
        content = (
            b"Subject: =?utf-8?q?Caf=C3=A9_%d?=\r\nMessage-ID: <%d@example.org>\r\n\r\ntext\r\n"
            % (number, number)
        )
        dovecot.deliver(user, "INBOX", content, internaldate=1_700_000_000 + number * 86_400)
    home.configure(a=imap(dovecot, user), b=imap(dovecot, other))
    home.well("pull", "a")

    def would(*options: str) -> int:
        return total(home, "restore", "a", "--to", "b", "--dry-run", *options)["new"]

    assert would() == 5
    assert would("--message-id", "<3@example.org>") == 1
    assert would("--message-id", "3@example.org") == 1
    assert would("--search", "café 4") == 1
    assert would("--search", "no such word") == 0
    day = datetime.fromtimestamp(1_700_000_000 + 2 * 86_400, UTC).isoformat()
    assert would("--since", day) == 3
    assert would("--before", day) == 2


def test_messages_go_below_a_mailbox_of_their_own(dovecot: Dovecot, home: Home) -> None:
    user, other = dovecot.user(), dovecot.user()
    dovecot.deliver(user, "INBOX", plain(1))
    dovecot.deliver(user, "Projects", plain(2))
    home.configure(a=imap(dovecot, user), b=imap(dovecot, other))
    home.well("pull", "a")

    home.well("restore", "a", "--to", "b", "--into", "Restored 2026", "--map", "Projects=Work")

    assert len(there(dovecot, other, "Restored 2026/INBOX")) == 1
    assert len(there(dovecot, other, "Restored 2026/Work")) == 1
    assert there(dovecot, other, "INBOX") == []


def test_a_time_before_the_first_pull_is_told(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    dovecot.deliver(user, "INBOX", plain(1))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    done = home.run("restore", "a", "--as-of", "2001-01-01")
    assert done.returncode == 2
    assert "no complete pull of a had ended by 2001-01-01" in done.stderr


def test_what_vanished_lately_is_listed_with_its_times_and_only_that_comes_back(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(6):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    vanish(dovecot, user, [1])
    home.well("pull")
    moment = now()
    vanish(dovecot, user, [2, 3])
    home.well("pull")

    for asked in (["--gone-since", moment], ["--gone", "--since", moment]):
        listed = json.loads(home.well("list", "a", *asked, "--json"))["messages"]
        assert sorted(message["subject"] for message in listed) == [
            "Message number 1",
            "Message number 2",
        ]
        assert all(message["gone_after"] < moment < message["gone_by"] for message in listed)
    told = home.well("list", "a", "--gone-since", "1d")
    assert told.count("(gone between 20") == 3
    assert "INBOX: 3 messages" in told
    assert total(home, "restore", "a", "--gone-since", moment)["new"] == 2
    assert len(there(dovecot, user, "INBOX")) == 5
    assert "3 messages that left the server" in home.well("restore", "a", "--dry-run")


def test_a_message_that_was_merely_moved_is_not_brought_back_unless_asked_for(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(5):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    moment = now()
    with client(dovecot, user) as other:
        other.create_folder("Sorted")
        other.select_folder("INBOX")
        other.move([1, 2], "Sorted")
        other.delete_messages([3])
        other.expunge()
    home.well("pull")

    said = home.well("restore", "a", "--include-gone")

    assert "2 messages that were in here live in another mailbox now" in said
    assert [content for content, _ in there(dovecot, user, "INBOX")] == sorted(
        plain(number) for number in (2, 3, 4)
    )
    assert total(home, "restore", "a", "--include-gone", "--also-moved", "--dry-run")["new"] == 2
    # As it was on that day means all of it.
    assert total(home, "restore", "a", "--mailbox", "INBOX", "--as-of", moment)["new"] == 2
    assert len(there(dovecot, user, "INBOX")) == 5


def test_mailboxes_and_messages_are_listed_as_they_were_on_a_day(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(4):
        dovecot.deliver(user, "Old", plain(number))
    home.configure(a=imap(dovecot, user))
    early = now()
    home.well("pull")
    moment = now()
    with client(dovecot, user) as other:
        other.rename_folder("Old", "New")
    home.well("pull")

    assert [
        line.split()[:2] for line in home.well("list", "a", "--as-of", moment).splitlines()[2:]
    ] == [["Old", "4"]]
    assert home.well("list", "a", "--as-of", moment, "--mailbox", "Old").startswith(
        "Old: 4 messages"
    )
    assert (
        len(json.loads(home.well("list", "a", "--search", "number 3", "--json"))["messages"]) == 1
    )
    before_the_first = home.run("list", "a", "--as-of", early)
    assert before_the_first.returncode == 2
    assert "the first one ended 20" in before_the_first.stderr


def vanish(dovecot: Dovecot, user: str, uids: list[int]) -> None:
    with client(dovecot, user) as other:
        other.select_folder("INBOX")
        other.delete_messages(uids)
        other.expunge()
