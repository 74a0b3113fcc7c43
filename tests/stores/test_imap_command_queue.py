"""The command queue, the parsers and the login, against scripted servers and against any octets at
all.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
    Throttled,
    TlsError,
)
from mailsync.formats.redaction import Redactor
from mailsync.model import SyncState
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import fetch_response, list_response, mailbox_names, uid_set
from mailsync.stores.imap.command_queue import CommandQueue, Literal
from mailsync.stores.imap.response import Answer, result_of
from mailsync.stores.imap.session import Session
from mailsync.stores.server_words import shown
from mailsync.stores.transport import Connection, connect
from tests.servers.certificates import Certificates
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.imap_scripted_server import Server
from tests.stores.imap_source_servers import endpoint

ALICE = Credentials.fixed("alice", "pässwörd")


class _Canned(Connection):
    """A connection that plays given octets and then ends."""

    def __init__(self, data: bytes) -> None:
        self.endpoint = endpoint(1)
        self.account = "old"
        self._data = data
        self.written = b""

    def readline(self, limit: int = 0) -> bytes:  # noqa: ARG002  the queue sets none
        end = self._data.find(b"\n") + 1
        if not end:
            raise ConnectionLost("old", "ended")
        line, self._data = self._data[:end], self._data[end:]
        return line

    def read(self, octets: int) -> bytes:
        if octets > len(self._data):
            raise ConnectionLost("old", "ended")
        data, self._data = self._data[:octets], self._data[octets:]
        return data

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def readable(self, timeout: float = 0.0) -> bool:
        return bool(self._data) or timeout > 0

    def abandon(self) -> None:
        self._data = b""


def wire(data: bytes) -> CommandQueue:
    return CommandQueue(_Canned(data))


@contextlib.contextmanager
def session(server: Server, credentials: Credentials = ALICE) -> Iterator[tuple[Session, Scripted]]:
    with Scripted(server) as scripted:
        opened = Session.open("old", endpoint(scripted.port), credentials)
        yield opened, scripted
        opened.close()


# The queue


def test_answers_go_to_the_oldest_command_and_completions_to_their_own() -> None:
    queue = wire(b"* 1 EXISTS\r\nm1 OK one\r\n* 2 EXISTS\r\n* 3 EXISTS\r\nm2 NO [LIMIT 5] two\r\n")
    first, second = queue.send(b"NOOP"), queue.send(b"NOOP")
    result = queue.wait(second)
    assert [answer.number for answer in first.answers] == [1]
    assert [answer.number for answer in second.answers] == [2, 3]
    assert (result.status, result.code, result.argument, result.text) == (
        b"NO",
        b"LIMIT",
        b"5",
        "two",
    )
    assert first.done


def test_answers_are_there_before_the_command_is_finished() -> None:
    queue = wire(b"* 1 EXISTS\r\n* 2 EXISTS\r\nm1 OK one\r\n")
    command = queue.send(b"NOOP")
    answers = queue.answers(command)
    assert next(answers).number == 1
    assert not command.done
    assert [answer.number for answer in answers] == [2]
    assert command.done


def test_lower_case_answers_bare_line_feeds_and_empty_lines_are_understood() -> None:
    queue = wire(b"* capability imap4rev1\n\r\n* 3 exists\nm1 ok [read-only] fine\n")
    command = queue.send(b"NOOP")
    result = queue.wait(command)
    assert (result.ok, result.code) == (True, b"READ-ONLY")
    assert [answer.word for answer in command.answers] == [b"CAPABILITY", b"EXISTS"]


def test_literals_come_as_they_were_sent() -> None:
    queue = wire(b"* 1 FETCH (BODY[] {6}\r\na\rb\nc{ BODY[1] ~{3}\r\n\0}\n)\r\nm1 OK\r\n")
    command = queue.send(b"UID FETCH 1 (BODY.PEEK[])")
    queue.wait(command)
    assert list(command.answers[0])[1::2] == [b"a\rb\nc{", b"\0}\n"]


def test_a_status_line_that_looks_like_a_literal_is_none() -> None:
    queue = wire(b"* OK we have {5}\r\n* 1 EXISTS\r\nm1 OK and {7}\r\n")
    command = queue.send(b"NOOP")
    assert queue.wait(command).text == "and {7}"
    assert [answer.word for answer in command.answers] == [b"OK", b"EXISTS"]


def test_a_waiting_literal_is_sent_after_consent_while_older_answers_come_in() -> None:
    queue = wire(b"* 1 EXISTS\r\nm1 OK\r\n+ go on\r\nm2 OK\r\n")
    older = queue.send(b"NOOP")
    command = queue.send(b"APPEND INBOX ", Literal(b"a\r\nb"), b" ", Literal(b"c", waiting=False))
    assert queue.wait(command).ok
    assert older.done
    assert isinstance(queue.connection, _Canned)
    assert queue.connection.written == b"m1 NOOP\r\nm2 APPEND INBOX {4}\r\na\r\nb {1+}\r\nc\r\n"


def test_a_refused_literal_is_not_sent() -> None:
    queue = wire(b"m1 NO [TOOBIG] too big\r\n")
    command = queue.send(b"APPEND INBOX ", Literal(b"secret"))
    assert command.result is not None
    assert command.result.code == b"TOOBIG"
    assert isinstance(queue.connection, _Canned)
    assert b"secret" not in queue.connection.written


def test_bye_is_told_with_the_servers_own_words_made_harmless() -> None:
    queue = wire(b"* BYE shutting \x1b[31mdown\r\n")
    command = queue.send(b"NOOP")
    with pytest.raises(ServerBusy, match=r"shutting \?\[31mdown"):
        queue.wait(command)
    with pytest.raises(ConnectionLost):
        queue.send(b"NOOP")


def test_an_absurd_literal_is_not_waited_for() -> None:
    queue = wire(b"* 1 FETCH (BODY[] {99999999999}\r\n")
    with pytest.raises(ProtocolViolation):
        queue.wait(queue.send(b"NOOP"))


def test_an_answer_to_a_question_nobody_asked_is_a_violation() -> None:
    queue = wire(b"m9 OK\r\n")
    with pytest.raises(ProtocolViolation):
        queue.wait(queue.send(b"NOOP"))


def test_many_commands_and_much_data_in_flight_do_not_block_each_other() -> None:
    size = 200_000

    def talker(talk: Conversation) -> None:
        talk.line("* OK hi")
        commands = [talk.command() for _ in range(3)]
        for command in commands:
            talk.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (size, b"x" * size))
            talk.line(f"{command.tag} OK")
        commands = [talk.command() for _ in range(40)]
        assert all(len(command.text) > size for command in commands)
        for command in commands:
            talk.line(f"{command.tag} OK")

    with Scripted(talker) as server:
        queue = CommandQueue(connect(endpoint(server.port), "old"))
        queue.greeting()
        commands = [queue.send(b"FETCH") for _ in range(3)]
        commands += [queue.send(b"APPEND ", Literal(b"y" * size, waiting=False)) for _ in range(40)]
        assert all(queue.wait(command).ok for command in commands)
        assert [len(answer[1]) for command in commands[:3] for answer in command.answers] == [
            size
        ] * 3
        queue.connection.close()


_PIECES = st.sampled_from(
    [
        b"* ", b"m1 ", b"OK", b"NO", b"BYE", b"FETCH (", b"12 ", b"UID 3", b"BODY[]",
        b" {3}\r\nabc", b"{0}", b"~{2+}\r\n", b")",
        b'"', b"\\", b"\r\n", b"\n", b"NIL", b"(", b" ", b"+ ", b"FLAGS (\\Seen)", b"INTERNALDATE",
        b"RFC822.SIZE", b"\0", b"\xff", b"[",
        b"]", b'LIST () "/" ', b"STATUS ", b"VANISHED (EARLIER) 1:5", b"NAMESPACE ",
    ]
)  # fmt: skip
_OCTETS = st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=25).map(b"".join))


@settings(max_examples=400, deadline=None)
@given(_OCTETS)
def test_no_octets_make_the_queue_hang_or_fail_in_any_way_but_its_own(data: bytes) -> None:
    queue = wire(data)
    try:
        command = queue.send(b"NOOP")
        for answer in queue.answers(command):
            _ = (answer.word, answer.number)
            with contextlib.suppress(ProtocolViolation):
                fetch_response.line_of(answer, "old")
            with contextlib.suppress(ProtocolViolation):
                fetch_response.body_of(answer, "old")
    except StoreUnavailable:
        assert not queue.alive


# The parsers


@settings(max_examples=600, deadline=None)
@given(st.lists(_OCTETS, min_size=1, max_size=5).filter(lambda parts: len(parts) % 2 == 1))
def test_any_answer_is_read_or_is_a_violation(parts: list[bytes]) -> None:
    for start in (
        b"",
        b"1 FETCH (",
        b"1 FETCH (UID 3 BODY[] ",
        b'LIST () "/" ',
        b"STATUS ",
        b"NAMESPACE ",
        b"VANISHED ",
    ):
        answer = Answer([start + parts[0], *parts[1:]])
        for reader in (fetch_response.line_of, fetch_response.body_of):
            with contextlib.suppress(ProtocolViolation):
                reader(answer, "old")
        list_response.listed(answer)
        list_response.status(answer)
        list_response.namespaces(answer)
        result_of(answer.line)
        uid_set.ranges_of(answer.line)
        fetch_response.epoch(answer.line)


_ITEMS = {
    b"UID 17": "uid",
    b"FLAGS (\\seen $Forwarded \\Recent)": "flags",
    b"RFC822.SIZE 300": "size",
    b'INTERNALDATE " 7-Feb-1994 21:52:25 -0800"': "internaldate",
    b"EMAILID (M6d99ac3275bb4e)": "object_id",
    b"MODSEQ (65402)": "",
}
_READ = {
    "uid": 17,
    "flags": frozenset({"\\Seen", "$Forwarded"}),
    "size": 300,
    "internaldate": 760686745,
    "object_id": "M6d99ac3275bb4e",
}


@given(
    st.permutations(sorted(_ITEMS)).flatmap(
        lambda items: st.integers(0, len(items)).map(lambda count: items[:count])
    ),
    st.booleans(),
)
def test_a_listing_is_read_in_any_order_fast_or_slow(items: list[bytes], slow: bool) -> None:
    line = b"3 FETCH (" + b" ".join([*items, b"X-UNKNOWN (1 {3}"][: len(items) + slow])
    answer = Answer([line, b"abc", b"))"]) if slow else Answer([line + b")"])
    read = fetch_response.line_of(answer, "old")
    assert read is not None
    told = {_ITEMS[item] for item in items} - {""}
    assert {name: value for name, value in read._asdict().items() if value is not None} == {
        name: _READ[name] for name in told
    }


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ([b"1 FETCH (UID 5 BODY[] {3}", b"a\0b", b")"], b"a\0b"),
        ([b"1 FETCH (BODY[] {3}", b"abc", b" UID 5)"], b"abc"),
        ([b"1 FETCH (FLAGS (\\Seen) UID 5 BODY[] ~{3}", b"abc", b" MODSEQ (4))"], b"abc"),
        ([b'1 fetch (uid 5 body[] "a\\"b")'], b'a"b'),
        ([b'1 FETCH (UID 5 BODY[] "")'], b""),
        ([b"1 FETCH (UID 5 BODY[] {0}", b"", b")"], b""),
        ([b"1 FETCH (UID 5 BODY[] NIL)"], None),
        ([b"1 FETCH (UID 5 BODY[] nil)"], None),
        ([b"1 FETCH (X (1) UID 5 BODY[HEADER] {3}", b"NIL", b" Y (2))"], b"NIL"),
        ([b"1 FETCH (UID 5 BODY[]<100> {3}", b"abc", b")"], b"abc"),
    ],
)
def test_a_body_is_read_in_every_shape_servers_send(
    parts: list[bytes], content: bytes | None
) -> None:
    assert fetch_response.body_of(Answer(parts), "old") == (5, content)


def test_an_impossible_date_is_no_date() -> None:
    for raw in (
        b"31-Feb-2014 00:00:00 +0000",
        b"01-Jan-1900 00:00:00 +0000",
        b"yesterday",
        b"01-Jan-2014 00:00:00",
        b"",
    ):
        assert fetch_response.epoch(raw) is None


@given(st.sets(st.integers(1, 4_294_967_295), max_size=50).map(sorted))
def test_a_set_of_uids_is_written_so_that_it_reads_the_same(uids: list[int]) -> None:
    assert [uid for span in uid_set.ranges_of(uid_set.uid_set(uids)) for uid in span] == uids


# Names


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"&AOk-t&AOk-", "été"),
        (b"&2AA-", "&2AA-"),
        (b"&2D0-&3gA-", "&2D0-&3gA-"),
        (b"&A-&AOk-", "&A-&AOk-"),
        ("été".encode(), "été"),
        (b"\xe9t\xe9", "été"),
    ],
)
def test_a_name_is_read_as_text_and_what_is_no_text_as_the_server_wrote_it(
    written: bytes, read: str
) -> None:
    assert mailbox_names.Names().learn(written, b"/") == (read,)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=30))
def test_a_name_that_is_composed_is_listed_again_as_it_was(name: str) -> None:
    path = (name,)
    written = mailbox_names.Names().written(path)
    assert written.isascii()
    assert mailbox_names.Names().learn(written, b"/") == (
        ("INBOX",) if name.upper() == "INBOX" else path
    )


@given(
    st.lists(
        st.binary(min_size=1, max_size=20).filter(lambda name: not name.endswith(b"/")), max_size=20
    )
)
def test_a_listed_name_is_asked_for_in_the_octets_it_was_listed_in(raw: list[bytes]) -> None:
    known = mailbox_names.Names()
    paths = {name: known.learn(name, b"/") for name in raw}
    for name, path in paths.items():
        assert path is not None
        assert (
            known.written(path) == name
            or name.upper() == b"INBOX"
            or list(paths.values()).count(path) > 1
        )


@pytest.mark.parametrize(
    ("prefix", "delimiter", "name", "path"),
    [
        (b"INBOX.", b".", b"INBOX.Sent.2024", ("Sent", "2024")),
        (b"INBOX.", b".", b"inbox", ("INBOX",)),
        (b"INBOX.", b".", b"INBOX.INBOX", ("INBOX", "INBOX")),
        (b"", b"/", b"Inbox/Sub", ("INBOX", "Sub")),
        (b"", b"/", b"Entw&APw-rfe", ("Entwürfe",)),
        (b"", b"/", "Entwürfe".encode(), ("Entwürfe",)),
        (b"", b"/", b"R&D", ("R&D",)),
        (b"", None, b"a/b.c", ("a/b.c",)),
        (b"", b"/", b"Parent/", ("Parent",)),
    ],
)
def test_names_become_paths_without_prefix_and_delimiter(
    prefix: bytes, delimiter: bytes | None, name: bytes, path: tuple[str, ...]
) -> None:
    assert mailbox_names.Names([(prefix, delimiter)]).learn(name, delimiter) == path


def test_other_peoples_and_shared_mailboxes_are_not_the_users_own() -> None:
    known = mailbox_names.Names([(b"", b"/")], [(b"user/", b"/"), (b"Shared/", b"/")])
    assert known.learn(b"user/bob/INBOX", b"/") is None
    assert known.learn(b"Shared", b"/") is None
    assert known.learn(b"users", b"/") == ("users",)


@pytest.mark.parametrize(
    ("parts", "name", "delimiter", "attributes"),
    [
        (
            [b'LIST (\\hasnochildren \\SENT) "." INBOX.Sent ("CHILDINFO" ("SUBSCRIBED"))'],
            b"INBOX.Sent",
            b".",
            {"\\Sent", "\\HasNoChildren"},
        ),
        ([b'LIST () "\\\\" {5}', b'a"\\b)', b""], b'a"\\b)', b"\\", set()),
        ([b"list () nil 007"], b"007", None, set()),
        ([b'LIST (\\Noselect) "/" "a \\"b\\" c"'], b'a "b" c', b"/", {"\\Noselect"}),
        ([b'LIST () "/" My Folder'], b"My Folder", b"/", set()),
        ([b'LIST () "/" My Folder (old)'], b"My Folder (old)", b"/", set()),
        ([b'LIST () "/" "say "hi" x"'], b'say "hi" x', b"/", set()),
        ([b'LIST () "/" "C:\\"x"" ("CHILDINFO" ("SUBSCRIBED"))'], b'C:\\"x"', b"/", set()),
        ([b'LIST (\\X (\\Sent (y))) "/" A'], b"A", b"/", {"\\X", "\\Sent", "y"}),
        ([b'LIST (..) / "A1"'], b"A1", b"/", {".."}),
        ([b'LIST  ()\t\t"."  \t"A.b" '], b"A.b", b".", set()),
        ([b'LIST () "\\" A\\b'], b"A\\b", b"\\", set()),
        ([b'LIST ()"/""A"'], b"A", b"/", set()),
        ([b'LIST () "/" A ("CHILDINFO" ("SUBSCRIBED"))'], b"A", b"/", set()),
    ],
)
def test_a_list_answer_is_read_in_every_shape(
    parts: list[bytes], name: bytes, delimiter: bytes | None, attributes: set[str]
) -> None:
    assert list_response.listed(Answer(parts)) == list_response.Listed(
        frozenset(attributes), delimiter, name
    )


@pytest.mark.parametrize(
    "line",
    [
        b"LIST",
        b'LIST "/" INBOX',
        b'LIST (\\Marked "/" INBOX',
        b'LIST () "/" ',
        b'LIST () "//" INBOX',
        b'LIST () "/" "INBOX',
        b'LIST () "/" ' + b"a" * 5_000,
        b'LIST () "/" ' + b"/".join([b"a"] * 200),
        b"LIST (" + b"(" * 20_000 + b")" * 20_000 + b') "/" INBOX',
    ],
)
def test_a_list_answer_that_leaves_doubt_is_none(line: bytes) -> None:
    assert list_response.listed(Answer([line])) is None


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ([b"STATUS My Folder (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)"], b"My Folder"),
        ([b'STATUS  "a (b" \t(UIDVALIDITY 3 MESSAGES  1 UIDNEXT 2 )'], b"a (b"),
        ([b"STATUS {3}", b"a b", b" (UIDVALIDITY 3 MESSAGES 1 UIDNEXT 2)"], b"a b"),
        ([b"STATUS A (MAILBOXID (F1) UIDVALIDITY 3 MESSAGES 1 UIDNEXT 2)"], b"A"),
    ],
)
def test_a_status_answer_is_read_in_every_shape(parts: list[bytes], name: bytes) -> None:
    assert list_response.status(Answer(parts)) == (name, SyncState(3, 2, 1))


@pytest.mark.parametrize("untrue", [b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES"])
def test_a_status_whose_numbers_cannot_be_true_tells_no_state(untrue: bytes) -> None:
    said = {b"UIDVALIDITY": 3, b"UIDNEXT": 2, b"MESSAGES": 1, untrue: 1 << 32}
    line = b"STATUS A (%b)" % b" ".join(b"%b %d" % pair for pair in said.items())
    assert list_response.status(Answer([line])) == (b"A", None)


def test_a_line_that_is_no_answer_costs_nothing_else() -> None:
    queue = wire(
        b'* STATUS "a" (MAILBOXID (\r\n\xf7\0 garbage) MESSAGES 1)\r\n'
        b'* STATUS "b" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 4)\r\nm1 OK done\r\n'
    )
    command = queue.send(b"LIST")
    assert queue.wait(command).ok
    assert list_response.status(command.answers[-1]) == (b"b", SyncState(4, 3, 2))


def test_among_messages_a_line_that_is_no_answer_ends_the_connection() -> None:
    queue = wire(b"* 1 FETCH (UID 1 BODY[] {2}\r\nab and\r\nmore\r\nm1 OK\r\n")
    command = queue.send(b"UID FETCH 1:2 (UID BODY.PEEK[])")
    with pytest.raises(ConnectionLost, match="no answer"):
        queue.wait(command)


@pytest.mark.parametrize(
    "said",
    [
        b"* LIST () NIL a\r\n" * 250_001,
        b"* OK still here\r\n" * 10_001,
        b"what\r\n" * 1_001,
        b"* LIST () NIL {1048577}\r\n",
        b"* LIST () NIL {1}\r\na" + b"{1}\r\na" * 1_001,
    ],
    ids=["answers", "remarks", "garbage", "a name of 1 MB", "literals"],
)
def test_a_server_that_says_more_than_any_is_given_up(said: bytes) -> None:
    queue = wire(said)
    with pytest.raises(ProtocolViolation):
        queue.wait(queue.send(b"LIST"))


# Login


def heard(scripted: Scripted, name: bytes) -> list[bytes]:
    return [line for line in scripted.heard if name in line]


def test_login_takes_one_round_trip_with_sasl_ir_and_speaks_utf8() -> None:
    with session(Server()) as (_, scripted):
        (line,) = heard(scripted, b"AUTHENTICATE")
        assert base64.b64decode(line.split()[-1]).decode() == "\0alice\0pässwörd"
        assert not heard(scripted, b"CAPABILITY")


def test_an_administrator_opens_another_users_mail() -> None:
    with session(Server(), Credentials.fixed("admin", "x", "bob")) as (_, scripted):
        assert base64.b64decode(heard(scripted, b"AUTHENTICATE")[0].split()[-1]) == b"bob\0admin\0x"


def test_an_administrator_opens_another_users_mail_on_a_real_server(dovecot: Dovecot) -> None:
    user = dovecot.user()
    credentials = Credentials.fixed(dovecot.master_user, dovecot.master_password, user)
    opened = Session.open("old", endpoint(dovecot.imap_port), credentials)
    assert opened.names.written(("INBOX",)) == b"INBOX"
    opened.close()


def test_without_sasl_ir_the_answer_waits_for_the_servers_question() -> None:
    def authenticate(talk: Conversation, command: Command) -> bool:
        talk.line("+ ")
        assert base64.b64decode(talk.readline()) == b"\0alice\0" + "pässwörd".encode()
        talk.line(f"{command.tag} OK in")
        return True

    with session(Server(capability="IMAP4rev1 AUTH=PLAIN", on={"AUTHENTICATE": authenticate})) as (
        opened,
        _,
    ):
        assert opened.has(b"IMAP4REV1")


def test_without_plain_login_sends_what_cannot_be_quoted_as_a_literal() -> None:
    seen = []

    def login(talk: Conversation, command: Command) -> bool:
        seen.append(command.text.partition(b" ")[2])
        talk.line(f"{command.tag} OK in")
        return True

    with session(Server(capability="IMAP4rev1", on={"LOGIN": login})):
        assert seen == [b'LOGIN "alice" {10}\r\n' + "pässwörd".encode()]


def test_a_server_that_forgets_how_to_authenticate_is_asked_in_the_old_way() -> None:
    def authenticate(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} BAD never heard of it")
        return True

    with session(Server(on={"AUTHENTICATE": authenticate})) as (_, scripted):
        assert heard(scripted, b"LOGIN")


def test_plain_refused_before_the_password_was_sent_falls_back_to_login() -> None:
    def authenticate(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} NO not by PLAIN")
        return True

    server = Server(capability="IMAP4rev1 AUTH=PLAIN LITERAL+", on={"AUTHENTICATE": authenticate})
    with session(server) as (_, scripted):
        assert len(heard(scripted, b"LOGIN")) == 1


def test_plain_refused_by_a_busy_server_is_not_tried_in_another_way() -> None:
    def authenticate(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} NO [UNAVAILABLE] later")
        return True

    server = Server(capability="IMAP4rev1 AUTH=PLAIN LITERAL+", on={"AUTHENTICATE": authenticate})
    with Scripted(server) as scripted:
        with pytest.raises(ServerBusy):
            Session.open("old", endpoint(scripted.port), ALICE)
        assert not heard(scripted, b"LOGIN")


def test_the_program_says_who_it_is_before_all_else_where_that_is_asked_for() -> None:
    def identify(talk: Conversation, command: Command) -> bool:
        talk.line("* ID NIL", f"{command.tag} OK done")
        return True

    with session(Server(capability=Server().capability + " ID", on={"ID": identify})) as (
        opened,
        scripted,
    ):
        assert opened.names.delimiter == b"/"
        words = [line.split()[1] for line in scripted.heard]
        assert words == [b"AUTHENTICATE", b"ID", b"NAMESPACE", b"LIST"]
    with session(Server()) as (_, scripted):
        assert not heard(scripted, b" ID ")


def refusing(answer: str) -> Server:
    def authenticate(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} {answer}")
        return True

    return Server(on={"AUTHENTICATE": authenticate})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("NO [AUTHENTICATIONFAILED] Invalid credentials", AuthenticationFailed),
        ("no wrong", AuthenticationFailed),
        ("NO [UNAVAILABLE] the directory is down", ServerBusy),
        ("NO [LIMIT] too many connections", ServerBusy),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", ServerBusy),
        ("NO [THROTTLED] Suggested Backoff Time: 2500 milliseconds", Throttled),
        ("NO [PRIVACYREQUIRED] use TLS", TlsError),
    ],
)
def test_a_refused_login_is_told_from_a_busy_server(answer: str, error: type[Exception]) -> None:
    with Scripted(refusing(answer)) as scripted, pytest.raises(error) as caught:
        Session.open("old", endpoint(scripted.port), ALICE)
    assert "pässwörd" not in str(caught.value)
    assert "pässwörd" not in repr(ALICE)


def test_no_password_is_sent_where_logins_are_disabled() -> None:
    with Scripted(Server(capability="IMAP4rev1 STARTTLS LOGINDISABLED")) as scripted:
        with pytest.raises(AuthenticationFailed, match="starttls"):
            Session.open("old", endpoint(scripted.port), ALICE)
        assert not heard(scripted, b"alice")


@pytest.mark.parametrize(
    "greeting", ["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", "* OK hi", "* PREAUTH hi"]
)
def test_no_password_is_sent_when_starttls_is_not_offered(greeting: str) -> None:
    with Scripted(Server(greeting=greeting)) as scripted:
        with pytest.raises(TlsError):
            Session.open("old", endpoint(scripted.port, "starttls"), ALICE)
        assert not heard(scripted, b"AUTHENTICATE")


def test_what_was_said_before_starttls_is_not_believed(certificates: Certificates) -> None:
    def starttls(talk: Conversation, command: Command) -> bool:
        talk.send(f"{command.tag} OK go\r\n* CAPABILITY IMAP4rev1 X-FORGED\r\n".encode())
        talk.start_tls(certificates.good)
        return True

    with (
        Scripted(Server(capability="IMAP4rev1 STARTTLS", on={"STARTTLS": starttls})) as scripted,
        pytest.raises(ProtocolViolation),
    ):
        Session.open("old", endpoint(scripted.port, "starttls"), ALICE)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls_and_starttls_are_verified(dovecot: Dovecot, security: str) -> None:
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    credentials = Credentials.fixed(dovecot.user(), dovecot.password)
    with pytest.raises(TlsError):
        Session.open("old", endpoint(port, security), credentials)
    trusted = endpoint(port, security).__class__("127.0.0.1", port, security, dovecot.ca_file)
    opened = Session.open("old", trusted, credentials)
    assert opened.queue.connection.encrypted
    assert opened.has(b"CONDSTORE")
    opened.close()


def test_something_that_is_no_imap_server_is_said_to_be_none() -> None:
    with (
        Scripted(lambda talk: talk.line("+OK POP3 ready")) as scripted,
        pytest.raises(ProtocolViolation, match="does not speak IMAP"),
    ):
        Session.open("old", endpoint(scripted.port), ALICE)


@given(st.one_of(st.text(), st.binary()))
def test_what_is_shown_cannot_command_a_terminal(text: str | bytes) -> None:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    seen = shown(raw, Redactor())
    assert len(seen) <= 301
    assert all(char.isprintable() or char == " " or not char.isascii() for char in seen)
