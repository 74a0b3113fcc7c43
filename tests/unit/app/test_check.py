from __future__ import annotations

from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from mailsync.app.accounts import Login
from mailsync.app.check import Finding, _count
from mailsync.app.imap_beside import imap_beside, imap_places
from mailsync.config.account import Pop3Account
from mailsync.config.url import parse_url
from mailsync.errors import MailboxError
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource
from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Lie, Mail
from tests.servers.lies import refusing
from tests.stores.imap_source_servers import endpoint


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("pop3s://alice@mx.example", [(993, "tls")]),
        ("pop3s://alice@mx.example:1995", [(993, "tls"), (1993, "tls")]),
        ("pop3://alice@mx.example", [(993, "tls"), (143, "starttls")]),
        (
            "pop3://alice@mx.example:2110",
            [(993, "tls"), (2108, "tls"), (143, "starttls"), (2108, "starttls")],
        ),
        ("pop3://alice@localhost", [(993, "tls"), (143, "none")]),
        ("pop3s://alice@localhost:1995", [(993, "tls"), (1993, "tls")]),
        # At the other end of a tunnel is another server, and anybody may listen beside it.
        ("pop3://alice@localhost:2110", []),
        ("pop3://alice@127.0.0.1:2110", []),
    ],
)
def test_imap_is_looked_for_never_with_less_security_than_the_pop3_account_has(
    url: str, places: list[tuple[int, str]]
) -> None:
    settings = parse_url(url).settings
    assert isinstance(settings, Pop3Account)
    assert list(imap_places(settings)) == places


def test_a_password_goes_without_tls_to_no_port_that_a_neighbour_may_have() -> None:
    settings = Pop3Account(
        protocol="pop3",
        host="mx.example",
        port=2110,
        security="none",
        allow_plaintext=True,
        username="alice",
    )
    assert list(imap_places(settings)) == [(993, "tls"), (2108, "tls"), (143, "none")]


def test_a_server_that_lists_mailboxes_and_opens_none_is_found_out() -> None:
    words = b"EXAMINE Unsafe Login. Please contact us"
    lie = Lie("mailboxes stay shut", "NO", "imap", instead=refusing("EXAMINE", words))
    mail = Mail()
    mail.put(b"INBOX", plain(1))
    with liar.imap(mail, lie) as server:
        source = ImapSource(
            "old", endpoint(server.port), Credentials.fixed(mail.user, mail.password)
        )
        with closing(source), pytest.raises(MailboxError, match="Unsafe Login"):
            _count(source, Finding("old"))


def test_imap_that_refuses_the_login_is_not_asked_twice(tmp_path: Path) -> None:
    settings = parse_url("pop3://alice@localhost").settings
    login = Login("old", settings, tmp_path, "maildir", "strict", "old")
    mail = Mail(password="another")
    with liar.imap(mail) as server:
        places = [(server.port, "none")] * 2
        with patch("mailsync.app.imap_beside.imap_places", return_value=iter(places)):
            assert imap_beside(login, "secret") is None
        words = [line.upper().split()[1:2] for line in server.heard]
    assert words.count([b"AUTHENTICATE"]) + words.count([b"LOGIN"]) == 1
