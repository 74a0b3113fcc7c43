"""What a pull over IMAP makes of a server that lies: the mail comes, or the report names what is
wrong and nothing is concluded from it.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.engine.report import Report
from mailsync.identity import digest
from mailsync.model import INBOX
from mailsync.plan.pull import LOOKED_AT_EVERY
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource
from tests import messages
from tests.servers import liar
from tests.servers.liar import Answer, Exchange, Lie, Mail
from tests.servers.lies import IMAP_LIES, QUOTES, TWO_WORDS, refusing
from tests.servers.scripted import Scripted
from tests.stores.imap_scripted_server import ArchivedMessage, Server
from tests.stores.imap_source_servers import endpoint
from tests.unit.engine.rig import Rig

WORK = ("Work",)
LIES = {lie.name: lie for lie in IMAP_LIES}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive")


def filled(*names: bytes) -> Mail:
    mail = Mail()
    for number, name in enumerate((b"INBOX", b"Work", *names)):
        for each in range(3):
            mail.put(name, messages.plain(10 * number + each))
    return mail


def pull(rig: Rig, mail: Mail, *lies: Lie, waits: list[float] | None = None) -> Report:
    with liar.imap(mail, *lies) as server:
        return pull_from(rig, server.port, waits)


def pull_from(rig: Rig, port: int, waits: list[float] | None = None) -> Report:
    slept: list[float] = [] if waits is None else waits
    credentials = Credentials.fixed(liar.USER, liar.PASSWORD)
    source = ImapSource("old", endpoint(port), credentials, sleep=slept.append, jitter=lambda: 0.5)
    with closing(source):
        return rig.pull(source=source)


def troubles(report: Report) -> list[tuple[str, str]]:
    return [(note.mailbox, note.text) for note in report.notes]


def everything(rig: Rig) -> Counter[tuple[bytes, bytes]]:
    names = {INBOX: b"INBOX", WORK: b"Work"}
    return Counter((name, one) for path, name in names.items() for one in rig.archived(path))


def saying(name: str, told: bytes, instead: bytes) -> Lie:
    """Tell a lie in the answers to one command: `instead` of every untagged response that
    begins like the pattern `told`."""

    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        if asked.name != name:
            return said
        return [instead if re.match(rb"\* " + told, one) else one for one in said]

    return Lie("what a test says", "as it says", "imap", "source", answer=answer)


# The list of mailboxes


@pytest.mark.parametrize(
    "lie", [lie for lie in IMAP_LIES if "in a LIST line" in lie.name], ids=lambda lie: lie.name
)
def test_mailboxes_listed_in_ways_that_other_programs_read_come_whole(rig: Rig, lie: Lie) -> None:
    mail = filled(TWO_WORDS, QUOTES)
    report = pull(rig, mail, lie)
    assert (report.total.new, report.exit_code, report.notes) == (12, 0, [])
    assert pull(rig, mail).total.new == 0


def test_a_mailbox_whose_line_cannot_be_read_is_named_and_no_mailbox_is_concluded_gone(
    rig: Rig,
) -> None:
    mail = filled()
    assert pull(rig, mail).exit_code == 0
    report = pull(rig, mail, saying("LIST", rb'LIST .*"Work"', b'* LIST () "/" "Work\r\n'))
    assert report.exit_code == 3
    assert ['"Work' in text for _, text in troubles(report)] == [True]
    assert not any(message.gone for message in rig.messages(WORK))
    assert pull(rig, mail).exit_code == 0


def test_a_mailbox_of_60000_levels_is_named_and_the_others_come(rig: Rig) -> None:
    report = pull(rig, filled(), LIES["LIST names a mailbox 60,000 levels deep"])
    assert (report.total.new, report.exit_code) == (6, 3)


@pytest.mark.parametrize(("others", "mailboxes"), [(2, 2), (3, 1)], ids=["other", "same"])
def test_inbox_in_two_spellings_is_two_mailboxes_unless_the_state_is_one(
    rig: Rig, others: int, mailboxes: int
) -> None:
    def box(count: int, first: int) -> list[ArchivedMessage]:
        return [ArchivedMessage(n + 1, messages.plain(first + n)) for n in range(count)]

    server = Server(boxes={"Inbox": box(others, 50), "INBOX": box(3, 10)})
    with Scripted(server) as scripted:
        report = pull_from(rig, scripted.port)
    assert (report.total.new, report.exit_code) == (3 + others * (mailboxes - 1), 0)
    assert rig.archived(INBOX) == [messages.plain(10 + n) for n in range(3)]


# The messages of a mailbox


def odd_line(number: int, instead: bytes) -> Lie:
    """Answer for one message of INBOX with another line, whichever FETCH asks for it."""
    return saying("UID FETCH", rb"%d FETCH \(UID" % number, instead)


@pytest.mark.parametrize(
    "instead",
    [
        b"* 2 FETCH (FLAGS () RFC822.SIZE 300)\r\n",
        b"* 2 FETCH (UID 18446744073709551616 FLAGS () RFC822.SIZE 300)\r\n",
        b"* 2 FETCH (UID 0 FLAGS () RFC822.SIZE 300)\r\n",
        b"* 2 FETCH UID 2 FLAGS () RFC822.SIZE 300)\r\n",
        b"* 2 FETCH (UID 2 FLAGS " + b"(" * 2_000_000 + b"\r\n",
        b"* 99 RECENT\r\n",
    ],
    ids=["no UID", "UID 2^64", "UID 0", "unreadable", "endless", "none"],
)
def test_one_odd_message_is_named_and_the_others_come_once(rig: Rig, instead: bytes) -> None:
    mail = filled()
    report = pull(rig, mail, odd_line(2, instead))
    assert (report.total.new, report.exit_code) == (4, 3)
    assert {box for box, _ in troubles(report)} == {"INBOX", "Work"}
    assert all("UID 2" in text for _, text in troubles(report))
    again = pull(rig, mail, odd_line(2, instead))
    assert (again.total.new, again.total.gone, again.exit_code) == (0, 0, 3)
    told = pull(rig, mail)
    assert (told.total.new, told.total.gone, told.exit_code) == (2, 0, 0)


def test_a_known_message_that_is_odd_for_a_night_is_not_gone(rig: Rig) -> None:
    mail = filled()
    pull(rig, mail)
    report = pull(rig, mail, odd_line(2, b"* 2 FETCH (FLAGS () RFC822.SIZE 300)\r\n"))
    assert (report.total.gone, report.exit_code) == (0, 3)
    assert not any(message.gone for message in rig.messages(INBOX))


@pytest.mark.parametrize("word", [rb"UIDVALIDITY", rb"UIDNEXT"])
def test_what_examine_does_not_tell_is_asked_of_status(rig: Rig, word: bytes) -> None:
    mail = filled()
    lie = saying("EXAMINE", rb"OK \[" + word, b"* OK nothing\r\n")
    first, second = pull(rig, mail, lie), pull(rig, mail)
    assert (first.total.new, first.exit_code) == (6, 0)
    assert (second.total.new, second.total.matched, second.total.gone) == (0, 0, 0)


@pytest.mark.parametrize(
    "lie",
    [
        LIES["sizes have 26 digits"],
        LIES["UIDVALIDITY is 9999999999999999999"],
        LIES["UIDs are beyond 64 bits"],
        LIES["STATUS counts nine quintillions"],
        LIES["EXISTS counts nine quintillions"],
        LIES["all UIDs have vanished"],
    ],
    ids=lambda lie: lie.name,
)
def test_numbers_that_cannot_be_true_are_a_report_not_a_crash(rig: Rig, lie: Lie) -> None:
    mail = filled()
    for _ in range(2):
        report = pull(rig, mail, lie)
        assert report.error is None
        assert report.exit_code == (0 if report.total.failed == 0 and not report.trouble else 3)
    told = pull(rig, mail)
    assert told.exit_code == 0
    assert [len(rig.archived(path)) for path in (INBOX, WORK)] == [3, 3]
    assert not any(message.gone for message in rig.messages(INBOX))


@pytest.mark.parametrize("command", ["LIST", "EXAMINE", "UID FETCH"])
def test_a_server_that_throttles_is_asked_again_on_the_same_connection(
    rig: Rig, command: str
) -> None:
    mail = filled()
    waits: list[float] = []
    with liar.imap(mail, LIES[f"the server throttles the first two {command}"]) as server:
        report = pull_from(rig, server.port, waits)
        logins = sum(b"AUTHENTICATE" in line for line in server.heard)
    assert (report.total.new, report.exit_code, logins) == (6, 0, 1)
    assert len(waits) == 1
    assert everything(rig) == mail.contents()


def test_what_a_server_renumbers_at_every_opening_comes_all_the_same(rig: Rig) -> None:
    mail = filled()
    for _ in range(2):
        report = pull(rig, mail, LIES["UIDVALIDITY changes at every SELECT"])
        assert (report.exit_code, report.total.failed) == (0, 0)
    for path, name in ((INBOX, b"INBOX"), (WORK, b"Work")):
        assert sorted(rig.archived(path)) == sorted(
            one.content for one in mail.boxes[name].messages
        )


@pytest.mark.parametrize(
    "lie", ["all messages have one EMAILID", "every EMAILID is NIL"], ids=lambda name: name
)
def test_a_servers_own_ids_are_believed_only_where_they_tell_messages_apart(
    rig: Rig, lie: str
) -> None:
    mail = filled()
    for number in range(2):
        mail.put(b"INBOX", messages.plain(70 + number))
        mail.put(b"Work", messages.plain(80 + number))
        report = pull(rig, mail, LIES[lie])
        assert report.exit_code == 0
    for path, name in ((INBOX, b"INBOX"), (WORK, b"Work")):
        assert sorted(rig.archived(path)) == sorted(
            one.content for one in mail.boxes[name].messages
        )


@pytest.mark.parametrize("lie", ["INTERNALDATE is missing", "INTERNALDATE is nonsense"])
def test_a_message_whose_arrival_the_server_does_not_tell_has_the_date_of_its_header(
    rig: Rig, lie: str
) -> None:
    mail = Mail()
    mail.put(b"INBOX", b"Date: Thu, 1 Jan 2009 10:00:00 +0000\r\nSubject: a\r\n\r\nb\r\n")
    mail.put(b"INBOX", b"Date: Thu, 1 Jan 2099 10:00:00 +0000\r\nSubject: c\r\n\r\nd\r\n")
    assert pull(rig, mail, LIES[lie]).exit_code == 0
    dates = sorted(message.internaldate for message in rig.messages(INBOX))
    assert dates == [1_230_804_000, int(rig.clock.now) // 10 * 10]


def test_a_message_with_another_middle_is_fetched_unless_a_server_received_it(rig: Rig) -> None:
    mail = Mail()
    start = b"Message-ID: <a@b>\r\nDate: Thu, 1 Jan 2009 10:00:00 +0000\r\nSubject: a\r\n\r\n"
    one, other = (start + middle * 100 + b"\r\n" + b"x" * 8000 for middle in (b"yes", b"not"))
    mail.put(b"INBOX", one)
    pull(rig, mail)
    mail.put(b"Work", other)
    mail.put(b"Work", one)
    report = pull(rig, mail)
    assert (report.total.new, report.total.matched, report.exit_code) == (1, 0, 0)
    assert sorted(rig.archived(WORK)) == sorted([one, other])


@pytest.mark.parametrize("lie", ["an answer to LIST never ends", "untagged OKs never end"])
def test_what_never_ends_is_that_accounts_report(rig: Rig, lie: str) -> None:
    mail = filled()
    report = pull(rig, mail, LIES[lie])
    assert report.exit_code == 16
    assert pull(rig, mail).exit_code == 0
    assert everything(rig) == mail.contents()


def test_a_message_that_search_does_not_know_is_not_taken_for_one(rig: Rig) -> None:
    mail = filled()
    report = pull(rig, mail, LIES["a message beyond UIDNEXT is listed and served"])
    assert (report.total.new, report.exit_code) == (6, 0)
    assert everything(rig) == mail.contents()


@pytest.mark.parametrize("lie", ["EXISTS is one too few", "EXISTS is missing"])
def test_what_is_listed_beyond_the_count_and_found_by_search_comes(rig: Rig, lie: str) -> None:
    mail = filled()
    assert pull(rig, mail, LIES[lie]).exit_code == 0
    assert everything(rig) == mail.contents()


def test_an_odd_line_about_nothing_in_an_empty_mailbox_is_no_trouble(rig: Rig) -> None:
    mail = Mail()

    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        return [b"* 1 FETCH (RFC822.SIZE 7)\r\n", *said] if asked.name == "UID FETCH" else said

    report = pull(rig, mail, Lie("what a test says", "as it says", "imap", answer=answer))
    assert (report.total.new, report.exit_code) == (0, 0)


def test_a_mailbox_that_cannot_be_opened_but_has_a_state_is_not_gone(rig: Rig) -> None:
    mail = filled()
    pull(rig, mail)
    report = pull(rig, mail, LIES["a mailbox is listed and, being there, is said not to be there"])
    assert report.exit_code == 3
    assert not any(message.gone for message in rig.messages(WORK))


@pytest.mark.parametrize(
    "lie",
    [
        "a body is cut to its half, and so is its literal",
        "each body comes under its neighbour's UID",
    ],
)
def test_bodies_of_another_size_are_named_and_asked_for_again_until_they_are_whole(
    rig: Rig, lie: str
) -> None:
    mail = Mail()
    for number in range(5):
        mail.put(b"INBOX", messages.plain(number) + b"more" * 100 * number)
    for _ in range(2):
        report = pull(rig, mail, LIES[lie])
        assert report.exit_code == 3
        assert len(troubles(report)) >= 4
    assert pull(rig, mail).exit_code == 0
    live = {message.digest for message in rig.messages(INBOX) if not message.gone}
    assert live == {digest(one.content) for one in mail.boxes[b"INBOX"].messages}
    assert pull(rig, mail).total.new == 0


def test_sizes_that_are_estimates_are_no_trouble(rig: Rig) -> None:
    mail = Mail()
    for number in range(30):
        mail.put(b"INBOX", messages.plain(number) + b"x" * 7 * number)
    report = pull(rig, mail, LIES["sizes are ten octets too many"])
    assert (report.total.new, report.exit_code) == (30, 0)
    assert len(rig.messages(INBOX)) == 30


@pytest.mark.parametrize(
    "name", ["EXISTS is zero", "EXISTS is missing", "EXISTS counts nine quintillions"]
)
@pytest.mark.parametrize("words", [b"[THROTTLED] slow down", b"[OVERQUOTA] too much"])
def test_a_listing_that_is_put_off_is_not_that_of_an_empty_mailbox(
    rig: Rig, name: str, words: bytes
) -> None:
    mail = filled()
    busy = Lie("it is busy", "NO", "imap", instead=refusing("UID FETCH", words))
    assert pull(rig, mail, LIES[name], busy).exit_code == 75


def test_a_mailbox_whose_messages_are_not_counted_and_not_listed_is_not_empty(rig: Rig) -> None:
    mail = filled()
    refuses = Lie("it refuses", "NO", "imap", instead=refusing("UID FETCH", b"no"))
    assert pull(rig, mail, LIES["EXISTS is missing"], refuses).exit_code == 3


def test_a_server_that_went_back_to_its_backup_and_caught_up_again_hides_no_message(
    rig: Rig,
) -> None:
    """The new messages have UIDs and mod-sequences that others had before, and the counts agree."""
    mail = filled()
    marks = {"highest": 100}

    def counted(asked: Exchange, said: list[bytes]) -> list[bytes]:
        told = [
            re.sub(rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ %d" % marks["highest"], one)
            for one in said
        ]
        if b"CHANGEDSINCE" in asked.line:
            return told[-1:]
        return told

    lie = Lie("it went back", "CHANGEDSINCE", "imap", answer=counted, also=("CONDSTORE",))
    pull(rig, mail, lie)
    box = mail.box(b"INBOX")
    gone = box.messages.pop()
    new = gone.content.replace(b"Subject: M", b"Subject: N")
    assert new != gone.content
    box.messages.append(replace(gone, content=new, internaldate=b"15-Jul-2014 02:41:00 +0000"))
    marks["highest"] = 103

    assert pull(rig, mail, lie).exit_code == 0
    assert everything(rig) >= mail.contents()


def alike(number: int) -> bytes:
    """Messages of one size, as a device sends them daily."""
    return messages.plain(100 + number)


@pytest.mark.parametrize("many", [2, 4])
def test_a_neighbours_body_of_the_same_size_is_not_taken_for_the_message(
    rig: Rig, many: int
) -> None:
    mail = Mail()
    for number in range(many):
        mail.put(b"INBOX", alike(number))
    lie = LIES["each body comes under its neighbour's UID"]

    assert pull(rig, mail, lie).exit_code == 3
    assert pull(rig, mail, lie).exit_code == 3
    assert pull(rig, mail).exit_code == 0
    assert everything(rig) == mail.contents()


def test_messages_that_really_are_there_twice_are_no_trouble(rig: Rig) -> None:
    mail = Mail()
    for number in (0, 1, 1, 0):
        mail.put(b"INBOX", alike(number))
    assert pull(rig, mail).exit_code == 0


def test_one_emailid_for_messages_of_two_mailboxes_costs_none(rig: Rig) -> None:
    mail = Mail()
    mail.put(b"INBOX", alike(1))
    mail.put(b"Work", alike(2))
    assert pull(rig, mail, LIES["all messages have one EMAILID"]).exit_code == 0
    assert everything(rig) == mail.contents()


@pytest.mark.parametrize("where", [b"Work", b"INBOX"])
@pytest.mark.parametrize("lines", [400, 4000])
def test_an_edit_is_found_in_another_mailbox_and_after_a_renumbering_too(
    rig: Rig, where: bytes, lines: int
) -> None:
    mail = Mail()
    first = messages.plain(1) + b"the price is 100 EUR\r\n" + b"a line of text\r\n" * lines
    mail.put(b"INBOX", first)
    pull(rig, mail)
    box = mail.box(b"INBOX")
    box.messages.clear()
    box.validity += 1
    mail.put(where, first.replace(b"100", b"900"))
    assert pull(rig, mail).exit_code == 0
    assert everything(rig) >= mail.contents()


def test_a_body_from_another_mailbox_is_not_taken_for_the_message(rig: Rig) -> None:
    mail = Mail()
    one, other = alike(1), alike(2)
    mail.put(b"INBOX", one)
    mail.put(b"Work", other)

    def confused(asked: Exchange, said: list[bytes]) -> list[bytes]:
        whole = b"BODY.PEEK[]" in asked.line
        return [part.replace(other, one) for part in said] if whole else said

    lie = Lie("by UID alone", "a cache", "imap", answer=confused)
    assert pull(rig, mail, lie).exit_code == 3
    assert pull(rig, mail).exit_code == 0
    assert everything(rig) == mail.contents()


@pytest.mark.parametrize("old_one_stays", [True, False])
def test_what_was_made_of_a_message_by_an_edit_is_fetched(rig: Rig, *, old_one_stays: bool) -> None:
    """Under the same header, of the same size, and with the same end."""
    mail = Mail()
    first = messages.plain(1) + b"the price is 100 EUR\r\n" + b"a line of text\r\n" * 400
    mail.put(b"INBOX", first)
    pull(rig, mail)
    mail.put(b"INBOX", first.replace(b"100", b"900"))
    if not old_one_stays:
        del mail.box(b"INBOX").messages[0]
    assert pull(rig, mail).exit_code == 0
    assert everything(rig) >= mail.contents()


def test_a_message_that_is_listed_and_served_comes_though_count_and_search_leave_it_out(
    rig: Rig,
) -> None:
    mail = filled()

    def without(_asked: Exchange, said: list[bytes]) -> list[bytes]:
        return [
            re.sub(rb"^(\* SEARCH 1) 2", rb"\1", re.sub(rb"^\* 3 EXISTS", b"* 2 EXISTS", one))
            for one in said
        ]

    pull(rig, mail, Lie("one is in no index", "SEARCH", "imap", answer=without))


def told(lie: str, *, answer: Answer | None = None, also: tuple[str, ...] = ()) -> Lie:
    return Lie(lie, "as it says", "imap", answer=answer, also=also)


@pytest.mark.parametrize("role", [b"\\Noselect", b"\\NonExistent"])
def test_a_mailbox_that_counts_messages_is_opened_whatever_list_calls_it(
    rig: Rig, role: bytes
) -> None:
    mail = filled()

    def answer(_: Exchange, said: list[bytes]) -> list[bytes]:
        return [
            re.sub(rb'LIST \(([^)]*)\)( "/" "?Work)', rb"LIST (" + re.escape(role) + rb")\2", x)
            for x in said
        ]

    report = pull(rig, mail, told("no mailbox for messages", answer=answer))
    assert report.exit_code == 0
    assert everything(rig) == mail.contents()


def test_a_mailbox_that_held_messages_is_opened_before_it_is_gone(rig: Rig) -> None:
    mail = filled()
    pull(rig, mail)

    def answer(_: Exchange, said: list[bytes]) -> list[bytes]:
        hidden = [
            re.sub(rb'LIST \(([^)]*)\)( "/" "?Work)', rb"LIST (\\Noselect)\2", x) for x in said
        ]
        return [one for one in hidden if not one.startswith((b"* STATUS Work", b'* STATUS "Work'))]

    assert pull(rig, mail, told("no mailbox any more", answer=answer)).exit_code == 0
    assert not any(message.gone for message in rig.messages(WORK))
    del mail.boxes[b"Work"]
    pull(rig, mail)
    assert all(message.gone for message in rig.messages(WORK, gone=True))


def test_a_mailbox_renamed_behind_the_list_is_brought_in_the_same_run(rig: Rig) -> None:
    mail = filled()

    def rename(asked: Exchange) -> None:
        if asked.name == "EXAMINE" and b"Work" in asked.line and b"Work" in mail.boxes:
            box = mail.boxes.pop(b"Work")
            box.name = b"Projects"
            mail.boxes[b"Projects"] = box

    report = pull(rig, mail, Lie("renamed", "as it says", "imap", instead=rename))
    assert (report.exit_code, report.total.new) == (0, 6)
    assert sorted(rig.archived(("Projects",))) == sorted(messages.plain(10 + n) for n in range(3))


def test_a_delta_that_leaves_out_a_new_message_is_not_the_whole_truth(rig: Rig) -> None:
    mail = filled()

    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        if asked.name == "UID FETCH" and b"CHANGEDSINCE" in asked.line.upper():
            return [one for one in said if not one.startswith(b"*")]
        return said

    lie = told("a delta without what is new", answer=answer, also=("CONDSTORE",))
    pull(rig, mail, lie)
    del mail.box(b"INBOX").messages[0]
    mail.put(b"INBOX", messages.plain(90))
    report = pull(rig, mail, lie)
    assert (report.exit_code, report.total.new) == (0, 1)
    assert messages.plain(90) in rig.archived(INBOX)


def test_counters_that_never_move_hide_nothing_for_longer_than_a_week(rig: Rig) -> None:
    mail = filled()
    first: dict[bytes, bytes] = {}

    def answer(_: Exchange, said: list[bytes]) -> list[bytes]:
        return [
            first.setdefault(one.split(b"(")[0], one) if one.startswith(b"* STATUS") else one
            for one in said
        ]

    lie = told("STATUS stands still", answer=answer, also=("CONDSTORE",))
    pull(rig, mail, lie)
    mail.put(b"INBOX", messages.plain(90))
    mail.put(b"Work", messages.plain(91))
    for _ in range(LOOKED_AT_EVERY):
        assert pull(rig, mail, lie).exit_code == 0
    assert everything(rig) == mail.contents()
