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
from tests.system.cli_home import Home, filled, imap, next_second


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
    assert would("--search", "4 CAFÉ") == 1
    listed = json.loads(home.well("list", "a", "--search", "café 2", "--json"))["messages"]
    assert would("--digest", listed[0]["digest"][:12].upper()) == 1
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

    report = json.loads(home.well("list", "a", "--gone-since", moment, "--json"))
    listed, (loss,) = report["messages"], report["losses"]
    assert sorted(message["subject"] for message in listed) == [
        "Message number 1",
        "Message number 2",
    ]
    assert all(one["gone_after"] < moment < one["gone_by"] for one in [*listed, loss])
    assert (loss["mailbox"], loss["lost"], loss["moved"]) == ("INBOX", 2, [])
    told = home.well("list", "a", "--gone-since", "1d")
    assert told.count("gone between 20") == 2
    assert "INBOX: 3 messages" in told
    assert told.splitlines()[2].split()[:3] == ["INBOX", "3", "-"]
    assert total(home, "restore", "a", "--gone-since", moment)["new"] == 2
    assert len(there(dovecot, user, "INBOX")) == 5
    assert "1 message that left the server is not" in home.well("restore", "a", "--dry-run")


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

    assert "2 messages that were in here live elsewhere now, in Sorted (2)" in said
    assert [content for content, _ in there(dovecot, user, "INBOX")] == sorted(
        plain(number) for number in (2, 3, 4)
    )
    assert total(home, "restore", "a", "--include-gone", "--also-moved", "--dry-run")["new"] == 2
    as_it_was = ("--mailbox", "INBOX", "--as-of", moment)
    assert total(home, "restore", "a", *as_it_was)["new"] == 0
    assert total(home, "restore", "a", *as_it_was, "--also-moved")["new"] == 2
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
        line.split()[:2] for line in home.well("list", "a", "--as-of", moment).splitlines()[4:]
    ] == [["Old", "4"]]
    told = home.well("list", "a", "--as-of", moment, "--mailbox", "Old")
    assert told.startswith("as of the pull that ended 20")
    assert "Old: 4 messages" in told
    assert (
        len(json.loads(home.well("list", "a", "--search", "number 3", "--json"))["messages"]) == 1
    )
    before_the_first = home.run("list", "a", "--as-of", early)
    assert before_the_first.returncode == 2
    assert "the first one ended 20" in before_the_first.stderr


