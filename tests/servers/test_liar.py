"""The liar keeps its promises: untold, its servers are servers; and every lie is really told on the
wire, for a fault that is not planted proves nothing.
"""

from __future__ import annotations

import base64
import imaplib
import poplib
import re
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.messages import plain, ugly, varied
from tests.servers import liar
from tests.servers.liar import PASSWORD, USER, Liar, Lie, Mail
from tests.servers.lies import IMAP_LIES, LIES, POP3_LIES, QUOTES, TWO_WORDS
from tests.servers.processes import HOST
from tests.system.cli_home import Home

NAMELESS = b"Date: Mon, 1 Jan 2018 10:00:00 +0000\r\nSubject: no id\r\n\r\nbody\r\n"
EIGHT = "Subject: Größe\r\nMessage-ID: <8@liar.test>\r\n\r\nbody\r\n".encode()
DOTTED = b"Subject: dots\r\nMessage-ID: <dots@liar.test>\r\n\r\none\r\n.\r\ntwo\r\n"
SLOW = b"<octet by octet>"
CREATED = b"Fe A&AwE-rger "
"""A mailbox name with an accent of its own (NFD), a capital and a last blank."""


def filled() -> Mail:
    mail = Mail()
    for number in range(14):
        mail.put(b"INBOX", plain(number) + b"more\r\n" * number, [b"\\Seen"] if number % 2 else [])
    mail.put(b"INBOX", DOTTED)
    for number in range(20, 23):
        mail.put(b"Work", plain(number))
    mail.box(TWO_WORDS)
    mail.box(QUOTES)
    return mail


def said_after(sock: socket.socket, line: bytes, end: Callable[[bytes], bool]) -> bytes:
    """Send a line and read what is said, until `end`, the end, silence, or far more than the truth
    has.
    """
    heard = b""
    small = 0
    try:
        sock.sendall(line)
        while not end(heard) and len(heard) < 200_000 and small < 3:
            got = sock.recv(65_536)
            if not got:
                return heard + b"<the end>"
            small += len(got) == 1
            heard += got
        if small == 3:
            return heard + SLOW
    except TimeoutError:
        heard += b"<silence>"
    except OSError:
        heard += b"<broken>"
    return heard


def imap_transcript(server: Liar) -> list[bytes]:
    """Say to a server what any lie may be told to."""
    words = [
        b"CAPABILITY",
        b"LOGIN %s %s" % (USER.encode(), PASSWORD.encode()),
        b'LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))',
        b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)",
        b"EXAMINE Work",
        b"EXAMINE INBOX",
        b"UID SEARCH ALL",
        b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE EMAILID)",
        b"UID FETCH 1:3 (UID BODY.PEEK[])",
        b'CREATE "%s"' % CREATED,
        b'LIST "" "*"',
        *(
            b"APPEND Work (\\Seen) {%d+}\r\n%s" % (len(one), one)
            for one in (EIGHT, NAMELESS, plain(60))
        ),
        b"SELECT Work",
        b"UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])",
        b"LOGOUT",
    ]
    return _transcript(server, words, tagged=True)


def imap_login_by_sasl(server: Liar) -> list[bytes]:
    coded = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
    return _transcript(server, [b"AUTHENTICATE PLAIN " + coded], tagged=True)


def pop3_transcript(server: Liar) -> list[bytes]:
    login = [b"USER " + USER.encode(), b"PASS " + PASSWORD.encode()]
    retrieved = [b"RETR %d" % number for number in (1, 2, 15)]
    words = [b"CAPA", *login, b"STAT", b"UIDL", b"LIST", b"TOP 1 0", *retrieved, b"DELE 1", b"QUIT"]
    return _transcript(server, words) + _transcript(server, [*login, b"UIDL", b"LIST", b"QUIT"])


def _transcript(server: Liar, words: Sequence[bytes], *, tagged: bool = False) -> list[bytes]:
    with socket.create_connection((HOST, server.port), timeout=5) as sock:
        found = [said_after(sock, b"", lambda heard: heard.endswith(b"\r\n"))]
        for number, word in enumerate(words):
            end = _tagged(number) if tagged else _pop3_end(word)
            line = b"t%d %s\r\n" % (number, word) if tagged else word + b"\r\n"
            found.append(said_after(sock, line, end))
            if found[-1].endswith(SLOW):
                break
    return found


