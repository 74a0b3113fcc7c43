"""What a POP3 source makes of servers that break, lie, refuse and fall silent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
)
from mailsync.model import Entry, Message, Unfetched
from tests import messages
from tests.servers.cutter import Cut, Cutter
from tests.servers.pop3 import Pop3, ended
from tests.servers.scripted import Conversation, Scripted
from tests.stores.contract import entries_of
from tests.stores.pop3_source_servers import Drop, close_all, contents, fetched, many, source

PIPELINING = ("UIDL", "TOP", "USER", "PIPELINING")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def drop_of(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"u%d" % number, messages.plain(number)) for number in range(1, count + 1)]


def plain(count: int) -> list[bytes]:
    return [messages.plain(number) for number in range(1, count + 1)]


# One command at a time


def test_without_pipelining_no_second_command_is_sent_before_the_answer_to_the_first() -> None:
    with Scripted(Drop(drop_of(20), alone=True)) as server:
        one = source(server.port)
        assert contents(one) == plain(20)
        list(one.headers(entries_of(one)))


def test_with_pipelining_off_no_second_command_is_in_flight_even_where_it_would_be_taken() -> None:
    with Scripted(Drop(drop_of(20), capabilities=(*PIPELINING, "UTF8"), alone=True)) as server:
        one = source(server.port, pipelining="off")
        assert contents(one) == plain(20)


def test_without_capa_no_second_command_is_in_flight() -> None:
    with Scripted(Drop(drop_of(5), capabilities=(), alone=True)) as server:
        assert contents(source(server.port)) == plain(5)


def test_with_pipelining_every_message_is_asked_for_before_the_first_has_come() -> None:
    heard: list[bytes] = []

    def wait_for_all(talk: Conversation, line: bytes) -> bool:
        if line != b"RETR 1":
            return False
        while line != b"RETR 20":
            line = talk.readline()
            heard.append(line)
        talk.send(b"".join(drop.answer(command) for command in [b"RETR 1", *heard]))
        return True

    drop = Drop(drop_of(20), capabilities=PIPELINING, override=wait_for_all)
    with Scripted(drop) as server:
        assert contents(source(server.port)) == plain(20)
    retr = [line for line in heard if line.startswith(b"RETR")]
    assert retr == [b"RETR %d" % number for number in range(2, 21)]


@pytest.mark.parametrize("lost_from", ["USER", "UIDL", "RETR"])
@pytest.mark.parametrize("then", ["silence", "hang up"])
def test_a_server_that_loses_what_it_said_may_be_pipelined_is_read_one_by_one_and_whole(
    lost_from: str, then: str
) -> None:
    def lose(talk: Conversation, line: bytes) -> bool:
        """Answer this command, and throw away what came with it."""
        if not line.startswith(lost_from.encode()):
            return False
        ahead = bool(talk._buffer)
        talk.send(drop.answer(line))
        talk._buffer = b""
        if ahead:
            losses.append(line)
            if then == "hang up":
                talk.close()
        return True

    losses: list[bytes] = []
    drop = Drop(drop_of(30), capabilities=PIPELINING, override=lose)
    with Scripted(drop) as server:
        one = source(server.port, timeout=0.3)
        assert contents(one) == plain(30)
        # Two connections that broke are enough to know; a busy machine may break others by itself.
        assert 0 < len(losses) <= 3


def test_a_server_that_garbles_answers_to_commands_sent_ahead_ends_sequential_and_complete() -> (
    None
):
    def garble(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"RETR") and talk._buffer:
            talk.send(b"+OK\r\nhalf a let+OK\r\nanother\r\n.\r\nter\r\n.\r\n")
            return True
        return False

    put = [(b"u%d" % number, b"Subject: message\r\n\r\n%d\r\n" % number) for number in range(9)]
    with Scripted(Drop(put, capabilities=PIPELINING, override=garble)) as server:
        one = source(server.port)
        got = contents(one)
        assert got[-8:] == [content for _, content in put[1:]]


def test_a_good_server_on_a_bad_line_stays_pipelined() -> None:
    with (
        Scripted(Drop(drop_of(600), capabilities=PIPELINING)) as server,
        Cutter(server.port) as line,
    ):
        line.cuts = [Cut(300_000 - number, connection=number) for number in (1, 2)]
        one = source(line.port)
        put = plain(600)
        entries = entries_of(one)
        got = [
            message.content for message in fetched(one, entries * 3) if isinstance(message, Message)
        ]
        assert Counter(got) == Counter(put * 3)
        assert len(line.dialogues) == 3
        session = one._connection.session
        assert session is not None
        assert not session.experience.one_at_a_time


# Refusals


def test_a_message_that_the_server_will_not_give_is_told_and_the_others_come() -> None:
    def refuse(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 2":
            talk.line("-ERR cannot \x1b[31mread it")
        return line == b"RETR 2"

    for capabilities in (PIPELINING, ("UIDL",)):
        with Scripted(Drop(drop_of(4), capabilities=capabilities, override=refuse)) as server:
            got = fetched(source(server.port))
            assert [type(one) for one in got] == [Message, Unfetched, Message, Message]
            assert isinstance(got[1], Unfetched)
            assert got[1].why == "the server will not give it: cannot ?[31mread it"
            assert not got[1].expunged


@pytest.mark.parametrize(
    "code",
    ["[IN-USE] locked", "[LOGIN-DELAY] too early", "[SYS/TEMP] no disk", "maildrop already locked"],
)
def test_a_busy_server_is_tried_again_after_growing_waits(code: str) -> None:
    def busy(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"PASS") and talk.number < 4:
            talk.line(f"-ERR {code}")
            return True
        return False

    waits: list[float] = []
    with Scripted(Drop(drop_of(1), override=busy)) as server:
        assert contents(source(server.port, sleep=waits.append)) == plain(1)
    assert waits == [1, 2, 4]


def test_a_server_that_stays_busy_is_given_up_with_its_words() -> None:
    waits: list[float] = []
    with Scripted(Drop([], greeting="-ERR [SYS/TEMP] come back tomorrow")) as server:
        with pytest.raises(ServerBusy, match="come back tomorrow"):
            source(server.port, sleep=waits.append, retries=2).mailboxes()
        assert len(server.conversations) == 3
    assert waits == [1, 2]


def test_a_refused_apop_that_means_busy_is_not_answered_by_sending_the_password() -> None:
    def busy(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"APOP"):
            talk.line("-ERR [IN-USE] locked" if talk.number == 1 else "+OK")
        return line.startswith(b"APOP")

    with Scripted(Drop(drop_of(1), greeting="+OK <1@x>", override=busy)) as server:
        assert contents(source(server.port)) == plain(1)
        assert not [line for line in server.heard if line.startswith((b"USER", b"PASS"))]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("[AUTH] no", AuthenticationFailed),
        ("no", AuthenticationFailed),
        ("", AuthenticationFailed),
        ("[SYS/PERM] closed", StoreUnavailable),
    ],
)
def test_a_refused_login_is_what_the_code_says(answer: str, error: type[StoreUnavailable]) -> None:
    def refuse(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"PASS"):
            talk.line(f"-ERR {answer}".strip())
        return line.startswith(b"PASS")

    with Scripted(Drop([], override=refuse)) as server:
        with pytest.raises(StoreUnavailable) as caught:
            source(server.port).mailboxes()
        assert type(caught.value) is error
        assert len(server.conversations) == 1


def test_a_server_that_hangs_up_behind_the_refused_user_has_refused_the_login() -> None:
    def refuse(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"USER"):
            talk.line("-ERR unknown user")
            talk.close()
        return line.startswith(b"USER")

    with (
        Scripted(Drop([], capabilities=PIPELINING, override=refuse)) as server,
        pytest.raises(AuthenticationFailed, match="unknown user"),
    ):
        source(server.port).mailboxes()


def test_a_message_refused_for_the_moment_is_asked_for_once_more() -> None:
    asked: list[int] = []

    def busy(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 3":
            asked.append(talk.number)
            if len(asked) == 1:
                talk.line("-ERR [SYS/TEMP] not now")
                return True
        return False

    with Scripted(Drop(drop_of(6), capabilities=PIPELINING, override=busy)) as server:
        assert contents(source(server.port)) == plain(6)
    assert asked == [1, 2]


def test_a_message_always_refused_for_the_moment_does_not_keep_the_others_away() -> None:
    def busy(talk: Conversation, line: bytes) -> bool:
        if line in {b"RETR 2", b"RETR 4"}:
            talk.line("-ERR [SYS/TEMP] not now")
        return line in {b"RETR 2", b"RETR 4"}

    with Scripted(Drop(drop_of(6), capabilities=PIPELINING, override=busy)) as server:
        got = fetched(source(server.port))
        assert [type(one) for one in got] == [
            Message,
            Unfetched,
            Message,
            Unfetched,
            Message,
            Message,
        ]


# Silence, rubbish, broken connections


@pytest.mark.parametrize("silent_at", [None, b"CAPA", b"PASS", b"UIDL", b"LIST", b"RETR 2"])
def test_a_silent_server_is_lost_within_the_timeout(silent_at: bytes | None) -> None:
    def silent(talk: Conversation, line: bytes) -> bool:
        if line.startswith(silent_at or b""):
            talk.silence()
        return False

    def mute(talk: Conversation) -> None:
        talk.silence()

    with Scripted(mute if silent_at is None else Drop(drop_of(3), override=silent)) as server:
        with pytest.raises(ConnectionLost, match=r"silent for 0.2 s"):
            contents(source(server.port, timeout=0.2, retries=0))
        assert len(server.conversations) == 1


@pytest.mark.parametrize(
    "greeting",
    [
        "220 mail.example.org ESMTP",
        "* OK IMAP4rev1 ready",
        "HTTP/1.1 400 Bad Request",
        "",
        "\x00\x1b[2J",
    ],
)
def test_a_server_that_does_not_speak_pop3_is_said_not_to(greeting: str) -> None:
    with (
        Scripted(Drop([], greeting=greeting)) as server,
        pytest.raises(ProtocolViolation, match="does not speak POP3") as caught,
    ):
        source(server.port).mailboxes()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("command", [b"CAPA", b"PASS", b"UIDL", b"LIST", b"RETR"])
def test_rubbish_instead_of_a_status_is_a_violation_and_not_tried_again(command: bytes) -> None:
    def rubbish(talk: Conversation, line: bytes) -> bool:
        if line.startswith(command):
            talk.line("what a lovely day")
        return line.startswith(command)

    with Scripted(Drop(drop_of(1), override=rubbish)) as server:
        with pytest.raises(ProtocolViolation, match="lovely day"):
            contents(source(server.port))
        assert len(server.conversations) == 1


def test_a_connection_cut_at_any_octet_costs_no_message_and_brings_none_twice(
    pop3_server: Callable[..., Pop3], *, long: bool
) -> None:
    put = [content for content in messages.ugly().values() if len(content) < 5_000]
    put += [messages.plain(1) + b"." * 80_000, messages.plain(2) * 300]
    server = pop3_server(put)
    whole = sum(len(ended(content)) for content in put)
    rng = random.Random(11)
    for trial in range(400 if long else 40):
        cuts = [
            Cut(
                rng.choice([rng.randrange(whole), rng.randrange(4_000)]),
                "from_server",
                number,
                rng.choice(["close", "reset"]),
            )
            for number in (1, 2, 3)
        ]
        cuts.append(Cut(rng.randrange(1_500), "to_server", rng.choice([1, 2, 3]), "reset"))
        with Cutter(server.port, *cuts) as line:
            one = source(line.port, pipelining=rng.choice(["auto", "off"]))
            entries: list[Entry] = entries_of(one)
            got = fetched(one, entries)
            one.close()
            assert [message.content for message in got if isinstance(message, Message)] == list(
                map(ended, put)
            ), (trial, cuts)


def test_a_stalled_connection_is_given_up_and_the_rest_comes_over_a_new_one(
    pop3_server: Callable[..., Pop3],
) -> None:
    put = [messages.plain(number) * 50 for number in range(20)]
    server = pop3_server(put)
    with Cutter(server.port, Cut(60_000, how="stall")) as line:
        assert contents(source(line.port, timeout=0.5)) == put


def test_a_connection_that_breaks_again_and_again_at_one_message_is_given_up() -> None:
    def hang_up(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 2":
            talk.send(b"+OK\r\nhalf of it")
            talk.close()
        return line == b"RETR 2"

    with Scripted(Drop(drop_of(3), override=hang_up)) as server:
        one = source(server.port)
        got: list[Message | Unfetched] = []
        with pytest.raises(ConnectionLost):
            got.extend(one.fetch(entries_of(one)))
        assert len(server.conversations) == 5


def test_messages_deleted_while_the_connection_was_away_are_gone_and_taken_for_no_other() -> None:
    def vanish(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 3" and talk.number == 1:
            drop.messages = [message for message in drop_of(6) if message[0] not in {b"u1", b"u4"}]
            talk.close()
            return True
        return False

    drop = Drop(drop_of(6), override=vanish)
    with Scripted(drop) as server:
        got = fetched(source(server.port))
        assert [one.content for one in got if isinstance(one, Message)] == [
            messages.plain(number) for number in (1, 2, 3, 5, 6)
        ]
        assert [one.expunged for one in got if isinstance(one, Unfetched)] == [True]


@pytest.mark.parametrize(("change", "arrive"), [("new mail", 5), ("a message is gone", 2)])
def test_without_uidl_messages_are_asked_for_after_a_break_only_while_the_listing_is_as_it_was(
    change: str, arrive: int
) -> None:
    def change_it(talk: Conversation, line: bytes) -> bool:
        if line == b"UIDL":
            talk.line("-ERR")
            return True
        if line == b"RETR 3" and talk.number == 1:
            drop.messages = put + drop_of(1) if change == "new mail" else put[1:]
            talk.close()
            return True
        return False

    put = [(b"", messages.plain(number) * number) for number in range(1, 6)]
    drop = Drop(put, override=change_it)
    with Scripted(drop) as server:
        got = fetched(source(server.port))
        assert [one.content for one in got if isinstance(one, Message)] == [
            content for _, content in put[:arrive]
        ]
        assert all(
            "next run" in one.why and not one.expunged for one in got if isinstance(one, Unfetched)
        )


def test_a_busy_listing_is_tried_again_and_does_not_pass_for_a_server_without_uidl() -> None:
    def busy(talk: Conversation, line: bytes) -> bool:
        if line == b"UIDL" and talk.number == 1:
            talk.line("-ERR [SYS/TEMP] reading the index")
            return True
        if line == b"UIDL":
            talk.send(many(b"1 u1"))
            return True
        return False

    with Scripted(Drop(drop_of(1), override=busy)) as server:
        (entry,) = entries_of(source(server.port))
        assert entry.ref.uidl == b"u1"  # type: ignore[union-attr]
