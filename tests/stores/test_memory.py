"""The contract of all sources, kept by the store in memory: what the engine is tried with behaves
as real servers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mailsync.model import (
    INBOX,
    ArchivedMessage,
    Mailbox,
    Parcel,
    Refused,
    Scan,
    ScanRequest,
    UidRef,
    Unanswered,
)
from mailsync.stores.base import Destination, HeaderSource, Source, TailSource
from mailsync.stores.memory import Break, MemoryMaildrop, MemoryServer, MemoryStore
from tests.messages import plain
from tests.stores.contract import Account, SourceContract, scan_all


@dataclass(slots=True)
class MemoryAccount:
    kind: type[MemoryStore]
    server: MemoryServer = field(default_factory=MemoryServer)

    def source(self, password: str | None = None) -> Source:
        return self.kind(self.server, password=password or self.server.password)

    def put(self, content: bytes) -> bytes:
        self.server.deliver(INBOX, content)
        return content

    def lose(self, content: bytes) -> None:
        uid = next(
            uid
            for uid, message in self.server.boxes[INBOX].messages.items()
            if message.content == content
        )
        self.server.expunge(INBOX, uid)

    def contents(self) -> object:
        return {
            path: (dict(box.messages), box.uidnext, box.modseq)
            for path, box in self.server.boxes.items()
        }


class TestAsImap(SourceContract):
    @pytest.fixture
    def account(self) -> Account:
        return MemoryAccount(MemoryStore)


class TestAsImapWithModSequences(SourceContract):
    @pytest.fixture
    def account(self) -> Account:
        return MemoryAccount(MemoryStore, MemoryServer(condstore=True, object_ids=True))


class TestAsPop3(SourceContract):
    @pytest.fixture
    def account(self) -> Account:
        return MemoryAccount(MemoryMaildrop)


def test_it_can_all_that_stores_can() -> None:
    store = MemoryStore(MemoryServer())
    as_source: Source = store
    as_destination: Destination = store
    assert [as_source.account, as_destination.account] == ["memory"] * 2
    assert isinstance(store, HeaderSource)
    assert isinstance(store, TailSource)


def test_a_delta_names_what_is_new_changed_or_vanished_and_nothing_else() -> None:
    server = MemoryServer(condstore=True)
    uids = [server.deliver(INBOX, plain(number)) for number in range(5)]
    store = MemoryStore(server)
    before = scan_all(store)[0].state
    server.flag(INBOX, uids[1], "\\Seen")
    server.expunge(INBOX, uids[2])
    new = server.deliver(INBOX, plain(9))
    (scan,) = store.scan([ScanRequest(Mailbox(INBOX), before)])
    assert isinstance(scan, Scan)
    assert scan.since == before
    assert [entry.ref.uid for entry in scan.entries if isinstance(entry.ref, UidRef)] == [
        uids[1],
        new,
    ]
    assert scan.vanished == (range(uids[2], uids[2] + 1),)
    server.renumber(INBOX)
    (scan,) = store.scan([ScanRequest(Mailbox(INBOX), before)])
    assert isinstance(scan, Scan)
    assert (scan.since, len(scan.entries)) == (None, 5)


def parcels(count: int) -> list[Parcel]:
    contents = [plain(number) for number in range(count)]
    return [
        Parcel(
            ArchivedMessage(INBOX, content[-32:], content[-32:], len(content), frozenset(), 0),
            INBOX,
            content,
        )
        for content in contents
    ]


@pytest.mark.parametrize(
    ("then", "soon", "in_the_end"), [("lost", 7, 7), ("kept", 12, 12), ("late", 7, 12)]
)
def test_a_connection_that_breaks_leaves_messages_without_an_answer(
    then: str, soon: int, in_the_end: int
) -> None:
    server = MemoryServer()
    server.breaks = [Break(4, then)]  # type: ignore[arg-type]
    answers = list(MemoryStore(server).append(parcels(12)))
    assert [isinstance(answer, Unanswered) for answer in answers] == [False] * 3 + [True] * 5 + [
        False
    ] * 4
    assert len(server.contents(INBOX)) == soon
    server.settle()
    assert len(server.contents(INBOX)) == in_the_end


def test_a_refused_message_is_told_and_the_others_are_kept() -> None:
    server = MemoryServer()
    server.refuses = lambda content: "no" if b"number 3." in content else None
    answers = list(MemoryStore(server).append(parcels(12)))
    assert [answer.why for answer in answers if isinstance(answer, Refused)] == ["no"]
    assert len(server.contents(INBOX)) == 11
