"""The contract of all destinations, kept with Dovecot in several masks and with pymap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mailsync.model import Unanswered
from mailsync.stores.base import Destination
from tests.servers import pymap
from tests.servers.courier import Courier
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mailutils import Mailutils
from tests.stores.destination_contract import Account, DestinationContract, parcel
from tests.stores.imap_destination_servers import (
    ImapAccount,
    courier_keeps,
    cyrus_keeps,
    dovecot_keeps,
    mailutils_shows,
    pymap_keeps,
)


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


def debian_account(
    server: Courier | Cyrus | Mailutils, kept: Callable[[bytes], bytes], *, strict: bool = False
) -> ImapAccount:
    return ImapAccount(
        server.imap_port,
        server.user(),
        server.password,
        kept,
        prefix=server.prefix,
        delimiter=server.delimiter,
        strict=strict,
    )


@pytest.mark.long
class TestWithCourier(DestinationContract):
    @pytest.fixture
    def account(self, courier: Courier) -> Account:
        return debian_account(courier, courier_keeps)


@pytest.mark.long
class TestWithCyrus(DestinationContract):
    @pytest.fixture
    def account(self, cyrus: Cyrus) -> Account:
        return debian_account(cyrus, cyrus_keeps, strict=True)


@pytest.mark.long
class TestWithMailutils(DestinationContract):
    """It keeps messages as an mbox file has them, loses what follows a NUL, and hangs up on an
    empty message, which therefore stays without an answer.
    """

    spoilt = frozenset(
        {"one_line_end", "header_without_blank_line", "header_without_body", "header_cut_in_a_line"}
        | {"mbox_from_line_first", "bare_cr_in_body", "bare_cr_in_header", "cr_at_the_end"}
        | {"nul_in_header", "nul_in_body", "space_before_colon", "trace_fields", "date_empty"}
        | {"utf16"}
    )

    @pytest.fixture
    def account(self, mailutils: Mailutils) -> Account:
        return replace(
            debian_account(mailutils, courier_keeps, strict=True),
            keywords=False,
            shown=mailutils_shows,
        )

    def test_an_empty_message_is_repaired_and_said_so_or_refused_where_repairs_are_off(
        self, make: Callable[..., Destination]
    ) -> None:
        answers = list(make().append([parcel(b"")]))
        assert [type(answer) for answer in answers] == [Unanswered]
