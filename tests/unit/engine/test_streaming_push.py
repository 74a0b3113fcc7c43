"""A push beside its pull: messages go out while others still come, and the end is that of a pull
and a push one after the other.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailsync.archive import Archive
from mailsync.archive.storage import write_worker
from mailsync.engine.pull import pull
from mailsync.engine.push import AnnouncedProgress, StreamingPush, openings, streaming_push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.errors import ArchiveError, ConnectionLost, DiskFull, MailboxError, OverQuota
from mailsync.mapping import MappingRules
from mailsync.model import INBOX, Entry, Mailbox, MailboxPath, Message, Room, Unfetched
from mailsync.progress import Silence
from mailsync.stores.base import Destination, Source
from mailsync.stores.memory import Break, MemoryServer, MemoryStore
from tests.messages import plain
from tests.unit.engine.rig import ACCOUNT, Rig, kinds
from tests.unit.engine.test_room import Bounded

WORK: MailboxPath = ("Work",)
SOON = 100.0


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming_push, "REST", 0.005)


@pytest.fixture(params=[True, False], ids=["uidplus", "plain"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive", new=MemoryServer(uidplus=request.param))


class Tide(MemoryStore):
    """A source that does something before it sends the message of that number."""

    def __init__(self, server: MemoryServer, at: int, event: Callable[[], None]) -> None:
        super().__init__(server, ACCOUNT)
        self._at = at
        self._event = event

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        for number, got in enumerate(super().fetch(wanted)):
            if number == self._at:
                self._event()
            yield got


class Slow(MemoryStore):
    """A destination at whose first mailbox something happens."""

    def __init__(self, server: MemoryServer, event: Callable[[], None]) -> None:
        super().__init__(server, "new")
        self._events = [event]

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        answers = super().create(wanted)
        while self._events:
            self._events.pop()()
        return answers


def together(
    rig: Rig, source: Source | None = None, store: Destination | None = None
) -> tuple[Report, Report]:
    """Migrate as the command does."""
    source, store = source or MemoryStore(rig.old, ACCOUNT), store or MemoryStore(rig.new, "new")
    pulled, pushed = Report("pull", ACCOUNT), Report("push", ACCOUNT, store.key)
    with rig.archive() as archive:
        listed = source.mailboxes()
        targets = find_targets(
            archive, ACCOUNT, store.mailboxes(), MappingRules(), Selection(), listed
        )
        with archive.pull(ACCOUNT) as run:
            pushing = archive.push(ACCOUNT, store.key)
            announced = AnnouncedProgress(Silence())
            session = rig.session(pushing, store, pushed)
            push = StreamingPush(session, targets, coming=listed, announced=announced)
            with push:
                pull(source, run, pulled, announced, listed=listed)
                run.finish(complete=pulled.complete, report=pulled.as_json())
        with pushing:
            push.finish()
            pushing.finish(complete=pushed.complete, report=pushed.as_json())
    return pulled, pushed


def filled(rig: Rig, count: int = 20) -> None:
    for number in range(count):
        rig.old.deliver(
            INBOX if number % 2 else WORK, plain(number), internaldate=1_300_000_000 + number
        )


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline, "nothing was sent before all had come"
        time.sleep(0.005)


def assert_moved(rig: Rig) -> None:
    for path in rig.old.boxes:
        assert rig.there(path) == sorted(rig.old.contents(path)), path


def test_messages_go_out_while_others_still_come(rig: Rig) -> None:
    filled(rig)
    source = Tide(rig.old, 12, lambda: until(lambda: rig.new.taken >= 10))
    pulled, pushed = together(rig, source)
    assert (pulled.total.new, pushed.total.new, pushed.total.duplicate, pushed.exit_code) == (
        20,
        20,
        0,
        0,
    )
    assert (pushed.total.seen, pushed.total.octets) == (
        20,
        sum(len(plain(number)) for number in range(20)),
    )
    assert_moved(rig)


def test_again_there_is_nothing_to_do_and_later_only_what_is_new(rig: Rig) -> None:
    filled(rig)
    together(rig)
    _, again = together(rig)
    assert (again.total.new, again.total.duplicate, rig.new.taken) == (0, 20, 20)
    rig.old.deliver(WORK, plain(50))
    rig.old.deliver(("Late",), plain(51))
    _, later = together(rig)
    assert (later.total.new, rig.new.taken) == (2, 22)
    assert_moved(rig)


def test_what_is_there_already_is_not_sent_ahead(rig: Rig) -> None:
    filled(rig)
    for number in range(0, 20, 2):
        rig.new.deliver(WORK, plain(number))
    rig.new.deliver(
        INBOX, b"Message-ID: <welcome@new.example>\r\nSubject: welcome\r\n\r\nhello\r\n"
    )
    source = Tide(rig.old, 12, lambda: until(lambda: rig.new.taken >= 1))
    _, pushed = together(rig, source)
    assert (pushed.total.new, pushed.total.duplicate, rig.new.taken) == (10, 10, 10)
    assert len(rig.there(INBOX)) == 11


def test_a_full_mailbox_is_left_to_the_push_proper(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "FEW", 3)
    filled(rig)
    for number in range(4):
        rig.new.deliver(INBOX, plain(2 * number + 1))
    _, pushed = together(rig)
    assert (pushed.total.new, pushed.total.duplicate) == (16, 4)
    assert_moved(rig)


def test_different_messages_that_look_alike_all_arrive(rig: Rig) -> None:
    head = (
        b"Message-ID: <one@device.example>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject:"
        b" alert\r\n\r\n"
    )
    messages = [head + b"%d\r\n" % number for number in range(9)]
    for message in messages:
        rig.old.deliver(INBOX, message)
    rig.new.deliver(INBOX, messages[4])
    _, pushed = together(rig)
    assert (pushed.total.new, pushed.total.duplicate) == (8, 1)
    assert rig.there(INBOX) == sorted(messages)


def test_flags_that_change_meanwhile_arrive_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    filled(rig)
    together(rig)
    for uid in list(rig.old.boxes[INBOX].messages):
        rig.old.flag(INBOX, uid, "\\Seen")
    rig.old.deliver(INBOX, plain(60), "\\Flagged")
    _, pushed = together(rig)
    assert (pushed.total.new, pushed.total.flags) == (1, 10)
    assert {message.flags for message in rig.new.boxes[INBOX].messages.values()} == {
        frozenset({"\\Seen"}),
        frozenset({"\\Flagged"}),
    }


@pytest.mark.parametrize("then", ["lost", "kept", "late"])
def test_a_destination_that_gives_up_leaves_a_whole_archive_and_the_next_run_sends_the_rest_once(
    rig: Rig, then: str
) -> None:
    filled(rig)
    rig.new.breaks = [Break(7, then=then, final=True)]  # type: ignore[arg-type]
    pulled, pushed = together(rig)
    assert (pulled.total.new, pulled.exit_code) == (20, 0)
    assert isinstance(pushed.error, ConnectionLost)
    rig.new.settle()
    _, again = together(rig)
    assert again.exit_code == 0
    assert_moved(rig)


@pytest.mark.parametrize("then", ["lost", "kept", "late"])
def test_a_line_that_breaks_ahead_makes_no_second_copy(rig: Rig, then: str) -> None:
    filled(rig)
    rig.new.breaks = [Break(5, then=then)]  # type: ignore[arg-type]
    rig.clock.while_asleep = rig.new.settle
    _, pushed = together(rig, Tide(rig.old, 15, lambda: until(lambda: not rig.new.breaks)))
    assert pushed.exit_code == 0
    assert_moved(rig)


def test_a_source_that_gives_up_keeps_nothing_from_going_out_that_came(rig: Rig) -> None:
    filled(rig)
    rig.old.fetches_left = 13
    pulled, pushed = together(rig)
    assert isinstance(pulled.error, ConnectionLost)
    assert (pulled.total.new, pushed.total.new, pushed.error) == (13, 13, None)
    rig.old.fetches_left = None
    pulled, pushed = together(rig)
    assert (pulled.exit_code, pushed.exit_code, rig.new.taken) == (0, 0, 20)
    assert_moved(rig)


def test_a_message_that_is_refused_is_told_once(rig: Rig) -> None:
    filled(rig)
    rig.new.refuses = lambda content: "no" if content == plain(3) else None
    _, pushed = together(rig, Tide(rig.old, 15, lambda: until(lambda: rig.new.taken > 0)))
    assert (pushed.total.failed, kinds(pushed)["refused"], pushed.total.new, pushed.exit_code) == (
        1,
        1,
        19,
        3,
    )


def test_a_destination_with_too_little_room_gets_no_message(rig: Rig) -> None:
    filled(rig)
    store = Bounded(rig.new, "new")
    store.bounds = [Room(frozenset({INBOX, WORK}), 1000)]
    pulled, pushed = together(rig, store=store)
    assert (pulled.total.new, rig.new.taken) == (20, 0)
    assert isinstance(pushed.error, OverQuota)


def test_a_mailbox_that_cannot_be_made_is_told_once_and_stops_no_other(rig: Rig) -> None:
    filled(rig)
    rig.new.forbidden = {WORK}
    _, pushed = together(rig)
    assert (pushed.total.new, pushed.total.failed, kinds(pushed)["mailbox"]) == (10, 10, 1)


def test_what_only_a_view_of_all_mail_holds_goes_to_the_archive_once(rig: Rig) -> None:
    filled(rig, 6)
    rig.old.make(("All",), "\\All")
    for number in range(8):
        rig.old.deliver(("All",), plain(number))
    together(rig)
    assert rig.there(("Archive",)) == sorted([plain(6), plain(7)])
    assert ("All",) not in rig.new.boxes
    assert rig.new.taken == 8


def test_what_left_the_source_before_it_was_sent_is_not_sent_ahead(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    filled(rig)
    rig.pull()
    rig.old.expunge(INBOX, 3)
    rig.old.deliver(WORK, plain(5))
    rig.old.expunge(INBOX, 2)
    together(rig)
    assert_moved(rig)


def test_a_damaged_message_is_told_by_the_push_proper(rig: Rig) -> None:
    filled(rig)

    def spoil() -> None:
        until(lambda: len(rig.files(plain(1))) > 0)
        rig.damage(plain(1))

    _, pushed = together(rig, Tide(rig.old, 10, lambda: None), store=Slow(rig.new, spoil))
    assert (pushed.total.failed, kinds(pushed)["damaged"], pushed.total.new) == (1, 1, 19)


def test_an_interrupted_pull_gives_up_the_push_and_the_next_run_makes_no_second_copy(
    rig: Rig,
) -> None:
    def interrupt() -> None:
        until(lambda: rig.new.taken >= 5)
        raise KeyboardInterrupt

    filled(rig)
    with pytest.raises(KeyboardInterrupt):
        together(rig, Tide(rig.old, 14, interrupt))
    assert 0 < rig.new.taken < 20
    _, pushed = together(rig)
    assert pushed.exit_code == 0
    assert_moved(rig)


def test_a_full_disk_ends_both_sides_as_what_it_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    filled(rig)

    def fill() -> None:
        until(lambda: rig.new.taken >= 5)
        monkeypatch.setattr(write_worker, "write", full)

    with monkeypatch.context(), pytest.raises(ArchiveError) as caught:
        together(rig, Tide(rig.old, 11, fill))
    assert isinstance(caught.value, DiskFull)
    monkeypatch.undo()
    _, pushed = together(rig)
    assert pushed.exit_code == 0
    assert_moved(rig)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    messages=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([INBOX, WORK, ("Lists",)])), max_size=30
    ),
    there=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from([INBOX, WORK])), max_size=6, unique=True
    ),
    at=st.integers(0, 29),
    uidplus=st.booleans(),
)
def test_the_end_is_that_of_a_pull_and_a_push_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory,
    messages: list[tuple[int, MailboxPath]],
    there: list[tuple[int, MailboxPath]],
    at: int,
    uidplus: bool,
) -> None:
    ends = []
    for overlapped in (False, True):
        rig = Rig(tmp_path_factory.mktemp("ends") / "archive", new=MemoryServer(uidplus=uidplus))
        for number, path in messages:
            rig.old.deliver(path, plain(number), *(["\\Seen"] if number % 3 else []))
        for number, path in there:
            rig.new.deliver(path, plain(number))
        reports = (
            together(rig, Tide(rig.old, at, lambda: time.sleep(0.02)))
            if overlapped
            else rig.migrate()
        )
        totals = [replace(report.total, to="") for report in reports]
        ends.append(({path: rig.there(path) for path in (*rig.old.boxes, *rig.new.boxes)}, totals))
    assert ends[0] == ends[1]


def test_an_archive_of_mbox_files_is_read_while_it_is_written(tmp_path: Path) -> None:
    class InFiles(Rig):
        def archive(self) -> Archive:
            return Archive.open(self.directory, container="mbox", clock=self.clock)

    rig = InFiles(tmp_path / "archive")
    filled(rig, 60)
    _, pushed = together(rig, Tide(rig.old, 40, lambda: until(lambda: rig.new.taken >= 20)))
    assert (pushed.total.new, pushed.exit_code) == (60, 0)
    assert_moved(rig)
    with rig.archive() as archive:
        assert list(archive.verify(Silence())) == []
