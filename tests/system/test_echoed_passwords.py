"""A server that repeats the password: nothing tells it, neither screen, nor JSON, nor archive."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailsync.cli.main import run
from mailsync.cli.session import Session
from tests.messages import plain
from tests.secret_echoes import FORMS, USER, passwords, repeats
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.imap_scripted_server import ArchivedMessage, Server
from tests.stores.pop3_source_servers import Drop

Dialogue = Callable[[Conversation], None]

noise = st.binary(max_size=320).filter(lambda text: not set(text) & set(b"\r\n\0{}"))
examples = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def told(
    protocol: str,
    dialogue: Dialogue,
    password: str,
    commands: Sequence[Sequence[str]] = (["pull"], ["pull", "--json"]),
    secret: str = "password: {env: SECRET}",
) -> str:
    """Pull with and without --json; return as text all that was printed, or lies in the archive."""
    with tempfile.TemporaryDirectory() as home, Scripted(dialogue) as server:
        config = Path(home, "mailsync.yaml")
        config.write_text(
            f"archive: {{root: mail}}\naccounts:\n  old: {{protocol: {protocol}, host: 127.0.0.1,"
            f" port: {server.port}, security: none, username: {USER}, {secret}}}\n"
        )
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            patch("mailsync.app.check.imap_beside", return_value=None),
            patch("mailsync.stores.retry.backoff", return_value=0.0),
            patch("mailsync.stores.refusals.stated_wait", return_value=None),
        ):
            for command in commands:
                session = Session(environ={"SECRET": password})
                run(["--debug", "--config", str(config), *command, "old"], session)
        kept = [file.read_bytes() for file in Path(home, "mail").rglob("*") if file.is_file()]
        return "\n".join(
            [out.getvalue(), err.getvalue(), *(one.decode("utf-8", "replace") for one in kept)]
        )


def imap_that_says(said: bytes, place: str) -> Server:
    boxes = {"INBOX": [ArchivedMessage(1, plain(1))], "Sent": [ArchivedMessage(1, plain(2))]}
    server = Server(boxes)

    def answer(talk: Conversation, command: Command) -> bool:
        if place == "BYE":
            talk.send(b"* BYE " + said + b"\r\n")
        elif place == "ALERT":
            talk.send(b"* OK [ALERT] " + said + b"\r\n")
            return False
        elif place == "garbage":
            # Passed over for what it is; the client would wait for the answer itself.
            talk.send(b"?? " + said + b"\r\n" + command.tag.encode() + b" NO\r\n")
        else:
            talk.send(command.tag.encode() + b" " + place.encode() + b" " + said + b"\r\n")
        return True

    server.on = {"AUTHENTICATE": answer, "LOGIN": answer}
    return server


@examples
@given(
    passwords,
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["NO", "BAD", "BYE", "ALERT", "garbage"]),
    noise,
    noise,
)
def test_an_imap_server_that_repeats_the_login_gets_no_password_told(
    password: str, form: str, place: str, before: bytes, after: bytes
) -> None:
    said = FORMS[form](password)
    everything = told("imap", imap_that_says(before + said + after, place), password)
    assert not repeats(everything, password, said)


@examples
@given(passwords, st.sampled_from(sorted(FORMS)), noise, noise)
def test_no_note_about_a_refused_mailbox_tells_a_password_not_even_in_the_catalogue(
    password: str, form: str, before: bytes, after: bytes
) -> None:
    said = FORMS[form](password)

    def refuse(talk: Conversation, command: Command) -> bool:
        if b"Sent" not in command.text:
            return False
        talk.send(command.tag.encode() + b" NO " + before + said + after + b"\r\n")
        return True

    server = imap_that_says(b"", "NO")
    server.on = {"EXAMINE": refuse}
    everything = told("imap", server, password)
    assert "Sent" in everything
    assert not repeats(everything, password, said)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_password_among_the_capabilities_is_not_shown_either(protocol: str) -> None:
    password = "Qz7#secret"
    imap = imap_that_says(b"", "OK")
    imap.on, imap.capability = {}, f"IMAP4rev1 UIDPLUS X={password} {password.upper()}"
    pop3 = Drop([], ["UIDL", "TOP", "USER", f"IMPLEMENTATION {password}"], password=b"Qz7#secret")
    servers: dict[str, Dialogue] = {"imap": imap, "pop3": pop3}
    everything = told(protocol, servers[protocol], password, [["-v", "check"]])
    assert "all it announces" in everything
    assert not repeats(everything.lower(), password.lower(), password.lower().encode())


@pytest.mark.parametrize("password", ["x", "use", "mailbox", "mailbox is in use"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_refusal_means_what_the_server_said_whatever_the_password_is(
    protocol: str, password: str
) -> None:
    def busy(talk: Conversation, line: bytes) -> bool:
        if line.startswith(b"PASS"):
            talk.line("-ERR mailbox is in use")
        return line.startswith(b"PASS")

    servers: dict[str, Dialogue] = {
        "imap": imap_that_says(b"mailbox is in use", "NO"),
        "pop3": Drop([], override=busy),
    }
    assert "the server is busy" in told(protocol, servers[protocol], password)


@examples
@given(
    passwords,
    st.sampled_from(sorted(FORMS)),
    st.sampled_from([b"USER", b"PASS", b"AUTH", b"UIDL", b"LIST", b"RETR"]),
    st.sampled_from([b"-ERR ", b"-ERR [AUTH] ", b"-ERR", b"?? "]),
    noise,
    noise,
)
def test_a_pop3_server_that_repeats_the_login_gets_no_password_told(
    password: str, form: str, place: bytes, status: bytes, before: bytes, after: bytes
) -> None:
    said = FORMS[form](password)

    def repeat(talk: Conversation, line: bytes) -> bool:
        if not line.startswith(place):
            return False
        talk.send(status + before + said + after + b"\r\n")
        return True

    capabilities = ["UIDL", "TOP", "SASL PLAIN" if place == b"AUTH" else "USER"]
    drop = Drop([(b"u1", plain(1))], capabilities, password=password.encode(), override=repeat)
    assert not repeats(told("pop3", drop, password), password, said)
