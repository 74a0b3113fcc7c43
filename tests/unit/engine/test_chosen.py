"""What is chosen is what the server lacks: neither what is back, nor what nobody has looked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailsync.app.verify import with_restored
from mailsync.archive import Archive, reindex
from mailsync.engine.chosen import Chosen
from mailsync.engine.coverage import Coverage
from mailsync.engine.push import push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.mapping import MappingRules
from mailsync.model import INBOX, Entry, UidRef
from mailsync.stores.memory import MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig, routed, swapped

ALERT = b"From: device@example.org\r\nSubject: disk\r\n\r\nfull\r\n"
GONE = Selection(include_gone=True)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive", dedupe="none")


def restored(rig: Rig, selection: Selection) -> Report:
    """Restore to the very server that the mail came from."""
    store = MemoryStore(rig.old, ACCOUNT)
    report = Report("restore", ACCOUNT, store.key)
    with rig.archive() as archive, archive.push(ACCOUNT, store.key) as run:
        targets = find_targets(archive, ACCOUNT, store.mailboxes(), MappingRules(), selection)
        targets = replace(targets, at_home=True)
        push(rig.session(run, store, report), targets, restore=True)
        run.finish(complete=report.complete, report=report.as_json())
    return report


def chosen(rig: Rig, selection: Selection) -> list[bool]:
    """Whether each chosen message of the inbox is gone."""
    with Archive.read(rig.directory) as archive:
        found = Chosen(archive, ACCOUNT, selection).messages(INBOX)
        return sorted(message.gone for message in found)


def test_every_copy_comes_back_once_however_often_one_restores_and_pulls(rig: Rig) -> None:
    for content in (ALERT, ALERT, plain(1)):
        rig.old.deliver(INBOX, content)
    rig.pull()
    first = next(iter(rig.old.boxes[INBOX].messages))
    rig.old.expunge(INBOX, first)
    rig.pull()
    assert restored(rig, GONE).total.new == 1
    rig.old.boxes[INBOX].messages.clear()
    rig.pull()
    for _ in range(3):
        restored(rig, GONE)
        assert sorted(rig.old.contents(INBOX)) == sorted([ALERT, ALERT, plain(1)])
        rig.pull()
        assert chosen(rig, GONE) == [False] * 3


def test_what_was_moved_comes_back_with_a_day_only_where_it_is_asked_for(rig: Rig) -> None:
    uids = [rig.old.deliver(INBOX, plain(number)) for number in range(3)]
    rig.pull()
    with Archive.read(rig.directory) as archive:
        run = archive.runs(ACCOUNT, 1)[0].id
    rig.old.move(INBOX, uids[0], ("Work",))
    rig.pull()
    assert len(chosen(rig, Selection(sending=True, as_of=run))) == 2
    assert len(chosen(rig, Selection(sending=True, as_of=run, also_moved=True))) == 3


def test_a_mailbox_of_which_nothing_is_chosen_is_not_made(rig: Rig) -> None:
    rig.old.deliver(("Old",), plain(1))
    rig.old.deliver(INBOX, plain(2))
    rig.pull()
    rig.old.rename(("Old",), ("New",))
    rig.pull()
    restored(rig, GONE)
    restored(rig, Selection(search="number 2"))
    assert set(rig.old.boxes) == {INBOX, ("New",)}


def test_what_nobody_has_looked_for_since_a_reindex_is_not_sent(rig: Rig) -> None:
    uids = [rig.old.deliver(INBOX, plain(number)) for number in range(3)]
    rig.pull()
    rig.old.expunge(INBOX, uids[0])
    rig.pull()
    for file in rig.directory.glob("catalogue*"):
        file.unlink()
    reindex(rig.directory, ACCOUNT, by_uid=True)
    assert chosen(rig, Selection(sending=True)) == []
    assert len(chosen(rig, Selection(include_gone=True, sending=True))) == 3
    rig.pull()
    assert len(chosen(rig, Selection(sending=True))) == 2


def test_what_was_restored_is_no_loss_and_not_missing_where_uid_and_size_are_those_told(
    rig: Rig,
) -> None:
    uids = [rig.old.deliver(INBOX, plain(number)) for number in range(3)]
    rig.pull()
    rig.old.expunge(INBOX, uids[0])
    rig.pull()
    restored(rig, GONE)
    store = MemoryStore(rig.old, ACCOUNT)
    with Archive.read(rig.directory) as archive:
        (loss,) = Chosen(archive, ACCOUNT, Selection(), store.key).losses()
        sent = archive.sent(store.key, INBOX)
    assert (loss.lost, loss.restored) == (0, 1)
    validity, uid, size = max(sent)
    assert (uid, size) == (max(rig.old.boxes[INBOX].messages), len(plain(0)))

    def missing(seen: int) -> int:
        ref = UidRef(INBOX, validity, uid)
        found = Coverage(INBOX, 3, missing=(Entry(ref, seen, frozenset(), 0),))
        with Archive.read(rig.directory) as archive:
            return len(with_restored(found, archive, store.key).missing)

    assert (missing(size), missing(size + 1)) == (0, 1)


def test_what_was_moved_since_the_last_pull_is_not_sent_unless_asked_for(rig: Rig) -> None:
    uids = [rig.old.deliver(INBOX, plain(number)) for number in range(4)]
    rig.old.deliver(("Work",), plain(50))
    rig.pull()
    rig.old.move(INBOX, uids[0], ("Work",))
    rig.old.move(INBOX, uids[1], ("New",))
    rig.old.expunge(INBOX, uids[2])
    report = restored(rig, Selection())
    assert report.total.new == 1
    assert sorted(rig.old.contents(INBOX)) == [plain(2), plain(3)]
    (note,) = report.notes
    assert "2 messages that were in here went to another mailbox since" in note.text
    assert restored(rig, Selection(also_moved=True)).total.new == 2


def test_a_header_alone_in_another_mailbox_is_no_message_that_was_moved(rig: Rig) -> None:
    uid = rig.old.deliver(INBOX, routed(1))
    rig.pull()
    rig.old.expunge(INBOX, uid)
    rig.old.deliver(("Work",), swapped(routed(1)))
    assert restored(rig, Selection()).total.new == 1
