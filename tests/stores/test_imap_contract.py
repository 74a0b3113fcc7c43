"""The contract of all sources, kept with Dovecot, with a Dovecot that offers nothing beyond RFC
3501, and with pymap.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import pymap
from tests.servers.dovecot import Dovecot
from tests.stores.contract import Account, SourceContract
from tests.stores.imap_source_servers import DovecotAccount, PymapAccount, close_all


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


class TestWithDovecot(SourceContract):
    @pytest.fixture
    def account(self, dovecot: Dovecot) -> Account:
        return DovecotAccount(dovecot, dovecot.user())


class TestWithAPoorServer(SourceContract):
    @pytest.fixture
    def account(self, dovecot_poor: Dovecot) -> Account:
        return DovecotAccount(dovecot_poor, dovecot_poor.user())


class TestWithPymap(SourceContract):
    @pytest.fixture
    def account(self) -> Iterator[Account]:
        with pymap.start() as server:
            account = PymapAccount(server)
            yield account
            account.close()
