"""Presence is no delivery: what is there under a message's header is that message only if its body
is, and what is there under another header may be it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from mailsync.model import INBOX
from mailsync.stores.imap.repair import repaired
from mailsync.stores.memory import MemoryStore
from tests.unit.engine.rig import Keeper, Rig, headed, kinds, proved, routed, swapped

MESSAGES = 30


def identified(content: bytes) -> bytes:
    return content if b"\nMessage-ID:" in content else b"Message-ID: <made@new>\r\n" + content


def external(content: bytes) -> bytes:
    return re.sub(rb"Subject: ", b"Subject: [External] ", content, count=1)


def renamed(content: bytes) -> bytes:
    """Without a Message-ID of its own: the server writes another one."""
    return re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <another.%d@new>" % len(content), content)


def nameless(number: int) -> bytes:
    return re.sub(rb"Message-ID: [^\r]*\r\n", b"", routed(number))


@pytest.fixture(params=[True, False], ids=["uidplus", "no uidplus"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive", new=Keeper(uidplus=request.param))
    for number in range(MESSAGES):
        rig.old.deliver(INBOX, routed(number))
    rig.pull()
    return rig


@pytest.mark.parametrize("left", [headed, swapped, lambda content: content + b"more\r\n"])
@pytest.mark.parametrize("restore", [True, False])
def test_what_an_earlier_tool_left_of_a_message_does_not_keep_it_away(
    rig: Rig, left: Callable[[bytes], bytes], restore: bool
) -> None:
    for number in range(MESSAGES):
        rig.new.deliver(INBOX, left(routed(number)))

    assert rig.push(restore=restore).total.new == MESSAGES
    assert rig.push(restore=restore).total.new == 0
    rig.forget_ledger()
    assert rig.push(restore=restore).total.new == 0
    there = rig.there(INBOX)
    assert all(there.count(routed(number)) == 1 for number in range(MESSAGES))


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (rb"Subject: ", b"Subject: Fwd of "),
        (rb"Subject: [^\r]*", b"Subject: something else"),
        (rb"From: [^\r]*", b"From: Alice via a list <list@example.org>"),
        (rb"Date: [^\r]*", b"Date: Tue, 2 Jan 2024 00:00:00 +0000"),
    ],
)
@pytest.mark.parametrize("restore", [True, False])
def test_what_a_list_sent_on_under_the_same_message_id_does_not_keep_the_message_away(
    rig: Rig, pattern: bytes, other: bytes, restore: bool
) -> None:
    """The archive holds both as different messages, so the destination has to."""
    changed = [re.sub(pattern, other, routed(number), count=1) for number in range(MESSAGES)]
    for content in changed:
        rig.old.deliver(INBOX, content)
    rig.pull()
    for content in [routed(number) for number in range(MESSAGES)]:
        rig.new.deliver(INBOX, content)
    for number in range(MESSAGES):
        rig.old.expunge(INBOX, number + 1)
    rig.pull()

    assert rig.push(restore=restore).total.new == MESSAGES
    there = rig.there(INBOX)
    assert all(there.count(content) == 1 for content in changed)
    assert rig.push(restore=restore).total.new == 0


def test_one_forged_message_among_all_the_genuine_ones_is_not_taken_for_delivery(rig: Rig) -> None:
    rig.push()
    rig.forget_ledger()
    uids = sorted(rig.new.boxes[INBOX].messages)
    rig.new.expunge(INBOX, uids[7])
    rig.new.deliver(INBOX, swapped(routed(7)).replace(b"id 7;", b"id 8;"))

    assert rig.push().total.new == 1
    assert rig.there(INBOX).count(routed(7)) == 1


def test_what_is_there_whole_is_known_again_without_its_bodies(rig: Rig) -> None:
    """But for the sample."""
    for number in range(MESSAGES):
        rig.new.deliver(INBOX, b"X-Spam-Status: No\r\n" + routed(number).replace(b"\r\n", b"\n"))
    assert (rig.push().total.duplicate, rig.push().total.new) == (MESSAGES, 0)


@pytest.mark.parametrize("change", [identified, external, renamed])
def test_restoring_thrice_to_a_server_that_rewrites_headers_doubles_nothing(
    rig: Rig, change: Callable[[bytes], bytes]
) -> None:
    for number in range(MESSAGES, MESSAGES + 3):
        rig.old.deliver(INBOX, nameless(number))
    rig.pull()
    rig.keeper.keeps = lambda content: [change(content)]

    for expected in (MESSAGES + 3, 0, 0):
        assert rig.push(restore=True).total.new == expected
    rig.forget_ledger()
    assert rig.push(restore=True).total.new == 0
    rig.forget_ledger()
    assert rig.push().total.new == 0
    assert len(rig.there(INBOX)) == MESSAGES + 3


def test_a_restore_sends_what_the_server_lost_the_body_of(rig: Rig) -> None:
    rig.push()
    box = rig.new.boxes[INBOX]
    uid = next(uid for uid, one in box.messages.items() if one.content == routed(3))
    rig.new.expunge(INBOX, uid)
    rig.new.deliver(INBOX, headed(routed(3)))

    assert rig.push(restore=True).total.new == 1
    assert rig.there(INBOX).count(routed(3)) == 1


def test_a_listing_that_shows_less_than_there_is_sends_nothing_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.push()

    class Hiding(Keeper):
        """It counts more messages than it shows."""

    full = rig.new.state(INBOX)
    hidden = Hiding()
    hidden.boxes = rig.new.boxes
    kept = hidden.boxes[INBOX].messages
    hidden.boxes[INBOX].messages = {uid: one for uid, one in kept.items() if uid % 2}
    monkeypatch.setattr(hidden, "state", lambda _: full)
    rig.new = hidden
    report = rig.push(restore=True)
    assert (report.total.new, report.exit_code) == (0, 3)


def odd(number: int) -> bytes:
    return routed(number) + b"a NUL: \0.\r\n" + b"and more of it\r\n" * 20


def marked(content: bytes, original: bytes) -> bytes:
    return b"X-Mailsync-Repaired: %s\r\n" % sha256(original).hexdigest().encode() + content


def strict(rig: Rig) -> MemoryStore:
    rig.new.refuses = lambda content: "NO [CANNOT] NUL" if b"\0" in content else None
    return MemoryStore(rig.new, "new", repair=repaired)


@pytest.mark.parametrize("restore", [True, False])
def test_what_only_says_that_it_is_the_repaired_copy_of_a_message_does_not_keep_it_away(
    rig: Rig, restore: bool
) -> None:
    for number in range(MESSAGES):
        rig.new.deliver(INBOX, marked(routed(900 + number), routed(number)))

    assert rig.push(restore=restore).total.new == MESSAGES
    assert rig.push(restore=restore).total.new == 0


@pytest.mark.parametrize("restore", [True, False])
def test_repaired_copies_are_known_again_with_and_without_the_ledger(
    rig: Rig, restore: bool
) -> None:
    rig.old.deliver(INBOX, odd(70))
    rig.pull()
    store = strict(rig)
    assert rig.push(store=store).total.repaired == 1
    assert rig.push(store=store, restore=restore).total.new == 0
    rig.forget_ledger()
    assert rig.push(store=store, restore=restore).total.new == 0


def test_a_message_that_was_sent_as_a_repaired_copy_once_is_restored_no_second_time(
    rig: Rig,
) -> None:
    """It is a message as any other where it is pulled again."""
    for server in (rig.old, rig.new):
        server.deliver(INBOX, marked(routed(80), b"what it stood for on another server"))
    rig.pull()

    assert rig.push(restore=True).total.new == MESSAGES
    assert rig.there(INBOX).count(marked(routed(80), b"what it stood for on another server")) == 1


def test_a_repaired_copy_of_which_the_server_kept_a_part_is_not_taken_for_the_message(
    rig: Rig,
) -> None:
    rig.old.deliver(INBOX, odd(70))
    rig.pull()
    rig.keeper.keeps = lambda content: (
        [content[: len(content) * 3 // 4]] if b"Repaired" in content else [content]
    )
    store = strict(rig)

    assert kinds(proved(rig, store)) == {"repaired": 2, "differs": 1}
