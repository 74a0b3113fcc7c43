"""Servers that rewrite what they take: a message that comes out otherwise than it went in is still
the same, and not sent twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.formats import header
from mailsync.model import INBOX, MailboxPath, Present
from mailsync.stores.memory import MemoryStore
from mailsync.stores.memory.server import Break
from tests.messages import plain, ugly
from tests.unit.engine.rig import Rig

Rewriting = Callable[[bytes], bytes]


def parted(content: bytes) -> tuple[bytes, bytes]:
    head = header.block(content)
    return head, content[len(head) :]


def cyrus(content: bytes) -> bytes:
    """8-bit octets in the header become X, also in the Message-ID."""
    head, rest = parted(content)
    return re.sub(rb"[\x80-\xff]", b"X", head) + rest


def courier(content: bytes) -> bytes:
    """No bare CR, CRLF at the end of every line, and of the last one too."""
    lined = content.replace(b"\r", b"").replace(b"\n", b"\r\n")
    return lined if lined.endswith(b"\r\n") else lined + b"\r\n"


def dovecot(content: bytes) -> bytes:
    """NUL becomes 0x80, a CR in front of a line end is dropped, and each line ends in CRLF."""
    return re.sub(rb"\r*\n", b"\r\n", content).replace(b"\0", b"\x80")


def tracing(content: bytes) -> bytes:
    """Fields that tell the way are added in front of the others."""
    if next(header.fields(parted(content)[0]), None) is None:
        return content
    return (
        b"Return-Path: <>\r\nDelivered-To: alice@example.org\r\nReceived: by"
        b" mx.example.org;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n" + content
    )


REWRITING: dict[str, Rewriting] = {
    "cyrus": cyrus,
    "courier": courier,
    "dovecot": dovecot,
    "tracing": tracing,
    "all of them": lambda content: tracing(cyrus(courier(dovecot(content)))),
}


class Rewriter(MemoryStore):
    """A destination that shows messages rewritten."""

    rewritten: Rewriting

    def presence(self, mailbox: MailboxPath, first_uid: int = 1) -> Iterator[Present]:
        for present in super().presence(mailbox, first_uid):
            uid = present.entry.ref.uid  # type: ignore[union-attr]
            ((_, body),) = self.bodies(mailbox, [uid])
            entry = replace(present.entry, size=len(body))
            yield Present(entry, header.block(body))

    def bodies(self, mailbox: MailboxPath, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        return ((uid, self.rewritten(body)) for uid, body in super().bodies(mailbox, uids))


def strange() -> list[bytes]:
    """Messages that servers rewrite: ugly ones, and more of the kinds that lost their way
    elsewhere.
    """
    eight_bit = [
        plain(n).replace(b"Message-ID: <plain.", f"Message-ID: <größe.{n}.".encode())
        for n in range(20, 24)
    ]
    no_id = [
        re.sub(rb"Message-ID: [^\r]*\r\n", b"", plain(n)).replace(
            b"Subject: ", b"Subject: \xe4\xf6 "
        )
        for n in range(30, 34)
    ]
    bare_cr = [
        plain(n).replace(b"second line", b"second\rline").replace(b"Subject: ", b"Subject: a\rb ")
        for n in range(40, 44)
    ]
    return [
        *filter(None, ugly().values()),
        *eight_bit,
        *no_id,
        *bare_cr,
        *map(plain, range(50, 54)),
    ]


@pytest.fixture(params=REWRITING)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Rig, Rewriter]:
    rig = Rig(tmp_path / "archive")
    for content in strange():
        rig.old.deliver(INBOX, content)
    rig.pull()
    made = Rewriter(rig.new, "new")
    made.rewritten = REWRITING[request.param]
    return rig, made


def test_nothing_is_sent_twice_to_a_server_that_rewrites_even_with_the_ledger_lost(
    store: tuple[Rig, Rewriter],
) -> None:
    rig, destination = store
    first = rig.push(store=destination)
    assert first.exit_code == 0
    assert rig.push(store=destination).total.new == 0
    rig.forget_ledger()
    report = rig.push(store=destination)
    assert [message for message in rig.there(INBOX) if rig.there(INBOX).count(message) > 1] == []
    assert (report.total.new, report.total.duplicate) == (0, first.total.new)


@pytest.mark.parametrize("then", ["kept", "late"])
def test_messages_without_an_answer_are_known_again_on_a_server_that_rewrites(
    store: tuple[Rig, Rewriter], then: str
) -> None:
    rig, destination = store
    everything = len(rig.messages(INBOX))
    rig.new.uidplus = False
    rig.new.breaks = [Break(3, then), Break(20, then)]  # type: ignore[arg-type]
    rig.clock.while_asleep = rig.new.settle
    report = rig.push(store=destination)
    assert (report.exit_code, report.total.new) == (0, everything)
    assert len(rig.there(INBOX)) == everything
