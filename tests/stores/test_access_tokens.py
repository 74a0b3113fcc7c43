"""Logins with access tokens: on a Dovecot that asks an authorization server about each of them, and
on scripted servers for what Dovecot cannot be made to say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from mailsync.errors import AuthenticationFailed, StoreUnavailable
from mailsync.model import Message
from mailsync.stores.access_token import message
from mailsync.stores.credentials import Credentials, TokenRefused
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.imap.source import ImapSource
from mailsync.stores.pop3 import Pop3Source
from tests.messages import plain
from tests.servers.authorization import AuthorizationServer, dovecot
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.contract import entries_of
from tests.stores.imap_scripted_server import ArchivedMessage, Server
from tests.stores.pop3_source_servers import Drop

PROTOCOLS = ["imap", "pop3"]


@dataclass
class Given:
    """Tokens in a row: a refused one is followed by the next, the last by itself."""

    row: Sequence[str]
    remedy: str = "run: mailsync login work"
    asked: list[str] = field(default_factory=list)
    at: int = 0

    def token(self, refused: str = "") -> str:
        self.asked.append(refused)
        if refused and refused == self.row[self.at]:
            self.at = min(self.at + 1, len(self.row) - 1)
        return self.row[self.at]


@contextmanager
def opened(
    protocol: str, port: int, user: str, tokens: Given, retries: int = 4
) -> Iterator[ImapSource | Pop3Source]:
    who = Credentials.with_tokens(user, tokens)
    kind = ImapSource if protocol == "imap" else Pop3Source
    source = kind(
        "work",
        Endpoint("127.0.0.1", port, "none", timeout=20),
        who,
        retries=retries,
        sleep=lambda _: None,
        jitter=lambda: 0.5,
    )
    with closing(source):
        yield source


def port_of(server: Dovecot, protocol: str) -> int:
    return server.imap_port if protocol == "imap" else server.pop3_port


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_a_real_server_lets_in_whoever_brings_a_token_of_the_mailbox(
    protocol: str, mechanism: str, authorization: AuthorizationServer
) -> None:
    with dovecot(authorization, mechanism) as server:
        server.deliver("alice@firm.example", "INBOX", plain(1))
        tokens = Given([authorization.issue("alice@firm.example").access_token])
        port = port_of(server, protocol)
        with opened(protocol, port, "alice@firm.example", tokens) as source:
            assert len(entries_of(source)) == 1
        assert tokens.asked == [""]


def test_a_name_with_a_comma_or_an_equals_sign_stands_escaped_in_an_oauthbearer_message() -> None:
    who = Credentials.with_tokens("al=ice,b", Given(["t"]))
    told = base64.b64decode(message("OAUTHBEARER", who, "t", Endpoint("mail.example", 993, "tls")))
    assert told == b"n,a=al=3Dice=2Cb,\1host=mail.example\1port=993\1auth=Bearer t\1\1"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_password_tells_what_is_known_of_the_server(
    protocol: str, dovecot: Dovecot
) -> None:
    endpoint = Endpoint("127.0.0.1", port_of(dovecot, protocol), "none", timeout=20)
    who = Credentials(dovecot.user(), lambda: "wrong", hint=lambda: "It wants another one")
    kind = ImapSource if protocol == "imap" else Pop3Source
    with (
        closing(kind("work", endpoint, who)) as source,
        pytest.raises(AuthenticationFailed, match="It wants another one"),
    ):
        source.mailboxes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_token_is_replaced_once_and_the_login_tried_once_more(
    protocol: str, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = token_dovecot.user()
    old, new = (authorization.issue(user).access_token for _ in range(2))
    authorization.end(old)
    tokens = Given([old, new])
    with opened(protocol, port_of(token_dovecot, protocol), user, tokens) as source:
        assert source.mailboxes()
    assert tokens.asked == ["", old]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tokens_that_stay_refused_end_with_what_to_do(
    protocol: str, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = token_dovecot.user()
    of_another, again = (authorization.issue("somebody-else").access_token for _ in range(2))
    tokens = Given([of_another, again])
    with (
        opened(protocol, port_of(token_dovecot, protocol), user, tokens) as source,
        pytest.raises(TokenRefused) as caught,
    ):
        source.mailboxes()
    told = str(caught.value)
    assert "run: mailsync login work" in told
    assert of_another not in told
    assert len(tokens.asked) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_token_is_never_sent_to_a_server_that_takes_only_passwords(
    protocol: str, dovecot: Dovecot
) -> None:
    with (
        Cutter(port_of(dovecot, protocol)) as line,
        opened(protocol, line.port, dovecot.user(), Given(["secret-token"])) as source,
    ):
        with pytest.raises(AuthenticationFailed, match="takes no access tokens"):
            source.mailboxes()
        assert b"secret-token" not in line.said_by_client
        assert b"LOGIN" not in line.said_by_client
        assert b"PASS" not in line.said_by_client


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_token_that_ends_in_the_middle_of_a_run_is_followed_by_a_newer_one(
    protocol: str, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = token_dovecot.user()
    for number in range(30):
        token_dovecot.deliver(user, "INBOX", plain(number) + b"x" * 5_000)
    old, new = (authorization.issue(user).access_token for _ in range(2))
    tokens = Given([old, new])
    # The server closes once the token is old, as Gmail and Microsoft do.
    with (
        Cutter(port_of(token_dovecot, protocol), Cut(60_000)) as line,
        opened(protocol, line.port, user, tokens) as source,
    ):
        entries = entries_of(source)
        authorization.end(old)
        brought = list(source.fetch(entries))
    assert all(isinstance(one, Message) for one in brought)
    assert len({one.entry.ref for one in brought}) == 30
    assert tokens.asked == ["", "", old]


def coded(error: object) -> str:
    return base64.b64encode(json.dumps(error).encode()).decode()


def imap_that_refuses(mechanism: str, seen: list[bytes], *, initial: bool) -> Server:
    ir = " SASL-IR" if initial else ""
    server = Server(capability=f"IMAP4rev1 AUTH=PLAIN AUTH={mechanism}{ir}")

    def answer(talk: Conversation, command: Command) -> bool:
        if not initial:
            talk.line("+ ")
            seen.append(talk.readline())
        talk.line("+ " + coded({"status": "401", "schemes": "bearer"}))
        seen.append(talk.readline())
        talk.line(f"{command.tag} NO SASL authentication failed")
        return True

    server.on = {"AUTHENTICATE": answer}
    return server


@pytest.mark.parametrize(("mechanism", "farewell"), [("XOAUTH2", b""), ("OAUTHBEARER", b"AQ==")])
@pytest.mark.parametrize("initial", [True, False])
def test_the_error_told_before_a_refusal_is_answered_as_the_mechanism_wants(
    mechanism: str, farewell: bytes, initial: bool
) -> None:
    seen: list[bytes] = []
    with (
        Scripted(imap_that_refuses(mechanism, seen, initial=initial)) as server,
        opened("imap", server.port, "alice", Given(["a-token"])) as source,
        pytest.raises(TokenRefused, match=r"\(401\); run: mailsync login work"),
    ):
        source.mailboxes()
    assert seen[-1] == farewell


def test_pop3_sends_the_token_on_a_line_of_its_own_and_answers_the_error() -> None:
    heard: list[bytes] = []

    def refuse(talk: Conversation, line: bytes) -> bool:
        heard.append(line)
        if line != b"AUTH XOAUTH2":
            return False
        talk.line("+ ")
        heard.append(talk.readline())
        talk.line("+ " + coded({"status": "400"}))
        heard.append(talk.readline())
        talk.line("-ERR [AUTH] no")
        return True

    drop = Drop([], capabilities=("UIDL", "USER", "SASL PLAIN XOAUTH2"), override=refuse)
    with (
        Scripted(drop) as server,
        opened("pop3", server.port, "alice", Given(["a-token"])) as source,
        pytest.raises(TokenRefused, match=r"\(400\)"),
    ):
        source.mailboxes()
    told = base64.b64encode(b"user=alice\1auth=Bearer a-token\1\1")
    assert heard == [b"CAPA", b"AUTH XOAUTH2", told, b""]


@pytest.mark.parametrize("when", ["at the login", "behind it"])
def test_a_token_of_somebody_else_is_told_as_such_where_the_server_lets_it_in(when: str) -> None:
    """Exchange says OK to the login, and to whatever comes then BAD."""
    server = Server(capability="IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE")

    def refuse(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} BAD User is authenticated but not connected.")
        return True

    said_at = ["AUTHENTICATE"] if when == "at the login" else ["NAMESPACE", "LIST"]
    server.on = dict.fromkeys(said_at, refuse)
    with (
        Scripted(server) as running,
        opened("imap", running.port, "alice", Given(["a-token"])) as source,
        pytest.raises(AuthenticationFailed, match="opens no mailbox of 'alice'") as caught,
    ):
        source.mailboxes()
    assert not isinstance(caught.value, TokenRefused)


@pytest.mark.parametrize("said", ["[UNAVAILABLE] later", "[THROTTLED] slow down"])
def test_a_server_that_is_busy_gets_no_other_token(said: str) -> None:
    server = Server(capability="IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE")

    def busy(talk: Conversation, command: Command) -> bool:
        talk.line(f"{command.tag} NO {said}")
        return True

    server.on = {"AUTHENTICATE": busy}
    tokens = Given(["a-token", "another"])
    with (
        Scripted(server) as running,
        opened("imap", running.port, "alice", tokens, retries=0) as source,
        pytest.raises(StoreUnavailable) as caught,
    ):
        source.mailboxes()
    assert caught.value.retryable
    assert set(tokens.asked) == {""}


def test_a_server_that_hangs_up_behind_a_refusal_gets_the_newer_token_on_a_new_connection() -> None:
    server = Server({"INBOX": [ArchivedMessage(1, plain(1))]})
    server.capability = "IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE"

    def only_newer(talk: Conversation, command: Command) -> bool:
        if b"newer" in base64.b64decode(command.text.split()[-1]):
            return False
        talk.line("+ " + coded({"status": "401"}))
        talk.readline()
        talk.line(f"{command.tag} NO expired", "* BYE go away")
        talk.close()
        return True

    server.on = {"AUTHENTICATE": only_newer}
    with (
        Scripted(server) as running,
        opened("imap", running.port, "alice", Given(["a-token", "newer"]), retries=0) as source,
    ):
        assert source.mailboxes()


@pytest.mark.parametrize(
    "error", ["", "%%%", coded([1]), coded({"status": None}), "+" * 5000, coded("x" * 9000)]
)
def test_an_error_that_nobody_can_read_is_passed_over(error: str) -> None:
    server = Server(capability="IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE")

    def refuse(talk: Conversation, command: Command) -> bool:
        talk.line("+ " + error)
        talk.readline()
        talk.line(f"{command.tag} NO no")
        return True

    server.on = {"AUTHENTICATE": refuse}
    with (
        Scripted(server) as running,
        opened("imap", running.port, "alice", Given(["a-token"])) as source,
        pytest.raises(TokenRefused, match=r"'alice': no; run"),
    ):
        source.mailboxes()
