"""What a POP3 source makes of ugly messages, odd listings and every way to log in; and that reading
never deletes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mailsync.errors import AuthenticationFailed, StoreUnavailable, TlsError
from mailsync.formats import header
from mailsync.model import INBOX, Message, Ref, Scan, ScanRequest, UidlRef, UidRef, Unfetched
from tests import messages
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import CAPABILITIES, Pop3, ended
from tests.servers.scripted import Conversation, Scripted
from tests.stores.contract import entries_of, scan_all
from tests.stores.pop3_source_servers import (
    DovecotAccount,
    Drop,
    close_all,
    contents,
    fetched,
    served,
    source,
)

SECRET = "pässword-0f-ålice"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def drop_of(count: int) -> list[tuple[bytes, bytes]]:
    return [(b"u%d" % number, messages.plain(number)) for number in range(1, count + 1)]


# Messages, byte for byte


def test_every_ugly_message_comes_byte_for_byte(pop3_server: Callable[..., Pop3]) -> None:
    put = list(messages.ugly().values())
    server = pop3_server(put)
    assert contents(source(server.port)) == [ended(content) for content in put]


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_every_ugly_message_comes_from_dovecot_as_dovecot_sends_it(
    dovecot: Dovecot, security: str
) -> None:
    account = DovecotAccount(dovecot, dovecot.user(), security)
    put = {name: account.put(content) for name, content in messages.ugly().items() if content}
    got = contents(account.source())
    assert sorted(got) == sorted(put.values())
    assert b"\0" in put["nul_in_body"]
    assert put["bare_cr_in_body"] in got


def test_dovecots_changes_are_the_known_ones_and_no_others() -> None:
    changed = {name for name, content in messages.ugly().items() if served(content) != content}
    bare = {
        name for name, content in messages.ugly().items() if b"\n" in content.replace(b"\r\n", b"")
    }
    unended = {
        name
        for name, content in messages.ugly().items()
        if content and not content.endswith(b"\r\n")
    }
    assert changed == bare | unended


def test_lines_of_a_megabyte_come_whole(pop3_server: Callable[..., Pop3]) -> None:
    head = messages.plain(1).partition(b"\r\n\r\n")[0]
    put = [
        head + b"\r\n\r\n" + b"x" * 1_000_000 + b"\r\n.\r\n" + b"." * 1_000_000 + b"\r\n"
        for _ in range(3)
    ]
    assert contents(source(pop3_server(put).port)) == put


@pytest.mark.parametrize(
    "body",
    [
        b".",
        b"..",
        b".\r\n",
        b".\r\n.\r\n",
        b"a\r\n.",
        b"\r\n.\r\n\r\n",
        b"..\r\n.x\r\n..",
        b"\r\n..\r\n",
        b"\r\n",
    ],
)
def test_dots_at_the_beginning_of_lines_are_neither_lost_nor_doubled(
    pop3_server: Callable[..., Pop3], body: bytes
) -> None:
    put = [body, messages.plain(1) + body, messages.plain(2)]
    assert contents(source(pop3_server(put).port)) == [ended(content) for content in put]


def test_a_single_dot_that_the_server_forgot_to_double_is_kept() -> None:
    def forgetful(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 1":
            talk.send(b"+OK\r\n.hidden\r\n..twice\r\n.\r\n")
        return line == b"RETR 1"

    put = b".hidden\r\n.twice\r\n"
    with Scripted(Drop([(b"a", put)], override=forgetful)) as server:
        assert contents(source(server.port)) == [put]


@pytest.mark.parametrize("answer", [b"+OK\r\n.\r\n", b"+OK 0 octets\r\n\r\n.\r\n"])
def test_an_empty_message_comes_as_the_server_sends_it(answer: bytes) -> None:
    def empty(talk: Conversation, line: bytes) -> bool:
        if line == b"RETR 1":
            talk.send(answer)
        return line == b"RETR 1"

    put = answer.partition(b"\r\n")[2].removesuffix(b".\r\n")
    with Scripted(Drop([(b"a", put), *drop_of(2)[1:]], override=empty)) as server:
        assert contents(source(server.port)) == [put, messages.plain(2)]


# The listing


def test_messages_are_marked_seen_unless_told_otherwise(pop3_server: Callable[..., Pop3]) -> None:
    server = pop3_server([messages.plain(1), messages.plain(100_000)])
    moment = header.received_or_date(messages.plain(100_000), 2_000_000_000)
    assert moment is not None

    def flags(mark: str | float) -> list[list[str]]:
        one = source(server.port, mark=mark, clock=lambda: moment + 1_000)
        return [
            sorted(message.entry.flags) for message in fetched(one) if isinstance(message, Message)
        ]

    assert flags("seen") == [["\\Seen"], ["\\Seen"]]
    assert flags("unseen") == [[], []]
    assert flags(5_000.0) == [["\\Seen"], []]


def test_the_time_of_a_message_is_that_of_its_top_received_line(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([messages.plain(5), b"Subject: no date\r\n\r\n"])
    times = [message.entry.internaldate for message in fetched(source(server.port))]
    assert times == [header.received_or_date(messages.plain(5), 2_000_000_000), None]


def test_a_server_without_uidl_still_gives_every_message(pop3_server: Callable[..., Pop3]) -> None:
    server = pop3_server([messages.plain(number) for number in range(5)], refuse=["UIDL"])
    one = source(server.port)
    entries = entries_of(one)
    assert [entry.ref for entry in entries] == [UidlRef(None, number) for number in range(1, 6)]
    assert [
        message.content for message in fetched(one, entries) if isinstance(message, Message)
    ] == list(map(messages.plain, range(5)))


def test_a_repeated_uidl_names_no_message_and_both_come() -> None:
    drop = [(b"same", messages.plain(1)), (b"own", messages.plain(2)), (b"same", messages.plain(3))]
    with Scripted(Drop(drop)) as server:
        one = source(server.port)
        entries = entries_of(one)
        assert [entry.ref.uidl for entry in entries if isinstance(entry.ref, UidlRef)] == [
            None,
            b"own",
            None,
        ]
        got = [message.content for message in fetched(one, entries) if isinstance(message, Message)]
        assert got == [content for _, content in drop]


def test_nonsense_in_a_listing_is_passed_over_and_sizes_that_are_none_are_unknown() -> None:
    def odd(talk: Conversation, line: bytes) -> bool:
        if line == b"LIST":
            talk.send(
                b"+OK\r\n1 12 octets\r\nfoo\r\n2 many\r\n\r\n3 "
                + b"9" * 5_000
                + b"\r\n99999999999999 5\r\n4 -1\r\n.\r\n"
            )
        return line == b"LIST"

    with Scripted(Drop(drop_of(4), override=odd)) as server:
        one = source(server.port)
        entries = entries_of(one)
        assert [entry.size for entry in entries] == [12, None, None, None]
        assert len(contents(one)) == 4


def test_a_server_that_refuses_to_list_is_unavailable_with_its_reason(
    pop3_server: Callable[..., Pop3],
) -> None:
    one = source(pop3_server(refuse=["LIST"]).port)
    with pytest.raises(StoreUnavailable, match="refused at listing the mailbox: unknown command"):
        scan_all(one)


def test_a_second_scan_in_one_session_asks_nothing_and_tells_the_same(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([messages.plain(1)])
    with Cutter(server.port) as line:
        one = source(line.port)
        assert scan_all(one) == scan_all(one)
        assert line.dialogues[0].commands.count(b"LIST") == 1


def test_messages_may_be_asked_for_by_a_source_that_did_not_list_them(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([messages.plain(1), messages.plain(2)])
    entries = entries_of(source(server.port))
    close_all()
    assert [type(got) for got in fetched(source(server.port), entries[::-1])] == [Message, Message]


def test_headers_asked_for_amid_a_fetch_confuse_nothing(pop3_server: Callable[..., Pop3]) -> None:
    put = [messages.plain(number) for number in range(30)]
    one = source(pop3_server(put).port)
    entries = entries_of(one)
    got = []
    for message in one.fetch(entries):
        assert isinstance(message, Message)
        got.append(message.content)
        if len(got) in {1, 10}:
            assert [part.content for part in one.headers(entries[:3])] == [
                header.block(content) for content in put[:3]
            ]
    assert got == put


def test_a_fetch_given_up_half_way_leaves_no_answers_behind_for_the_next(
    pop3_server: Callable[..., Pop3],
) -> None:
    put = [messages.plain(number) for number in range(30)]
    one = source(pop3_server(put).port)
    first = one.fetch(entries_of(one))
    next(first)
    del first
    assert contents(one) == put


def test_headers_come_from_a_server_without_top_not_at_all(
    pop3_server: Callable[..., Pop3],
) -> None:
    one = source(pop3_server([messages.plain(1)], capabilities=["UIDL", "USER"]).port)
    assert list(one.headers(entries_of(one))) == []


def test_a_refused_top_leaves_the_message_out(pop3_server: Callable[..., Pop3]) -> None:
    one = source(pop3_server([messages.plain(1)], refuse=["TOP"]).port)
    assert list(one.headers(entries_of(one))) == []


def test_capabilities_are_those_announced(pop3_server: Callable[..., Pop3]) -> None:
    assert list(source(pop3_server().port).capabilities()) == sorted(CAPABILITIES)


@pytest.mark.parametrize("ref", [UidlRef(None, 7), UidlRef(b"other", 1), UidRef(INBOX, 1, 1)])
def test_an_entry_that_is_none_of_this_servers_is_not_asked_for(
    pop3_server: Callable[..., Pop3], ref: Ref
) -> None:
    one = source(pop3_server([messages.plain(1)]).port)
    (entry,) = entries_of(one)
    (got,) = fetched(one, [replace(entry, ref=ref)])
    assert isinstance(got, Unfetched)
    assert got.expunged == (ref != UidlRef(None, 7))


def test_closing_a_connection_that_broke_is_no_trouble(pop3_server: Callable[..., Pop3]) -> None:
    server = pop3_server([messages.plain(1)])
    with Cutter(server.port) as line:
        one = source(line.port)
        contents(one)
    with contextlib.suppress(StoreUnavailable):
        for _ in range(3):
            assert one._connection.session is not None
            one._connection.session.send(b"NOOP")
    one.close()
    one.close()


# Logging in


def test_a_master_user_opens_somebody_elses_mail(dovecot: Dovecot) -> None:
    user = dovecot.user()
    put = DovecotAccount(dovecot, user).put(messages.plain(1))
    one = source(
        dovecot.pop3_port, dovecot.master_user, dovecot.master_password, authorization_id=user
    )
    assert contents(one) == [put]


def test_somebody_elses_mail_needs_sasl_and_the_server_is_said_not_to_have_it(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server()
    with Cutter(server.port) as line:
        with pytest.raises(AuthenticationFailed, match="SASL PLAIN"):
            source(line.port, authorization_id="bob").mailboxes()
        assert b"secret" not in line.said_by_client


def test_apop_is_used_on_a_plain_connection_and_the_password_is_not_sent(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([messages.plain(1)])
    with Cutter(server.port) as line:
        assert contents(source(line.port)) == [messages.plain(1)]
        assert any(command.startswith(b"APOP demo ") for command in line.dialogues[0].commands)
        assert b"secret" not in line.said_by_client


def test_a_server_that_refuses_apop_gets_user_and_pass_and_is_not_offered_it_again(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([messages.plain(1)], refuse=["APOP"])
    with Cutter(server.port) as line:
        one = source(line.port)
        one.mailboxes()
        one.close()
        one.mailboxes()
        assert [command.partition(b" ")[0] for command in line.dialogues[0].commands] == [
            b"CAPA",
            b"APOP",
            b"USER",
            b"PASS",
            b"QUIT",
        ]
        assert [command.partition(b" ")[0] for command in line.dialogues[1].commands] == [
            b"CAPA",
            b"USER",
            b"PASS",
        ]


def test_a_server_that_hangs_up_on_apop_gets_user_and_pass() -> None:
    def hang_up(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"APOP"):
            talk.close()
        return line.startswith(b"APOP")

    with Scripted(Drop(drop_of(1), greeting="+OK <1.2@example.org>", override=hang_up)) as server:
        assert contents(source(server.port)) == [messages.plain(1)]


def test_apop_answers_the_servers_timestamp() -> None:
    def apop(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"APOP"):
            assert (
                line
                == b"APOP demo "
                + hashlib.md5(b"<1896.697170952@dbc.mtview.ca.us>tanstaaf").hexdigest().encode()
            )
            talk.line("+OK")
        return line.startswith(b"APOP")

    with Scripted(
        Drop(
            drop_of(1),
            greeting="+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>",
            override=apop,
        )
    ) as server:
        assert contents(source(server.port, password="tanstaaf")) == [messages.plain(1)]


@pytest.mark.parametrize("greeting", ["+OK ready", "+OK <1.2@example.org> ready"])
def test_utf8_is_asked_for_before_the_login_where_it_is_offered(greeting: str) -> None:
    heard: list[bytes] = []

    def listen(talk: Conversation, line: bytes) -> bool:
        heard.append(line.partition(b" ")[0])
        if line.startswith(b"APOP"):
            talk.line("+OK")
        return line.startswith(b"APOP")

    with Scripted(
        Drop(drop_of(1), capabilities=["UIDL", "USER", "UTF8"], greeting=greeting, override=listen)
    ) as server:
        contents(source(server.port))
    assert heard.index(b"UTF8") < min(
        heard.index(word) for word in (b"USER", b"APOP") if word in heard
    )


@pytest.mark.parametrize("password", ["secret", "pässword", "x" * 400])
@pytest.mark.parametrize("prompt", [b"+ \r\n", b"+\r\n", b"+ go on\r\n"])
def test_sasl_plain_takes_any_password(password: str, prompt: bytes) -> None:
    def sasl(talk: Conversation, line: bytes) -> bool:
        if not line.startswith(b"AUTH PLAIN"):
            return False
        assert len(line) <= 253
        if line == b"AUTH PLAIN":
            talk.send(prompt)
            line += b" " + talk.readline()
        said = base64.b64decode(line.split()[2])
        talk.line("+OK" if said == b"\0demo\0" + password.encode() else "-ERR")
        return True

    with Scripted(
        Drop(drop_of(1), capabilities=["UIDL", "SASL LOGIN PLAIN", "PIPELINING"], override=sasl)
    ) as server:
        assert contents(source(server.port, password=password)) == [messages.plain(1)]


@pytest.mark.parametrize(
    ("answer", "offered", "logged_in"),
    [
        ("-ERR AUTH mechanism not supported", True, True),
        ("-ERR Unknown command", True, True),
        ("-ERR Unknown command", False, False),
        ("-ERR authentication failed", True, False),
        ("-ERR [AUTH] mechanism not supported for you", True, False),
    ],
)
def test_a_server_that_does_not_know_the_sasl_it_announces_gets_user_and_pass(
    answer: str, *, offered: bool, logged_in: bool
) -> None:
    def refuse(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"AUTH"):
            talk.line(answer)
        return line.startswith(b"AUTH")

    names = ("UIDL", "TOP", "SASL PLAIN", *(("USER",) if offered else ()))
    with Scripted(Drop(drop_of(1), capabilities=names, override=refuse)) as server:
        one = source(server.port)
        if not logged_in:
            with pytest.raises(AuthenticationFailed):
                one.mailboxes()
            return
        assert contents(one) == [messages.plain(1)]
        one.close()
        one.mailboxes()
        assert not any(line.startswith(b"AUTH") for line in server.conversations[1].heard)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("names", [("UIDL", "TOP"), ("UIDL", "TOP", "PIPELINING")])
def test_answers_that_end_in_bare_line_feeds_are_read(
    names: tuple[str, ...], *, whole: bool
) -> None:
    """`whole`: also the status line ends so."""
    put = [(b"a", b"Subject: 1\r\n\r\n.one\r\n"), (b"b", b"Subject: 2\r\n\r\n\r\n")]

    def feed(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"RETR"):
            status, end, rest = drop.answer(line).partition(b"\r\n")
            end = b"\n" if whole else end
            talk.send(status + end + rest.replace(b"\r\n", b"\n"))
        return line.startswith(b"RETR")

    drop = Drop(put, capabilities=names, override=feed)
    with Scripted(drop) as server:
        assert contents(source(server.port, timeout=0.5)) == [content for _, content in put]
        assert len(server.conversations) == 1


@pytest.mark.parametrize("unsendable", ["a\r\nDELE 1", "a\nb", "a\0b"])
def test_a_line_break_in_user_name_or_password_is_refused_before_it_is_sent(
    pop3_server: Callable[..., Pop3], unsendable: str
) -> None:
    server = pop3_server()
    with Cutter(server.port) as line:
        for user, password in ((unsendable, "secret"), ("demo", unsendable)):
            with pytest.raises(AuthenticationFailed, match="line break") as caught:
                source(line.port, user, password).mailboxes()
            assert unsendable not in str(caught.value)
        assert all(dialogue.commands == [b"CAPA"] for dialogue in line.dialogues)


def test_a_wrong_password_is_a_failed_login_with_dovecot_too_and_not_tried_again(
    dovecot: Dovecot,
) -> None:
    with Cutter(dovecot.pop3_port) as line:
        with pytest.raises(AuthenticationFailed, match="check user name and password"):
            source(line.port, dovecot.user(), "wrong").mailboxes()
        assert len(line.dialogues) == 1


@pytest.mark.parametrize("capabilities", [["USER"], ["USER", "PIPELINING"], ["SASL PLAIN"], []])
@pytest.mark.parametrize("echo", [True, False])
def test_no_secret_is_in_any_error_even_where_the_server_echoes_it(
    capabilities: list[str], echo: bool
) -> None:
    def refuse(talk: Conversation, line: bytes) -> bool:
        if line.startswith((b"PASS", b"AUTH")):
            talk.send((b"-ERR I did not like " if echo else b"") + line + b"\r\n")
            return True
        return False

    with Scripted(Drop([], capabilities=capabilities, override=refuse)) as server:
        one = source(server.port, password=SECRET)
        with pytest.raises(StoreUnavailable) as caught:
            one.mailboxes()
        assert "***" in str(caught.value)
        for text in (str(caught.value), repr(caught.value), repr(one), repr(one.__dict__)):
            assert SECRET not in text
            assert base64.b64encode(f"\0demo\0{SECRET}".encode()).decode() not in text


@pytest.mark.parametrize("override", ["CAPA without STLS", "STLS refused"])
def test_a_server_that_does_not_encrypt_gets_no_password(
    pop3_server: Callable[..., Pop3], override: str
) -> None:
    server = pop3_server(
        capabilities=["UIDL"] if override.startswith("CAPA") else ["STLS"], refuse=["STLS"]
    )
    with Cutter(server.port) as line:
        with pytest.raises(TlsError, match="nothing was sent"):
            source(line.port, security="starttls").mailboxes()
        assert set(line.dialogues[0].commands) <= {b"CAPA", b"STLS"}


# Only reading


def test_nothing_but_reading_is_ever_said(
    dovecot: Dovecot, pop3_server: Callable[..., Pop3]
) -> None:
    user = dovecot.user()
    for number in range(5):
        DovecotAccount(dovecot, user).put(messages.plain(number))
    for port, name in ((dovecot.pop3_port, user), (pop3_server([messages.plain(1)]).port, "demo")):
        with Cutter(port) as line:
            one = source(line.port, name)
            entries = entries_of(one)
            list(one.headers(entries))
            contents(one)
            one.close()
            said = {command.split()[0] for command in line.dialogues[0].commands}
            assert said <= {
                b"CAPA",
                b"STAT",
                b"UTF8",
                b"AUTH",
                b"APOP",
                b"USER",
                b"PASS",
                b"UIDL",
                b"LIST",
                b"TOP",
                b"RETR",
                b"QUIT",
            }
            assert {b"UIDL", b"LIST", b"TOP", b"RETR"} <= said


def test_the_one_mailbox_is_the_inbox(pop3_server: Callable[..., Pop3]) -> None:
    one = source(pop3_server().port)
    (box,) = one.mailboxes()
    assert box.path == INBOX
    (scan,) = one.scan([ScanRequest(box)])
    assert isinstance(scan, Scan)
    assert (scan.state.uidvalidity, scan.state.messages, scan.since) == (0, 0, None)
