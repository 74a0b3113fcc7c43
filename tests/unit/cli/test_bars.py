from __future__ import annotations

import io
import re
import threading

import pytest

from mailsync.cli import exits
from mailsync.cli.bars import EVERY, Bars, Lines, Phase, TimeLeft, progress_for
from mailsync.cli.session import Session
from mailsync.progress import Progress, Silence


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError

    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def work(progress: Progress) -> None:
    progress.begin("pulling from old")
    progress.expect(2, 3_000_000)
    progress.advance(1, 1_000_000)
    progress.note("waiting 30 s: \x1b[31mthe server is busy")
    progress.advance(1, 2_000_000)
    progress.end()


def test_a_terminal_gets_a_bar_with_messages_and_bytes() -> None:
    stream = Terminal()
    progress = progress_for(Session({}), stream)
    assert isinstance(progress, Bars)
    progress.begin("pulling from old")
    progress.expect(2, 3_000_000)
    progress.advance(1, 1_500_000)
    assert progress._bar is not None
    progress._bar.refresh()
    last = stream.getvalue().rpartition("\r")[2]
    assert re.search(r"pulling 50%, .*B/s, 1 of 2 messages, 1.5 MB of 3.0 MB \|.*\|", last)
    progress.end()


def test_a_bar_needs_no_thread_of_its_own() -> None:
    before = threading.active_count()
    progress = Bars(Terminal())
    progress.begin("x")
    assert threading.active_count() == before
    progress.end()


def test_no_terminal_gets_plain_lines_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock)
    progress.begin("pulling from old")
    progress.expect(40, 40_000_000)
    for _ in range(20):
        clock.now += EVERY / 10
        progress.advance(1, 1_000_000)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "pulling from old …",
        "pulling from old: 10 of 40 messages, 10.0 MB of 40.0 MB, 667 kB/s, about 45 s left",
        "pulling from old: 20 of 40 messages, 20.0 MB of 40.0 MB, 667 kB/s, about 30 s left",
    ]


def test_what_logging_in_took_and_a_first_message_tell_nothing_about_the_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock)
    progress.begin("pulling from old")
    progress.expect(574, 574_000)
    clock.now += 50  # for the login and the listing
    progress.advance(1, 1_000)
    for _ in range(30):
        clock.now += 1
        progress.advance(1, 1_000)
    assert [line.partition("kB, ")[2] for line in stream.getvalue().splitlines()[1:]] == [
        "20 B/s",
        "246 B/s, about 9 min left",
        "388 B/s, about 9 min left",
    ]


def test_a_bar_tells_the_time_left_when_it_can_be_told() -> None:
    stream, clock = Terminal(), Clock()
    progress = Bars(stream, clock=clock)
    progress.begin("pulling from old")
    progress.expect(574, 574_000)
    clock.now += 50
    progress.advance(1, 1_000)
    assert progress._bar is not None
    progress._bar.refresh()
    assert " left" not in stream.getvalue()
    for _ in range(30):
        clock.now += 1
        progress.advance(1, 1_000)
    progress._bar.refresh()
    assert "about 9 min left, 31 of 574 messages" in stream.getvalue().rpartition("\r")[2]
    progress.end()


def test_quiet_gets_nothing() -> None:
    stream = Terminal()
    progress = progress_for(Session({}, quiet=True), stream)
    assert isinstance(progress, Silence)
    work(progress)
    assert stream.getvalue() == ""


def test_a_servers_words_cannot_steer_the_terminal() -> None:
    for stream, progress in ((s := io.StringIO(), Lines(s)), (t := Terminal(), Bars(t))):
        work(progress)
        assert "\x1b[31m" not in stream.getvalue()
        assert "the server is busy" in stream.getvalue()


def test_work_goes_on_when_nobody_can_read_about_it() -> None:
    work(Bars(Closed()))
    work(Lines(Closed()))


def test_a_phase_without_known_sizes_is_shown_too() -> None:
    for progress in (Bars(Terminal()), Lines(io.StringIO())):
        progress.begin("x")
        progress.advance(1, 0)
        progress.advance(1, 10)
        progress.end()


def test_two_sides_of_a_migration_have_a_row_each() -> None:
    stream = Terminal()
    session = Session({})
    first, second = progress_for(session, stream), progress_for(session, stream, row=1)
    first.begin("pulling from old")
    second.begin("pushing to new")
    second.expect(1, 10)
    second.advance(1, 10)
    first.end()
    second.end()
    assert "\n\rpushing to new" in stream.getvalue()


def test_a_line_says_rate_and_time_left_first_and_has_the_bar_last_at_any_width() -> None:
    clock = Clock()
    phase = Phase("pulling from imaps://alice@mail.example.org", TimeLeft(clock))
    phase.expect(2000, 133_000_000)
    for _ in range(20):
        clock.now += 1
        phase.advance(1, 1_000_000)
    long, middle, narrow = (phase.short(1_000_000, room) for room in (150, 77, 37))
    pace = "15%, 1.0 MB/s, about 2 min left"
    counted = "20 of 2,000 messages"
    assert long == (
        f"pulling from imaps://alice@mail.example.org {pace}, {counted}, 20.0 MB of 133 MB"
    )
    assert middle == f"pulling {pace}, {counted}"
    assert narrow == "pulling 15%, 1.0 MB/s, 2 min left"


def test_an_account_may_bear_any_name() -> None:
    stream = Terminal()
    progress = Bars(stream)
    progress.begin("pulling from {n}{0}%s")
    progress.expect(1, 10)
    progress.advance(1, 10)
    progress.end()
    assert "pulling from {n}{0}%s" in stream.getvalue()


def test_an_interruption_tells_how_far_the_work_is_at_the_first_column(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal()
    session = Session({})
    progress = progress_for(session, terminal)
    progress.begin("pulling from old")
    progress.expect(2000, 3_000_000)
    progress.advance(1, 1_500_000)
    assert exits.report(KeyboardInterrupt(), session) == 130
    assert terminal.getvalue().endswith(" \r")
    assert capsys.readouterr().err == (
        "mailsync: interrupted (pulling from old: 1 of 2,000 messages done); nothing is lost: run"
        " the same command again and it goes on from here\n"
    )