def _tagged(number: int) -> Callable[[bytes], bool]:
    end = re.compile(rb"(?m)^t%d .*\r\n\Z" % number)
    return lambda heard: end.search(heard) is not None


def _pop3_end(word: bytes) -> Callable[[bytes], bool]:
    if word.split()[0] in {b"CAPA", b"UIDL", b"LIST", b"TOP", b"RETR"}:
        return lambda heard: (
            re.search(rb"\r?\n\.\r?\n\Z|\A-ERR[^\n]*\r\n(?:-ERR[^\n]*\r\n)?\Z", heard) is not None
        )
    return lambda heard: heard.endswith(b"\n")


def transcript(lie: Lie | None, protocol: str) -> list[bytes]:
    mail = filled()
    lies = [lie] if lie else []
    for one in lies:
        if one.before:
            one.before(mail, [(b"INBOX", plain(50))])
        if one.between:
            one.between(mail)
    if protocol == "imap":
        with liar.imap(mail, *lies) as server:
            found = imap_transcript(server)
        with liar.imap(mail, *lies) as server:
            return found + imap_login_by_sasl(server)
    with liar.pop3(mail, *lies) as server:
        return pop3_transcript(server)


@pytest.fixture(scope="module")
def truth() -> dict[str, list[bytes]]:
    return {protocol: transcript(None, protocol) for protocol in ("imap", "pop3")}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: f"{lie.protocol}: {lie.name}")
def test_every_lie_is_told_on_the_wire(lie: Lie, truth: dict[str, list[bytes]]) -> None:
    assert transcript(lie, lie.protocol) != truth[lie.protocol]


def test_there_are_many_lies_each_with_a_name_of_its_own_and_a_word_on_the_wire() -> None:
    for lies in (IMAP_LIES, POP3_LIES):
        assert max(Counter(lie.name for lie in lies).values()) == 1
    assert len(LIES) >= 60
    assert all(lie.wire for lie in LIES)


def test_untold_lies_leave_two_servers_the_standard_library_can_talk_to() -> None:
    mail = filled()
    with liar.imap(mail) as server:
        client = imaplib.IMAP4(HOST, server.port, 20)
        client.login(USER, PASSWORD)
        assert (
            client.append("Work", "(\\Flagged)", '"01-Jan-2010 10:00:00 +0000"', EIGHT)[0] == "OK"
        )
        assert client.select("Work", readonly=True) == ("OK", [b"4"])
        answer = client.uid("FETCH", "4", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        client.logout()
        assert server.told == 0
    assert answer[0][1] == EIGHT
    assert b'FLAGS (\\Flagged) INTERNALDATE "01-Jan-2010 10:00:00 +0000"' in answer[0][0]
    with liar.pop3(mail) as server:
        pop = poplib.POP3(HOST, server.port, 20)
        pop.user(USER)
        pop.pass_(PASSWORD)
        assert b"".join(line + b"\r\n" for line in pop.retr(15)[1]) == DOTTED
        pop.dele(1)
        pop.quit()
    assert len(mail.box(b"INBOX").messages) == 14


def account(server: Liar, protocol: str, more: str = "") -> str:
    return (
        f"protocol: {protocol}, host: {HOST}, port: {server.port}, security: none,"
        f" username: {USER}, password: {PASSWORD}{more}"
    )


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_whole_way_over_truthful_servers_brings_every_message_once(
    protocol: str, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    old, new = Mail(), Mail()
    for content in [*varied(30, 3), *ugly().values(), DOTTED]:
        old.put(b"INBOX", content, [b"\\Flagged"])
    if protocol == "imap":
        old.put(CREATED, plain(1))
    start = liar.imap if protocol == "imap" else liar.pop3
    with start(old) as source, liar.imap(new) as destination:
        home.configure(
            old=account(source, protocol), new=account(destination, "imap", ", archive: unused")
        )
        for _ in range(2):
            home.well("pull", "old")
            home.well("verify", "old", "--remote")
            home.well("push", "old", "new")
    served = liar.ended if protocol == "pop3" else bytes
    wanted = Counter(served(one.content) for box in old.boxes.values() for one in box.messages)
    assert set(home.archived("old")) == set(wanted)
    assert {content for _, content in new.contents()} == set(wanted)
    assert max(new.contents().values()) == 1
