"""The whole way with servers out of Debian packages, Courier, Cyrus and GNU Mailutils: pulled from
them, pushed into mailboxes that hold messages, resumed after a cut, restored.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.imap_client import NAMES, DebianServer, session
from tests.system.cli_home import Home, filled, imap

pytestmark = pytest.mark.long


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest) -> DebianServer:
    found: DebianServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def account(server: DebianServer, user: str, protocol: str = "imap", port: int = 0) -> str:
    known = server.imap_port if protocol == "imap" else server.pop3_port
    return (
        f"protocol: {protocol}, host: {server.host}, port: {port or known}, security: none,"
        f' username: "{user}", password: {{env: PASSWORD}}, timeout: 10'
    )


def bare(content: bytes) -> bytes:
    """Return a message without the headers Mailutils keeps its state in."""
    return re.sub(rb"(?m)^(?:X-IMAPbase|X-UID|Status|X-UIDL):.*\r\n", b"", content)


def there(server: DebianServer, user: str, path: tuple[str, ...] = ("INBOX",)) -> Counter[bytes]:
    with session(server, user) as client:
        return Counter(bare(one.content) for one in client.messages(path))


def put(server: DebianServer, user: str, numbers: range) -> None:
    with session(server, user) as client:
        assert all(client.append(plain(number)) for number in numbers)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_everything_is_pulled_and_a_second_pull_has_nothing_to_do(
    server: DebianServer, home: Home, protocol: str
) -> None:
    user = server.user()
    put(server, user, range(12))
    home.configure(a=account(server, user, protocol))

    home.well("pull")
    first = home.archived("a")
    home.well("pull")
    home.well("verify", "--remote")

    assert Counter(map(bare, first)) == Counter(plain(number) for number in range(12))
    assert home.archived("a") == first


def test_a_push_into_a_mailbox_that_holds_messages_adds_what_is_missing_once(
    server: DebianServer, home: Home, dovecot: Dovecot
) -> None:
    user = server.user()
    put(server, user, range(3, 8))
    home.configure(old=imap(dovecot, filled(dovecot, 6)), new=account(server, user))
    home.well("pull", "old")

    home.well("push", "old", "new")
    home.well("push", "old", "new")

    assert there(server, user) == Counter(plain(number) for number in range(8))


def test_a_migration_that_was_cut_goes_on_and_doubles_nothing(
    server: DebianServer, home: Home, dovecot: Dovecot
) -> None:
    user = server.user()
    old = imap(dovecot, filled(dovecot, 40))
    with Cutter(server.imap_port, Cut(9_000, "to_server")) as cutter:
        home.configure(old=old, new=account(server, user, port=cutter.port))
        home.run("migrate", "old", "new")
    home.configure(old=old, new=account(server, user))

    home.well("migrate", "old", "new")
    home.well("migrate", "old", "new")

    assert there(server, user) == Counter(plain(number) for number in range(40))


def test_lost_messages_are_restored_to_where_they_were(server: DebianServer, home: Home) -> None:
    user = server.user()
    put(server, user, range(8))
    home.configure(a=account(server, user))
    home.well("pull")
    with session(server, user) as client:
        client.expunge([one.uid for one in client.messages()[2:6]])

    home.well("restore", "a")
    home.well("restore", "a")

    assert there(server, user) == Counter(plain(number) for number in range(8))
