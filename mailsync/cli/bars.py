"""Progress for a person: a bar on a terminal, a line now and then where there is none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Never, TextIO

from tqdm import tqdm

from mailsync.cli.lines import WIDE, width_of, wrapped
from mailsync.cli.session import Session
from mailsync.formats.quantities import messages, octets, span
from mailsync.formats.terminal import columns, plain, short
from mailsync.progress import Progress, Silence

if TYPE_CHECKING:
    _Tqdm = tqdm[Never]
else:
    _Tqdm = tqdm

EVERY: Final = 15.0
"""Seconds between two lines where there is no terminal."""
BAR: Final = 12
"""Columns below which a bar tells nothing."""
MARGIN: Final = 3
"""Columns left free at the end of a line, where the terminal writes ^C."""
TELLING: Final = 5
"""Messages after the first that tell how long the others will take."""


def progress_for(session: Session, stream: TextIO, row: int = 0) -> Progress:
    """Choose how progress is shown on `stream`: not at all with -q, as a bar on a terminal (in a
    `row` of its own), else as lines.
    """
    if session.quiet:
        return Silence()
    shown = Bars(stream, row) if stream.isatty() else Lines(stream)
    session.watched.append(shown)
    return shown


class TimeLeft:
    """Guesses how long it still takes, from what came since the first message did: what was spent
    on logging in and listing tells nothing, nor do a few messages.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = 0.0
        self._first = 0
        self._messages = 0

    def advance(self, messages: int, octets: int) -> None:
        """Take in what came; the first does not count."""
        if not self._since:
            self._since, self._first = self._clock(), octets
        else:
            self._messages += messages

    def words(self, done: int, expected: int) -> str:
        """Return `about 3 min left`, or nothing as long as nobody can tell; `done` and `expected`
        are octets.
        """
        came = done - self._first
        elapsed = self._clock() - self._since
        if self._messages < TELLING or came <= 0 or elapsed <= 0 or expected <= done:
            return ""
        seconds = (expected - done) * elapsed / came
        return f"about {span(seconds)} left" if seconds >= 1 else ""


@dataclass(slots=True)
class Phase:
    """How far one phase of a run is."""

    what: str
    left: TimeLeft
    done: int = 0
    expected: int = 0
    octets_done: int = 0
    octets_expected: int = 0

    def expect(self, messages: int, octets: int) -> None:
        """Add to the totals."""
        self.expected += messages
        self.octets_expected += octets

    def advance(self, messages: int, octets: int) -> None:
        """Count work done."""
        self.done += messages
        self.octets_done += octets
        self.left.advance(messages, octets)

    def counted(self) -> str:
        """Return `pulling from old: 1,234 of 2,000 messages`, or nothing before anything is
        known.
        """
        return f"{self.what}: {self.done:,} of {self._all}" if self.expected else ""

    def line(self, elapsed: float) -> str:
        """Return all of it for a log, in which nobody sees how it moves."""
        rate = self.octets_done / elapsed if elapsed > 0 else 0.0
        left = self.left.words(self.octets_done, self.octets_expected)
        words = [f"{self.done:,} of {self._all}", self._sizes, f"{octets(rate)}/s", left]
        return f"{self.what}: {', '.join(word for word in words if word)}"

    def short(self, rate: float, room: int) -> str:
        """Return at most `room` columns, with the rate and the time left before all else; what has
        no room beside a bar is left out. `rate` is in octets a second.
        """
        if not self.octets_expected:
            return short(f"{self.what} …", room)
        percent = f"{min(100, 100 * self.octets_done // self.octets_expected)}%"
        left = self.left.words(self.octets_done, self.octets_expected)
        pace = [*([f"{octets(rate)}/s"] if rate else []), *([left] if left else [])]
        counted = [f"{self.done:,} of {self._all}", self._sizes]
        for what, more in ((self.what, counted), (self._verb, counted), (self._verb, counted[:1])):
            line = ", ".join([f"{what} {percent}", *pace, *more])
            if columns(line) + BAR <= room:
                return line
        line = ", ".join([f"{self._verb} {percent}", *pace])
        return short(line if columns(line) <= room else line.replace(", about", ","), room)

    @property
    def _verb(self) -> str:
        return self.what.partition(" ")[0]

    @property
    def _all(self) -> str:
        return messages(self.expected)

    @property
    def _sizes(self) -> str:
        return f"{octets(self.octets_done)} of {octets(self.octets_expected)}"


