"""The servers out of Debian packages answer what they are there for: a login, an append, a listing
and a fetch by the standard library.
"""

from __future__ import annotations

import imaplib
import poplib
import re

import pytest

from tests.messages import plain
from tests.servers.courier import Courier
from tests.servers.cyrus import Cyrus
from tests.servers.mailutils import Mailutils

Server = Courier | Cyrus | Mailutils

pytestmark = pytest.mark.long


@pytest.fixture(params=["courier", "cyrus", "mailutils"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def own_headers_off(content: bytes) -> bytes:
    """Return a message without what Mailutils writes into the mbox file it keeps."""
    return re.sub(rb"(?m)^(?:X-IMAPbase|X-UID|Status|X-UIDL):.*\r\n", b"", content)


def bodies(answer: list[object]) -> list[bytes]:
    return [own_headers_off(one[1]) for one in answer if isinstance(one, tuple)]


def test_messages_appended_by_imap_are_listed_and_fetched_by_both_protocols(
    server: Server,
) -> None:
    user = server.user()
    sent = [plain(1), plain(2)]
    with imaplib.IMAP4(server.host, server.imap_port, 20) as client:
        client.login(user, server.password)
        when = '"01-Jan-2010 10:00:00 +0000"'
        for content in sent:
            assert client.append("INBOX", "(\\Seen)", when, content)[0] == "OK"
        assert client.create(f"{server.prefix}Work")[0] == "OK"
        assert client.append(f"{server.prefix}Work", "", "", plain(3))[0] == "OK"

    with imaplib.IMAP4(server.host, server.imap_port, 20) as client:
        client.login(user, server.password)
        listed = client.list()[1]
        assert client.select("INBOX", readonly=True) == ("OK", [b"2"])
        fetched = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        assert client.select(f"{server.prefix}Work", readonly=True) == ("OK", [b"1"])
        work = client.fetch("1:*", "(BODY.PEEK[])")[1]
    assert any(isinstance(line, bytes) and b"Work" in line for line in listed)
    assert bodies(list(fetched)) == sent
    assert bodies(list(work)) == [plain(3)]
    heads = [one[0] for one in fetched if isinstance(one, tuple)]
    assert all(b"\\Seen" in head for head in heads), heads
    assert all(b"-Jan-2010 10:00:00" in head for head in heads), heads

    pop = poplib.POP3(server.host, server.pop3_port, 20)
    pop.user(user)
    pop.pass_(server.password)
    assert len(pop.uidl()[1]) == 2
    assert [
        own_headers_off(b"".join(line + b"\r\n" for line in pop.retr(number)[1]))
        for number in (1, 2)
    ] == sent
    pop.quit()


def test_a_wrong_password_opens_neither_door(server: Server) -> None:
    user = server.user()
    with (
        imaplib.IMAP4(server.host, server.imap_port, 20) as client,
        pytest.raises(imaplib.IMAP4.error),
    ):
        client.login(user, "wrong")
    pop = poplib.POP3(server.host, server.pop3_port, 20)
    pop.user(user)
    with pytest.raises(poplib.error_proto):
        pop.pass_("wrong")
    pop.close()
