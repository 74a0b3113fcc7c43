"""The contract of all destinations, kept with Dovecot in several masks and with pymap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import pymap
from tests.servers.dovecot import Dovecot
from tests.stores.destination_contract import Account, DestinationContract
from tests.stores.imap_destination_servers import ImapAccount, dovecot_keeps, pymap_keeps


def dovecot_account(server: Dovecot) -> Account:
    return ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)


class TestWithDovecot(DestinationContract):
    @pytest.fixture
    def account(self, dovecot: Dovecot) -> Account:
        return dovecot_account(dovecot)


class TestWithoutTheFastWays(DestinationContract):
    @pytest.fixture
    def account(self, dovecot_plain_uid: Dovecot) -> Account:
        return dovecot_account(dovecot_plain_uid)


class TestWithAPoorServer(DestinationContract):
    @pytest.fixture
    def account(self, dovecot_poor: Dovecot) -> Account:
        return dovecot_account(dovecot_poor)


class TestWithPymap(DestinationContract):
    @pytest.fixture
    def account(self) -> Iterator[Account]:
        with pymap.start() as server:
            yield ImapAccount(
                server.port, server.user, server.password, pymap_keeps, keywords=False
            )