def test_list_and_restore_mean_the_same_messages_and_renamed_mailboxes_are_no_losses(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(4):
        dovecot.deliver(user, "Old", plain(number))
        dovecot.deliver(user, "Projects/2024", plain(10 + number))
        dovecot.deliver(user, "Projects/2024/Invoices", plain(20 + number))
    for number in (10, 11):  # copies, which were there before
        dovecot.deliver(user, "Kept", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    with client(dovecot, user) as other:
        other.rename_folder("Old", "New")
        other.delete_folder("Projects/2024/Invoices")
        other.delete_folder("Projects/2024")
    home.run("pull")

    report = json.loads(home.well("list", "a", "--gone-since", "1d", "--json"))

    lost = {one["mailbox"]: (one["lost"], one["moved"]) for one in report["losses"]}
    assert lost == {
        "Old": (0, [{"mailbox": "New", "messages": 4}]),
        "Projects/2024": (4, []),
        "Projects/2024/Invoices": (4, []),
    }
    assert len(report["messages"]) == 8
    rehearsal = home.well("restore", "a", "--gone-since", "1d", "--dry-run")
    assert "4 messages that were in here live elsewhere now, in New (4)" in rehearsal
    # The parent brings what was below it.
    chosen = ("--mailbox", "Projects/2024", "--include-gone")
    assert total(home, "restore", "a", *chosen)["new"] == 8
    assert len(there(dovecot, user, "Projects/2024")) == 4
    assert len(there(dovecot, user, "Projects/2024/Invoices")) == 4
    # What came back is no loss any more, nor missing in the archive, before the next pull too.
    after = json.loads(home.well("list", "a", "--gone-since", "1d", "--json"))["losses"]
    assert [(one["lost"], one["restored"]) for one in after] == [(0, 0), (0, 4), (0, 4)]
    assert "complete" in home.well("verify", "--remote")
    assert "left the server" not in home.well("restore", "a", "--dry-run")
    assert total(home, "restore", "a", "--gone-since", "1d")["new"] == 0
    assert "gone" not in home.well("restore", "a", "--gone-since", "1d")


def test_nothing_that_matches_is_told_with_a_code_of_its_own_and_what_else_there_is(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    signature = b"DKIM-Signature: v=1; b=abcTaxes2024xyz\r\n"
    for number in range(3):
        dovecot.deliver(user, "INBOX", signature + plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    vanish(dovecot, user, [1])
    home.well("pull")

    for command in ("list", "restore", "push"):
        to = ["a"] if command == "push" else []
        for chosen in (
            ["--message-id", "<nobody@example.org>"],
            ["--search", "taxes"],
            ["--search", "a word in the text"],
            ["--before", "2001-01-01"],
            ["--mailbox", "Bogus"],
            ["--digest", "0"],
        ):
            done = home.run(command, "a", *to, *chosen)
            assert (done.returncode, done.stdout.count("complete")) == (4, 0), chosen
            assert "match" in done.stderr or "begins with" in done.stderr
    found = home.well("list", "a", "--search", "NUMBER message")
    assert "INBOX: 2 messages" in found
    assert "1 more left the server: --include-gone" in found
    assert "searched: the sender, the recipients or the subject, not the text" in found
    assert "INBOX: 3 messages" in home.well("list", "a", "--search", "number", "--gone")
    asked = json.loads(home.run("list", "a", "--search", "taxes", "--json").stdout)
    assert (asked["exit_code"], asked["messages"]) == (4, [])
    assert "nothing in the archive of a matches: “taxes” in the sender" in asked["error"]


def test_a_message_is_named_by_what_list_shows_of_it_wherever_it_is(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(3):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    before = there(dovecot, user, "INBOX")
    vanish(dovecot, user, [2])
    home.well("pull")

    line = home.well("list", "a", "--gone-since", "1d").splitlines()[-1]
    digest = line.split()[0]

    assert line.endswith("Message number 1")
    assert "Message number 1" in home.well("show", "a", digest[:3])
    home.well("restore", "a", "--digest", digest)
    assert there(dovecot, user, "INBOX") == before


def test_a_day_is_meant_to_its_end(dovecot: Dovecot, home: Home) -> None:
    home.configure(a=imap(dovecot, filled(dovecot, 2)))
    home.well("pull")
    today = datetime.now(UTC).date().isoformat()
    assert "INBOX: 2 messages" in home.well("list", "a", "--as-of", today, "--mailbox", "INBOX")
    assert home.run("list", "a", "--as-of", f"{today}T00:00").returncode == 2


def vanish(dovecot: Dovecot, user: str, uids: list[int]) -> None:
    with client(dovecot, user) as other:
        other.select_folder("INBOX")
        other.delete_messages(uids)
        other.expunge()


def test_an_account_that_names_another_mailbox_now_is_not_filled_by_a_restore(
    dovecot: Dovecot, home: Home
) -> None:
    user, stranger = filled(dovecot, 2), dovecot.user()
    home.configure(a=imap(dovecot, user))
    home.well("pull", "a")
    home.configure(a=imap(dovecot, stranger), b=imap(dovecot, stranger))
    for rehearse in ((), ("--dry-run",)):
        refused = home.run("restore", "a", *rehearse)
        assert refused.returncode == 2
        assert "restore a --to DESTINATION" in " ".join(refused.stderr.split())
    assert dovecot.messages(stranger) == []
    # By another name it is meant.
    assert "sent 2 messages" in home.well("restore", "a", "--to", "b")
