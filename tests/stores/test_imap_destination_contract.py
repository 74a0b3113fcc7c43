"""The contract of all destinations, kept with Dovecot in several masks and with pymap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import pymap
from tests.servers.dovecot import Dovecot
from tests.stores.destination_contract import DestinationContract, House
from tests.stores.imap_destination_servers import ImapHouse, dovecot_keeps, pymap_keeps


def dovecot_house(server: Dovecot) -> House:
    return ImapHouse(server.imap_port, server.user(), server.password, dovecot_keeps)


class TestWithDovecot(DestinationContract):
    @pytest.fixture
    def house(self, dovecot: Dovecot) -> House:
        return dovecot_house(dovecot)


class TestWithoutTheFastWays(DestinationContract):
    @pytest.fixture
    def house(self, dovecot_plain_uid: Dovecot) -> House:
        return dovecot_house(dovecot_plain_uid)


class TestWithAPoorServer(DestinationContract):
    @pytest.fixture
    def house(self, dovecot_poor: Dovecot) -> House:
        return dovecot_house(dovecot_poor)


class TestWithPymap(DestinationContract):
    @pytest.fixture
    def house(self) -> Iterator[House]:
        with pymap.start() as server:
            yield ImapHouse(server.port, server.user, server.password, pymap_keeps, keywords=False)
