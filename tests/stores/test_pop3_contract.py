"""The contract of all sources, kept over POP3 with Dovecot (plain, STLS, TLS) and with a server
that keeps every octet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import CAPABILITIES, Pop3
from tests.stores.contract import Account, SourceContract, entries_of
from tests.stores.pop3_source_servers import DovecotAccount, TwistedAccount, close_all, contents


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


class TestWithDovecot(SourceContract):
    @pytest.fixture(params=["none", "starttls", "tls"])
    def account(self, dovecot: Dovecot, request: pytest.FixtureRequest) -> Account:
        return DovecotAccount(dovecot, dovecot.user(), request.param)

    def test_announced_sizes_are_those_of_the_contents(
        self, account: Account, put: Sequence[bytes]
    ) -> None:
        # Dovecot announces the size on its disk, and adds two octets to a message that does not end
        # with a line end.
        source = DovecotAccount.source(account) if isinstance(account, DovecotAccount) else None
        assert source is not None
        sizes = [entry.size or 0 for entry in entries_of(source)]
        differences = [
            len(content) - size for content, size in zip(contents(source), sizes, strict=True)
        ]
        assert len(sizes) == len(put)
        assert set(differences) <= {0, 2}
        assert differences.count(0) > len(put) * 3 / 4


class TestWithTwisted(SourceContract):
    @pytest.fixture
    def account(self, pop3_server: Callable[..., Pop3]) -> Account:
        return TwistedAccount(pop3_server())


class TestWithoutPipelining(SourceContract):
    @pytest.fixture
    def account(self, pop3_server: Callable[..., Pop3]) -> Account:
        return TwistedAccount(
            pop3_server(capabilities=[name for name in CAPABILITIES if name != "PIPELINING"])
        )


class TestWithPipeliningOff(SourceContract):
    @pytest.fixture
    def account(self, pop3_server: Callable[..., Pop3]) -> Account:
        return TwistedAccount(pop3_server(), {"pipelining": "off"})
