"""What an IMAP source makes of real servers, and of servers that break, lie and refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mailsync.errors import ConnectionLost, MailboxError, StoreUnavailable, Throttled
from mailsync.model import (
    INBOX,
    Entry,
    Mailbox,
    Message,
    Scan,
    ScanRequest,
    SyncState,
    UidRef,
    Unfetched,
)
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource
from mailsync.stores.imap.command_queue import Literal
from mailsync.stores.imap.session import Session
from tests import messages
from tests.servers import dovecot as dovecot_
from tests.servers import wan
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.pymap import Pymap
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.contract import contents_of, entries_of, scan_all
from tests.stores.imap_scripted_server import CAPABILITY, ArchivedMessage, Handler, Server
from tests.stores.imap_source_servers import close_all, endpoint, opened, served, source

Waits = list[float]


def scripted_source(
    server: Scripted, *, retries: int = 4, waits: Waits | None = None
) -> ImapSource:
    slept: Waits = [] if waits is None else waits
    credentials = Credentials.fixed("alice", "secret")
    return opened(
        ImapSource(
            "old",
            endpoint(server.port),
            credentials,
            retries=retries,
            sleep=slept.append,
            jitter=lambda: 0.5,
        )
    )


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def box(count: int, first: int = 1) -> list[ArchivedMessage]:
    return [ArchivedMessage(uid, messages.plain(uid)) for uid in range(first, first + count)]


def shell(dovecot: Dovecot, user: str, *commands: bytes) -> None:
    """Do something as another mail program would."""
    session = Session.open(
        "other", endpoint(dovecot.imap_port), Credentials.fixed(user, dovecot.password), sync=False
    )
    for command in commands:
        result = session.queue.wait(session.queue.send(command))
        assert result.ok, (command, result)
    session.close()


def one(found: Iterator[Scan | MailboxError]) -> Scan:
    (scan,) = found
    assert isinstance(scan, Scan), scan
    return scan


def mailbox(user: ImapSource, path: tuple[str, ...] = INBOX) -> Mailbox:
    return next(box for box in user.mailboxes() if box.path == path)


# Listing


def test_mailboxes_come_with_special_use_subscription_and_state_in_one_command(
    dovecot: Dovecot,
) -> None:
    user = dovecot.user()
    dovecot.deliver(user, "Entwürfe/2024 & Co", messages.plain(1))
    dovecot.deliver(user, "INBOX", messages.plain(2))
    with Cutter(dovecot.imap_port) as proxy:
        old = source(proxy.port, user)
        found = {box.path: box for box in old.mailboxes()}
        assert sum(b"LIST" in line for line in proxy.dialogues[0].commands) == 2
    assert not found[("Entwürfe",)].selectable
    assert found[("Sent",)].special_use == {"\\Sent"}
    assert found[("Sent",)].subscribed
    assert not found[("Entwürfe", "2024 & Co")].subscribed
    state = found[INBOX].state
    assert state is not None
    assert (state.messages, state.uidnext) == (1, 2)
    assert state.highestmodseq


def test_a_poor_server_is_asked_for_every_status_in_one_flight(dovecot_poor: Dovecot) -> None:
    user = dovecot_poor.user()
    dovecot_poor.deliver(user, "Archive", messages.plain(1))
    found = {box.path: box for box in source(dovecot_poor.imap_port, user).mailboxes()}
    state = found[("Archive",)].state
    assert state is not None
    assert (state.messages, state.highestmodseq) == (1, None)
    assert found[("Sent",)].subscribed


def test_prefix_and_delimiter_are_the_servers_business() -> None:
    own = "namespace inbox {\n prefix = INBOX.\n separator = .\n}\n"
    shared = (
        "namespace shared {\n type = public\n prefix = Shared.\n separator = .\n location ="
        " maildir:~/shared\n list = yes\n}\n"
    )
    with dovecot_.start(extra=own + shared) as server:
        user = server.user()
        server.deliver(user, "Work/Ä", messages.plain(1))
        old = source(server.imap_port, user)
        paths = [box.path for box in old.mailboxes()]
        assert ("Work", "Ä") in paths
        assert INBOX in paths
        assert not any(path[0] in {"Shared", "INBOX."} for path in paths)
        assert len(contents_of(old)) == 1
        old.close()


def test_a_missing_status_line_leaves_the_state_unknown() -> None:
    def listing(talk: Conversation, command: Command) -> bool:
        if b"RETURN" not in command.text:
            return False
        talk.line(
            '* LIST (\\subscribed) "/" "A"',
            '* list () "/" inbox',
            '* STATUS "inbox" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)',
        )
        talk.line(f"{command.tag} OK done")
        return True

    with Scripted(Server(on={"LIST": listing})) as server:
        first, second = scripted_source(server).mailboxes()
        assert (first.path, first.subscribed, first.state) == (("A",), True, None)
        assert (second.path, second.state) == (INBOX, SyncState(7, 1, 0))


def test_a_server_that_does_not_keep_its_word_on_list_is_asked_plainly() -> None:
    def listing(talk: Conversation, command: Command) -> bool:
        if b"RETURN" in command.text:
            talk.line(f"{command.tag} BAD no such option")
            return True
        return False

    with Scripted(Server(on={"LIST": listing})) as server:
        assert [box.path for box in scripted_source(server).mailboxes()] == [INBOX]


def test_a_name_that_is_a_literal_is_listed_and_opened() -> None:
    name = b'a"b\\c'

    def listing(talk: Conversation, command: Command) -> bool:
        if b"*" not in command.text:
            return False
        talk.send(b'* LIST () "/" {%d}\r\n%b\r\n' % (len(name), name))
        talk.line(f"{command.tag} OK")
        return True

    def examine(talk: Conversation, command: Command) -> bool:
        assert b'EXAMINE "a\\"b\\\\c"' in command.text
        talk.line("* 0 EXISTS", "* OK [UIDVALIDITY 3] x", "* OK [UIDNEXT 1] x", f"{command.tag} OK")
        return True

    with Scripted(Server(on={"LIST": listing, "EXAMINE": examine, "UID FETCH": _ok})) as server:
        (scan,) = scan_all(scripted_source(server))
        assert scan.state == SyncState(3, 1, 0)


def _ok(talk: Conversation, command: Command) -> bool:
    talk.line(f"{command.tag} OK")
    return True


# Scans


def test_a_scan_tells_flags_keywords_and_dates(dovecot: Dovecot) -> None:
    user = dovecot.user()
    dovecot.deliver(
        user, "INBOX", messages.plain(1), flags=["\\Seen", "$Forwarded"], internaldate=1_234_567_890
    )
    old = source(dovecot.imap_port, user)
    (entry,) = entries_of(old)
    assert entry.flags == {"\\Seen", "$Forwarded"}
    assert entry.internaldate == 1_234_567_890
    assert entry.size == len(served(messages.plain(1)))


def changed(scan: Scan, *before: Scan) -> list[tuple[int, frozenset[str]]]:
    """UIDs and flags that a delta names and none of the earlier scans showed so; the last known
    ones are named in any case.
    """
    return [
        (entry.ref.uid, entry.flags)
        for entry in scan.entries
        if isinstance(entry.ref, UidRef) and not any(entry in one.entries for one in before)
    ]


def test_changes_since_a_state_are_new_messages_changed_flags_and_vanished_ones(
    dovecot: Dovecot,
) -> None:
    user = dovecot.user()
    for number in range(6):
        dovecot.deliver(user, "INBOX", messages.plain(number))
    old = source(dovecot.imap_port, user)
    first = one(old.scan([ScanRequest(mailbox(old))]))
    shell(
        dovecot,
        user,
        b"SELECT INBOX",
        b"UID STORE 2 +FLAGS (\\Flagged)",
        b"UID STORE 4 +FLAGS (\\Deleted)",
        b"EXPUNGE",
    )
    dovecot.deliver(user, "INBOX", messages.plain(9))
    second = one(old.scan([ScanRequest(mailbox(old), first.state)]))
    assert second.since == first.state
    assert changed(second, first) == [
        (2, frozenset({"\\Flagged"})),
        (7, frozenset()),
    ]
    assert all(entry.size and entry.internaldate for entry in second.entries)
    assert [uid for span in second.vanished for uid in span] == [4]
    assert second.state.messages == 6
    third = one(old.scan([ScanRequest(mailbox(old), second.state)]))
    assert (third.since, third.vanished) == (second.state, ())
    assert changed(third, first, second) == []


@pytest.mark.parametrize("search", ["ESEARCH", ""])
def test_without_qresync_what_vanished_is_found_by_its_absence(search: str) -> None:
    with dovecot_.start(
        imap_capability=f"IMAP4rev1 SASL-IR ENABLE CONDSTORE {search} LIST-EXTENDED LIST-STATUS"
    ) as server:
        user = server.user()
        for number in range(6):
            server.deliver(user, "INBOX", messages.plain(number))
        old = source(server.imap_port, user)
        first = one(old.scan([ScanRequest(mailbox(old))]))
        shell(server, user, b"SELECT INBOX", b"UID STORE 1,4 +FLAGS (\\Deleted)", b"EXPUNGE")
        server.deliver(user, "INBOX", messages.plain(9))
        second = one(old.scan([ScanRequest(mailbox(old), first.state)]))
        assert second.since == first.state
        assert [uid for span in second.vanished for uid in span] == [1, 4]
        assert changed(second, first) == [(7, frozenset())]


@pytest.mark.parametrize("change", ["uidvalidity", "uidnext", "highestmodseq"])
def test_a_state_that_cannot_be_continued_is_answered_by_a_full_scan(
    dovecot: Dovecot, change: str
) -> None:
    user = dovecot.user()
    dovecot.deliver(user, "INBOX", messages.plain(1))
    old = source(dovecot.imap_port, user)
    state = one(old.scan([ScanRequest(mailbox(old))])).state
    since = replace(state, **{change: getattr(state, change) + 5})
    for box_ in (mailbox(old), replace(mailbox(old), state=None)):
        scan = one(old.scan([ScanRequest(box_, since)]))
        assert scan.since is None
        assert len(scan.entries) == 1


def test_a_poor_server_is_scanned_in_full(dovecot_poor: Dovecot) -> None:
    user = dovecot_poor.user()
    dovecot_poor.deliver(user, "INBOX", messages.plain(1))
    old = source(dovecot_poor.imap_port, user)
    state = one(old.scan([ScanRequest(mailbox(old))])).state
    assert state.highestmodseq is None
    assert one(old.scan([ScanRequest(mailbox(old), state)])).since is None


def test_a_mailbox_that_is_gone_spoils_no_other(dovecot: Dovecot) -> None:
    user = dovecot.user()
    dovecot.deliver(user, "INBOX", messages.plain(1))
    old = source(dovecot.imap_port, user)
    inbox = mailbox(old)
    found = list(
        old.scan([ScanRequest(inbox), ScanRequest(Mailbox(("Gone", "away"))), ScanRequest(inbox)])
    )
    assert isinstance(found[1], MailboxError)
    assert found[1].mailbox == ("Gone", "away")
    assert [len(scan.entries) for scan in (found[0], found[2]) if isinstance(scan, Scan)] == [1, 1]


def lying(missing: int) -> Handler:
    """A UID FETCH that lists fewer messages than EXAMINE counted, so many times."""
    times = [missing]

    def fetch(talk: Conversation, command: Command) -> bool:
        times[0] -= 1
        if times[0] < 0:
            return False
        talk.line(
            '* 1 FETCH (UID 1 FLAGS () INTERNALDATE "17-Jul-2014 02:44:25 -0700" RFC822.SIZE 3)',
            f"{command.tag} OK done",
        )
        return True

    return fetch


def test_too_few_messages_are_not_believed_but_asked_for_again() -> None:
    with Scripted(Server({"INBOX": box(5)}, on={"UID FETCH": lying(1)})) as server:
        (scan,) = scan_all(scripted_source(server))
        assert len(scan.entries) == 5


def test_what_a_mailbox_that_never_adds_up_lists_comes_and_the_rest_is_named() -> None:
    with Scripted(Server({"INBOX": box(5)}, on={"UID FETCH": lying(9)})) as server:
        (scan,) = scan_all(scripted_source(server))
    assert len(scan.entries) == 1
    assert scan.unlisted == ("the server says it holds 5 messages but lists only 1",)


def test_a_message_that_arrives_during_the_scan_is_left_to_the_next() -> None:
    boxes = {"INBOX": box(3)}

    def fetch(talk: Conversation, _: Command) -> bool:
        if len(boxes["INBOX"]) == 3:
            boxes["INBOX"] += box(1, 4)
            talk.line("* 4 EXISTS")
        return False

    server = Server(boxes, on={"UID FETCH": fetch})
    with Scripted(server) as scripted:
        scan = one(scripted_source(scripted).scan([ScanRequest(Mailbox(INBOX))]))
    assert [entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)] == [1, 2, 3]
    assert scan.state == SyncState(7, 4, 3)


def test_a_huge_mailbox_is_listed_in_windows_of_uids() -> None:
    boxes = {"INBOX": [ArchivedMessage(uid, b"x") for uid in range(10, 450_010, 10)]}
    with Scripted(Server(boxes)) as server:
        (scan,) = scan_all(scripted_source(server))
        assert [entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)] == list(
            range(10, 450_010, 10)
        )
        windows = [
            re.search(rb"UID FETCH (\S+)", line) for line in server.heard if b"UID FETCH" in line
        ]
        assert [window[1] for window in windows if window] == [
            b"1:150001",
            b"150002:300002",
            b"300003:*",
        ]


def test_an_unreadable_line_spoils_its_mailbox_only() -> None:
    server = Server({"A": box(1), "B": box(1)})

    def fetch(talk: Conversation, command: Command) -> bool:
        if server.selected == "A":
            talk.line('* 1 FETCH (UID 1 FLAGS (a"b) RFC822.SIZE 3)', f"{command.tag} OK")
        return server.selected == "A"

    server.on["UID FETCH"] = fetch
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        first, second = old.scan(ScanRequest(box_) for box_ in old.mailboxes())
        assert isinstance(first, MailboxError)
        assert isinstance(second, Scan)


def test_gmails_own_ids_are_taken_as_object_ids() -> None:
    def fetch(talk: Conversation, command: Command) -> bool:
        assert b"X-GM-MSGID" in command.text
        talk.line(
            "* 1 FETCH (X-GM-MSGID 1278455344230334865 UID 1 RFC822.SIZE 3 INTERNALDATE"
            ' "17-Jul-2014 02:44:25 -0700" FLAGS ())'
        )
        talk.line(f"{command.tag} OK")
        return True

    with Scripted(
        Server({"INBOX": box(1)}, CAPABILITY + " X-GM-EXT-1", on={"UID FETCH": fetch})
    ) as server:
        assert [entry.object_id for entry in entries_of(scripted_source(server))] == [
            "1278455344230334865"
        ]


def test_object_ids_come_from_servers_that_have_them(pymap_server: Pymap) -> None:
    session = Session.open(
        "other",
        endpoint(pymap_server.port),
        Credentials.fixed(pymap_server.user, pymap_server.password),
    )
    content = messages.plain(77)
    for _ in range(2):
        assert session.queue.wait(session.queue.send(b"APPEND INBOX ", Literal(content))).ok
    session.close()
    entries = entries_of(source(pymap_server.port, pymap_server.user, pymap_server.password))
    assert all(entry.object_id for entry in entries)


def refused_scan(server: Server, since: SyncState | None = None) -> Scan | MailboxError:
    with Scripted(server) as scripted:
        (found,) = scripted_source(scripted).scan([ScanRequest(Mailbox(INBOX), since)])
        return found


def test_a_mailbox_that_cannot_be_listed_is_an_error_of_its_own() -> None:
    def fetch(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} NO [SERVERBUG] index is corrupt")
        return True

    found = refused_scan(Server({"INBOX": box(2)}, on={"UID FETCH": fetch}))
    assert isinstance(found, MailboxError)
    assert "index is corrupt" in str(found)


def test_an_empty_mailbox_may_refuse_to_be_listed() -> None:
    def fetch(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} BAD Invalid messageset")
        return True

    found = refused_scan(Server({"INBOX": []}, on={"UID FETCH": fetch}))
    assert isinstance(found, Scan)
    assert found.entries == ()


def test_a_server_that_refuses_to_tell_changes_is_asked_for_everything() -> None:
    server = Server({"INBOX": box(2)}, CAPABILITY + " CONDSTORE")

    def examine(talk: Conversation, _: Command) -> bool:
        talk.line("* OK [HIGHESTMODSEQ 9] highest")
        return False

    def fetch(talk: Conversation, command: Command) -> bool:
        if b"CHANGEDSINCE" in command.text:
            talk.line(f"{command.tag} BAD what")
        return b"CHANGEDSINCE" in command.text

    server.on = {"EXAMINE": examine, "UID FETCH": fetch}
    found = refused_scan(server, SyncState(7, 2, 1, 5))
    assert isinstance(found, Scan)
    assert (found.since, len(found.entries), found.state.highestmodseq) == (None, 2, 9)


def test_a_mailbox_without_uidvalidity_is_not_archived() -> None:
    def examine(talk: Conversation, command: Command) -> bool:
        talk.line("* 2 EXISTS", f"{command.tag} OK open")
        return True

    assert isinstance(
        refused_scan(Server({"INBOX": box(2)}, on={"EXAMINE": examine, "UID FETCH": _ok})),
        MailboxError,
    )


def test_answers_in_pieces_and_news_in_between_are_put_together() -> None:
    def fetch(talk: Conversation, command: Command) -> bool:
        talk.line(
            '* 1 FETCH (UID 1 RFC822.SIZE 3 INTERNALDATE "17-Jul-2014 02:44:25 -0700")',
            "* 1 FETCH (FLAGS (\\Seen) UID 1)",
            "* 9 FETCH (FLAGS (\\Seen))",
            "* 9 FETCH (UID 99 FLAGS (\\Seen))",
            "* 2 EXPUNGE",
            f"{command.tag} OK done",
        )
        return True

    found = refused_scan(Server({"INBOX": box(2)}, on={"UID FETCH": fetch}))
    assert isinstance(found, Scan)
    assert [(entry.size, entry.flags) for entry in found.entries] == [(3, frozenset({"\\Seen"}))]


# Fetching


def test_only_examine_and_peek_are_ever_sent(dovecot: Dovecot) -> None:
    user = dovecot.user()
    for number in range(20):
        dovecot.deliver(user, ["INBOX", "A", "B"][number % 3], messages.plain(number))
    with Cutter(dovecot.imap_port) as proxy:
        old = source(proxy.port, user)
        entries = entries_of(old)
        list(old.fetch(entries))
        list(old.headers(entries))
        list(old.tails(entries, 100))
        old.close()
        said = b"\n".join(
            line for dialogue in proxy.dialogues for line in dialogue.commands
        ).upper()
    assert not re.search(
        rb" (SELECT|STORE|APPEND|EXPUNGE|CLOSE|COPY|MOVE|DELETE|CREATE|RENAME|SUBSCRIBE)\b"
        rb"|BODY\[|RFC822( |\))",
        said,
    )


def test_tails_are_the_ends_of_the_messages(dovecot: Dovecot) -> None:
    user = dovecot.user()
    contents = [messages.plain(number) * (number + 1) for number in range(12)]
    for content in contents:
        dovecot.deliver(user, "INBOX", content)
    old = source(dovecot.imap_port, user)
    parts = list(old.tails(entries_of(old), 300))
    assert sorted(part.content for part in parts) == sorted(
        served(content)[-300:] for content in contents
    )


def test_a_message_larger_than_the_window_comes_alone_and_whole(dovecot: Dovecot) -> None:
    user = dovecot.user()
    big = messages.plain(1) + b"0123456789abcdef" * 64 * 1024 * 40
    for content in (messages.plain(2), big, messages.plain(3)):
        dovecot.deliver(user, "INBOX", content)
    assert contents_of(source(dovecot.imap_port, user)) == sorted(
        [messages.plain(2), big, messages.plain(3)]
    )


def bodies(handler: Callable[[Conversation, Command], bool]) -> Handler:
    """Replace the answers to body fetches only."""
    return lambda talk, command: b"BODY" in command.text and handler(talk, command)


@pytest.mark.parametrize("how", ["NIL", "nothing", "empty"])
def test_a_message_without_content_is_asked_for_again_and_then_told(how: str) -> None:
    server = Server({"INBOX": box(4)})

    def fetch(talk: Conversation, command: Command) -> bool:
        for number, message in server.chosen(command):
            if message.uid != 3:
                server.body(talk, number, message)
            elif how == "NIL":
                talk.line(f"* {number} FETCH (UID 3 BODY[] NIL)")
            elif how == "empty":
                talk.line(f'* {number} FETCH (UID 3 BODY[] "")')
        talk.line(f"{command.tag} OK done")
        return True

    server.on["UID FETCH"] = bodies(fetch)
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        got = list(old.fetch(entries_of(old)))
        (lost,) = [one for one in got if isinstance(one, Unfetched)]
        assert not lost.expunged
        assert lost.entry.ref == UidRef(INBOX, 7, 3)
        assert sorted(one.content for one in got if isinstance(one, Message)) == [
            messages.plain(uid) for uid in (1, 2, 4)
        ]
        assert sum(b"UID FETCH 3 (UID BODY" in line for line in scripted.heard) == 1


def test_a_message_that_cannot_be_had_at_first_is_had_at_the_second_try() -> None:
    server = Server({"INBOX": box(3)})
    tries = []

    def fetch(talk: Conversation, command: Command) -> bool:
        tries.append(command)
        if len(tries) == 1:
            talk.line(f"{command.tag} OK but nothing came")
        return len(tries) == 1

    server.on["UID FETCH"] = bodies(fetch)
    with Scripted(server) as scripted:
        assert contents_of(scripted_source(scripted)) == sorted(
            messages.plain(uid) for uid in (1, 2, 3)
        )


def test_a_refused_batch_is_split_until_the_offender_stands_alone() -> None:
    server = Server({"INBOX": box(40)})

    def fetch(talk: Conversation, command: Command) -> bool:
        if any(message.uid == 17 for _, message in server.chosen(command)):
            talk.line(f"{command.tag} NO \x1b[2Jcannot read it")
            return True
        return False

    server.on["UID FETCH"] = bodies(fetch)
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        got = list(old.fetch(entries_of(old)))
        (lost,) = [one for one in got if isinstance(one, Unfetched)]
        assert lost.entry.ref == UidRef(INBOX, 7, 17)
        assert "cannot read it" in lost.why
        assert "\x1b" not in lost.why
        assert len(got) == 40


def test_an_expunged_message_is_told_as_such() -> None:
    server = Server({"INBOX": box(4)})
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        entries = entries_of(old)
        del server.boxes["INBOX"][1]
        got = list(old.fetch(entries))
        assert [(one.entry.ref, one.expunged) for one in got if isinstance(one, Unfetched)] == [
            (UidRef(INBOX, 7, 2), True)
        ]
        assert len(got) == 4


def test_of_a_renumbered_mailbox_only_what_has_the_size_that_was_listed_is_believed() -> None:
    server = Server({"INBOX": box(2), "B": box(1)})
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        entries = entries_of(old)
        server.uidvalidity = 8
        server.boxes["INBOX"][0] = ArchivedMessage(1, messages.plain(7) + b"longer")
        del server.boxes["INBOX"][1]
        got = {one.entry.ref: one for one in old.fetch(entries)}
    for uid in (1, 2):
        one = got[UidRef(INBOX, 7, uid)]
        assert isinstance(one, Unfetched)
        assert not one.expunged
        assert "UIDVALIDITY" in one.why
    assert isinstance(got[UidRef(("B",), 7, 1)], Message)


def test_a_mailbox_removed_before_the_fetch_gives_its_messages_up() -> None:
    server = Server({"INBOX": box(2), "B": box(1)})
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        entries = entries_of(old)

        def examine(talk: Conversation, command: Command) -> bool:
            if b"INBOX" in command.text:
                talk.line(f"{command.tag} NO [NONEXISTENT] no such mailbox")
                # A server that keeps the old one selected must not pass its messages off.
                server.selected = "B"
            return b"INBOX" in command.text

        server.on["EXAMINE"] = examine
        got = {one.entry.ref: one for one in old.fetch(entries)}
        assert isinstance(got[UidRef(INBOX, 7, 1)], Unfetched)
        assert isinstance(got[UidRef(("B",), 7, 1)], Message)


def test_answers_that_come_before_the_completion_of_an_earlier_fetch_find_their_message() -> None:
    server = Server({"INBOX": box(500)})
    held: list[str] = []

    def fetch(talk: Conversation, command: Command) -> bool:
        for number, message in server.chosen(command):
            server.body(talk, number, message)
        held.append(f"{command.tag} OK late")
        if len(held) == 3:
            talk.line(*held)
        return True

    server.on["UID FETCH"] = bodies(fetch)
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        assert len(contents_of(old)) == 500
        assert sum(b"BODY" in line for line in scripted.heard) == 3


# Faults


@pytest.fixture(scope="module")
def filled(dovecot: Dovecot) -> tuple[Dovecot, str, list[bytes]]:
    user = dovecot.user()
    put = [served(content) for content in messages.varied(60, 3) if content]
    for number, content in enumerate(put):
        dovecot.deliver(user, ["INBOX", "A", "B"][number % 3], content)
    assert len(contents_of(source(dovecot.imap_port, user))) == len(put)
    return dovecot, user, sorted(put)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_cut_anywhere_loses_nothing_and_doubles_nothing(
    filled: tuple[Dovecot, str, list[bytes]], how: str, long: bool
) -> None:
    server, user, put = filled
    total = sum(map(len, put)) + 20_000
    for cut in range(0, total, total // (200 if long else 23)):
        cuts = [Cut(cut, "from_server", 1, how), Cut(total // 2, "from_server", 2, how)]  # type: ignore[arg-type]
        with Cutter(server.imap_port, *cuts) as proxy:
            old = source(proxy.port, user)
            assert contents_of(old) == put, cut
            old.close()


def test_a_connection_cut_while_scan_and_fetch_run_together_loses_nothing(
    filled: tuple[Dovecot, str, list[bytes]],
) -> None:
    server, user, put = filled
    for cut in range(500, 30_000, 2_500):
        with Cutter(server.imap_port, Cut(cut), Cut(cut + 40_000, connection=2)) as proxy:
            old = source(proxy.port, user)
            requests = [ScanRequest(box_) for box_ in old.mailboxes() if box_.selectable]
            entries = (
                entry
                for scan in old.scan(requests)
                if isinstance(scan, Scan)
                for entry in scan.entries
            )
            assert (
                sorted(got.content for got in old.fetch(entries) if isinstance(got, Message)) == put
            )
            old.close()


def test_a_server_that_always_hangs_up_is_given_up_after_the_retries() -> None:
    waits: Waits = []

    def fetch(talk: Conversation, _: Command) -> bool:
        talk.close()
        return True

    with Scripted(Server({"INBOX": box(3)}, on={"UID FETCH": fetch})) as server:
        with pytest.raises(ConnectionLost):
            scan_all(scripted_source(server, waits=waits))
        assert waits == [1, 2, 4, 8]
        assert len(server.conversations) == 5


def test_a_message_that_breaks_every_connection_is_left_out_once_all_others_are_here() -> None:
    server = Server({"INBOX": box(30)})

    def fetch(talk: Conversation, command: Command) -> bool:
        for number, message in server.chosen(command):
            if message.uid == 9:
                talk.close()
                return True
            server.body(talk, number, message)
        talk.line(f"{command.tag} OK")
        return True

    server.on["UID FETCH"] = bodies(fetch)
    with Scripted(server) as scripted:
        old = scripted_source(scripted)
        got = list(old.fetch(entries_of(old)))
        assert [one.entry.ref for one in got if isinstance(one, Unfetched)] == [UidRef(INBOX, 7, 9)]
        assert len(got) == 30


def once(answer: str) -> Handler:
    """Answer the first body fetch with a line; the tag is put in for {tag}."""
    times: list[int] = []

    def fetch(talk: Conversation, command: Command) -> bool:
        if b"BODY" not in command.text or times:
            return False
        times.append(1)
        talk.line(answer.format(tag=command.tag))
        return True

    return fetch


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ("{tag} NO [THROTTLED] Suggested Backoff Time: 299961 milliseconds", 299.961),
        ("{tag} BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds", 1.5),
        ("* BYE Throttled, backoff 2000 ms", 2.0),
        ("{tag} NO [UNAVAILABLE] later", 1.0),
        ("{tag} NO [INUSE] locked", 1.0),
        ("* BYE [UNAVAILABLE] restarting", 1.0),
    ],
)
def test_a_busy_server_is_waited_for_as_long_as_it_says(answer: str, wait: float) -> None:
    waits: Waits = []
    with Scripted(Server({"INBOX": box(3)}, on={"UID FETCH": once(answer)})) as server:
        assert len(contents_of(scripted_source(server, waits=waits))) == 3
    assert waits == [pytest.approx(wait)]


def test_a_server_that_wants_us_to_come_back_tomorrow_is_not_waited_for() -> None:
    waits: Waits = []
    server = Server(
        {"INBOX": box(3)}, on={"UID FETCH": once("{tag} NO [THROTTLED] backoff 86400000 ms")}
    )
    with Scripted(server) as scripted, pytest.raises(Throttled) as caught:
        contents_of(scripted_source(scripted, waits=waits))
    assert caught.value.wait == pytest.approx(86400)
    assert waits == []


def test_a_locked_mailbox_is_tried_twice_and_then_skipped() -> None:
    def examine(talk: Conversation, command: Command) -> bool:
        if b'"A"' in command.text:
            talk.line(f"{command.tag} NO [INUSE] another program holds it")
        return b'"A"' in command.text

    with Scripted(Server({"A": box(1), "B": box(2)}, on={"EXAMINE": examine})) as server:
        old = scripted_source(server)
        first, second = old.scan(ScanRequest(box_) for box_ in old.mailboxes())
        assert isinstance(first, MailboxError)
        assert isinstance(second, Scan)


def test_a_login_that_is_refused_for_now_is_tried_again() -> None:
    waits: Waits = []

    def authenticate(talk: Conversation, command: Command) -> bool:
        if talk.number < 3:
            talk.line(f"{command.tag} NO [UNAVAILABLE] not yet")
        return talk.number < 3

    with Scripted(Server(on={"AUTHENTICATE": authenticate})) as server:
        assert len(scripted_source(server, waits=waits).mailboxes()) == 1
    assert waits == [1, 2]


def test_an_error_of_the_caller_is_not_mistaken_for_the_servers() -> None:
    def wanted() -> Iterator[Entry]:
        raise StoreUnavailable("other", "not of this server")
        yield

    with (
        Scripted(Server({"INBOX": box(1)})) as server,
        pytest.raises(StoreUnavailable, match="not of this server"),
    ):
        list(scripted_source(server).fetch(wanted()))


# Speed


def test_a_pull_through_a_far_line_takes_few_round_trips(dovecot: Dovecot) -> None:
    user = dovecot.user()
    put = [served(content) for content in messages.varied(400, 5) if content]
    for number, content in enumerate(put):
        dovecot.deliver(user, f"Box{number % 8}", content)

    with wan.Proxy(dovecot.imap_port, 0.2) as far:
        old = source(far.port, user)
        requests = [ScanRequest(box_) for box_ in old.mailboxes() if box_.selectable]
        entries = (
            entry for scan in old.scan(requests) if isinstance(scan, Scan) for entry in scan.entries
        )
        assert sum(isinstance(got, Message) for got in old.fetch(entries)) == len(put)
        old.close()
        (traffic,) = far.traffic()
    assert traffic.turns + 1 < 9  # TCP's handshake