class Bars:
    """A `Progress` as one tqdm bar a phase, measured in octets because messages differ a
    thousandfold, counting messages beside.
    """

    def __init__(
        self, stream: TextIO, row: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._row = row
        self._bar: _Bar | None = None
        self.phase: Phase | None = None

    def reached(self) -> str:
        """Return how far the phase is that goes on, or went on last."""
        return self.phase.counted() if self.phase else ""

    def begin(self, what: str) -> None:
        """Open a bar; one that is still open is closed."""
        self.end()
        self.phase = Phase(plain(what), TimeLeft(self._clock))
        # tqdm's watching thread would only redraw a bar that stands still.
        tqdm.monitor_interval = 0
        with _harmless():
            self._bar = _Bar(self.phase, self._stream, self._row)

    def expect(self, messages: int, octets: int) -> None:
        """Let the bar grow."""
        if self._bar is not None and self.phase is not None:
            self.phase.expect(messages, octets)
            self._bar.total = self.phase.octets_expected
            self._show(0)

    def advance(self, messages: int, octets: int) -> None:
        """Move the bar."""
        if self.phase is not None:
            self.phase.advance(messages, octets)
        self._show(octets)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        with _harmless():
            line = wrapped(plain(text), width_of(self._stream))
            tqdm.write(line, file=self._stream)

    def end(self) -> None:
        """Take the bar away; the report comes in its place."""
        if self._bar is not None:
            with _harmless():
                self._bar.close()
            self._bar = None

    def _show(self, more: int) -> None:
        if self._bar is not None:
            with _harmless():
                self._bar.update(more)


class _Bar(_Tqdm):
    """A tqdm whose line begins with what matters most, and ends with the bar if there is room."""

    def __init__(self, phase: Phase, stream: TextIO, row: int) -> None:
        self._phase = phase
        super().__init__(total=0, file=stream, position=row, dynamic_ncols=True, leave=False)

    @property
    def format_dict(self) -> dict[str, Any]:
        """Return what tqdm makes the line of."""
        shown = dict(super().format_dict)
        width = (shown["ncols"] or WIDE) - MARGIN
        rate = shown["rate"] or (self.n / shown["elapsed"] if shown["elapsed"] else 0.0)
        line = self._phase.short(rate, width)
        bar = f" |{{bar:{width - columns(line) - 3}}}|" if width - columns(line) >= BAR else ""
        known = bar if self._phase.octets_expected else ""
        shown |= {"bar_format": line.replace("{", "{{").replace("}", "}}") + known, "ncols": width}
        return shown


class Lines:
    """A `Progress` as plain lines, at most one in EVERY seconds, for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began = self._said = clock()
        self.phase: Phase | None = None

    def reached(self) -> str:
        """Return how far the phase is that goes on, or went on last."""
        return self.phase.counted() if self.phase else ""

    def begin(self, what: str) -> None:
        """Say what begins."""
        self.phase = Phase(plain(what), TimeLeft(self._clock))
        self._began = self._said = self._clock()
        self._say(f"{self.phase.what} …")

    def expect(self, messages: int, octets: int) -> None:
        """Remember the totals."""
        if self.phase is not None:
            self.phase.expect(messages, octets)

    def advance(self, messages: int, octets: int) -> None:
        """Count, and say so when it is time."""
        if self.phase is None:
            return
        self.phase.advance(messages, octets)
        now = self._clock()
        if now - self._said >= EVERY:
            self._said = now
            self._say(self.phase.line(now - self._began))

    def note(self, text: str) -> None:
        """Say it."""
        self._say(plain(text))

    def end(self) -> None:
        """Do nothing: the report follows."""

    def _say(self, line: str) -> None:
        with _harmless():
            self._stream.write(f"{line}\n")
            self._stream.flush()


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    """Let work go on when nobody can read about it any more (a closed terminal, a full log
    disk).
    """
    with contextlib.suppress(OSError, ValueError):
        yield
