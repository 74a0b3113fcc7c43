"""What every source must do, whatever it speaks: inherit `SourceContract` and give it an
`account`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from mailsync.errors import AuthenticationFailed, MailboxError
from mailsync.formats.header import block
from mailsync.model import INBOX, Entry, Message, Scan, ScanRequest, Unfetched
from mailsync.stores.base import HeaderSource, Source
from tests import messages


class Account(Protocol):
    """A server with one fresh, empty account."""

    def source(self, password: str | None = None) -> Source:
        """Make a new source for the account; `password` None is the right one."""

    def put(self, content: bytes) -> bytes:
        """Add a message to the inbox behind every source's back; returns the octets the server must
        send for it.
        """

    def lose(self, content: bytes) -> None:
        """Remove a message from the inbox in the same way; `content` as `put` returned it."""

    def contents(self) -> object:
        """Tell all there is on the server: messages, flags, everything a source might change.

        Equal when nothing was changed.
        """


def scan_all(source: Source) -> list[Scan]:
    """Scan every mailbox in full."""
    boxes = [box for box in source.mailboxes() if box.selectable]
    scans = []
    for scan in source.scan(ScanRequest(box) for box in boxes):
        assert not isinstance(scan, MailboxError), scan
        scans.append(scan)
    return scans


def entries_of(source: Source) -> list[Entry]:
    """Scan every mailbox, and give all entries."""
    return [entry for scan in scan_all(source) for entry in scan.entries]


def contents_of(source: Source) -> list[bytes]:
    """Bring everything there is; what does not come fails the test."""
    got = list(source.fetch(entries_of(source)))
    assert all(isinstance(one, Message) for one in got), got
    return sorted(one.content for one in got if isinstance(one, Message))


class SourceContract:
    """Inherit, and define the fixture `account`."""

    @pytest.fixture
    def account(self) -> Account:
        raise NotImplementedError

    @pytest.fixture
    def put(self, account: Account) -> Sequence[bytes]:
        return sorted(account.put(content) for content in messages.varied(40, 7) if content)

    def test_an_empty_account_has_an_inbox_and_no_messages(self, account: Account) -> None:
        source = account.source()
        assert INBOX in [box.path for box in source.mailboxes()]
        assert entries_of(source) == []
        source.close()

    def test_every_message_comes_byte_for_byte(
        self, account: Account, put: Sequence[bytes]
    ) -> None:
        source = account.source()
        assert contents_of(source) == put
        source.close()

    def test_announced_sizes_are_those_of_the_contents(
        self, account: Account, put: Sequence[bytes]
    ) -> None:
        source = account.source()
        assert sorted(entry.size or 0 for entry in entries_of(source)) == sorted(map(len, put))
        source.close()

    def test_a_wish_for_nothing_brings_nothing(self, account: Account) -> None:
        source = account.source()
        assert list(source.fetch([])) == []
        assert list(source.scan([])) == []
        source.close()

    @pytest.mark.usefixtures("put")
    def test_nothing_on_the_server_is_changed(self, account: Account) -> None:
        before = account.contents()
        source = account.source()
        contents_of(source)
        source.close()
        assert account.contents() == before

    @pytest.mark.usefixtures("put")
    def test_messages_are_fetched_while_the_scan_goes_on(self, account: Account) -> None:
        source = account.source()
        boxes = [box for box in source.mailboxes() if box.selectable]
        scans = source.scan(ScanRequest(box) for box in boxes)
        got = list(
            source.fetch(
                entry for scan in scans if isinstance(scan, Scan) for entry in scan.entries
            )
        )
        assert len(got) == len(entries_of(source))
        source.close()

    @pytest.mark.usefixtures("put")
    def test_the_same_message_may_be_asked_for_twice(self, account: Account) -> None:
        source = account.source()
        entry = entries_of(source)[0]
        first, second = source.fetch([entry, entry])
        assert isinstance(first, Message)
        assert first == second
        source.close()

    def test_a_message_lost_between_scan_and_fetch_is_told_and_the_others_come(
        self, account: Account, put: Sequence[bytes]
    ) -> None:
        source = account.source()
        entries = entries_of(source)
        source.close()
        account.lose(put[3])
        source = account.source()
        source.mailboxes()
        got = list(source.fetch(entries))
        lost = [one for one in got if isinstance(one, Unfetched)]
        assert [one.expunged for one in lost] == [True]
        assert sorted(one.content for one in got if isinstance(one, Message)) == [
            *put[:3],
            *put[4:],
        ]
        source.close()

    def test_a_wrong_password_is_said_to_be_one_without_naming_it(self, account: Account) -> None:
        source = account.source("not-the-password")
        with pytest.raises(AuthenticationFailed) as caught:
            source.mailboxes()
        assert "not-the-password" not in str(caught.value)
        source.close()

    def test_headers_are_the_header_blocks_of_the_messages(self, account: Account) -> None:
        put = [account.put(messages.plain(number)) for number in range(10)]
        source = account.source()
        if isinstance(source, HeaderSource):
            got = sorted(part.content for part in source.headers(entries_of(source)))
            assert got == sorted(block(content) for content in put)
        source.close()

    def test_a_source_may_be_closed_twice_and_before_it_was_used(self, account: Account) -> None:
        account.source().close()
        source = account.source()
        source.mailboxes()
        source.close()
        source.close()
