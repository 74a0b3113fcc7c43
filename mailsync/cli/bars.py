"""Progress for a person: a bar on a terminal, a line now and then where there is none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, Never, TextIO

from tqdm import tqdm

from mailsync.cli.session import Session
from mailsync.formats.quantities import octets, span
from mailsync.formats.terminal import plain
from mailsync.progress import Progress, Silence

EVERY: Final = 15.0
"""Seconds between two lines where there is no terminal."""
TELLING: Final = 5
"""Messages after the first that tell how long the others will take."""


def progress_for(session: Session, stream: TextIO, row: int = 0) -> Progress:
    """Choose how progress is shown on `stream`: not at all with -q, as a bar on a terminal (in a
    `row` of its own), else as lines.
    """
    if session.quiet:
        return Silence()
    return Bars(stream, row) if stream.isatty() else Lines(stream)


class _TimeLeft:
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
        """Return `, about 3 min left`, or nothing as long as nobody can tell; `done` and `expected`
        are octets.
        """
        came = done - self._first
        elapsed = self._clock() - self._since
        if self._messages < TELLING or came <= 0 or elapsed <= 0 or expected <= done:
            return ""
        return f", about {span((expected - done) * elapsed / came)} left"


class Bars:
    """A `Progress` as one tqdm bar a phase, measured in octets because messages differ a
    thousandfold, counting messages beside.
    """

    def __init__(
        self, stream: TextIO, row: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._left = _TimeLeft(clock)
        self._row = row
        self._bar: tqdm[Never] | None = None
        self._done = 0
        self._expected = 0

    def begin(self, what: str) -> None:
        """Open a bar; one that is still open is closed."""
        self.end()
        self._done = self._expected = 0
        self._left = _TimeLeft(self._clock)
        # tqdm's watching thread would only redraw a bar that stands still.
        tqdm.monitor_interval = 0
        with _harmless():
            self._bar = tqdm(
                total=0,
                desc=plain(what),
                unit="B",
                unit_scale=True,
                file=self._stream,
                position=self._row,
                dynamic_ncols=True,
                leave=False,
                bar_format=(
                    "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}B of {total_fmt}B{postfix},"
                    " {rate_fmt}"
                ),
            )

    def expect(self, messages: int, octets: int) -> None:
        """Let the bar grow."""
        self._expected += messages
        if self._bar is not None:
            self._bar.total = (self._bar.total or 0) + octets
            self._show(0)

    def advance(self, messages: int, octets: int) -> None:
        """Move the bar."""
        self._done += messages
        self._left.advance(messages, octets)
        self._show(octets)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        with _harmless():
            tqdm.write(plain(text), file=self._stream)

    def end(self) -> None:
        """Take the bar away; the report comes in its place."""
        if self._bar is not None:
            with _harmless():
                self._bar.close()
            self._bar = None

    def _show(self, more: int) -> None:
        if self._bar is not None:
            with _harmless():
                left = self._left.words(int(self._bar.n) + more, int(self._bar.total or 0))
                self._bar.set_postfix_str(
                    f"{self._done:,}/{self._expected:,} messages{left}", refresh=False
                )
                self._bar.update(more)


class Lines:
    """A `Progress` as plain lines, at most one in EVERY seconds, for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._what = ""
        self._done = [0, 0]
        self._expected = [0, 0]
        self._began = self._said = clock()
        self._left = _TimeLeft(clock)

    def begin(self, what: str) -> None:
        """Say what begins."""
        self._what = plain(what)
        self._done = [0, 0]
        self._expected = [0, 0]
        self._began = self._said = self._clock()
        self._left = _TimeLeft(self._clock)
        self._say(f"{self._what} …")

    def expect(self, messages: int, octets: int) -> None:
        """Remember the totals."""
        self._expected[0] += messages
        self._expected[1] += octets

    def advance(self, messages: int, octets: int) -> None:
        """Count, and say so when it is time."""
        self._done[0] += messages
        self._done[1] += octets
        self._left.advance(messages, octets)
        now = self._clock()
        if now - self._said >= EVERY:
            self._said = now
            self._say(f"{self._what}: {self._state(now - self._began)}")

    def note(self, text: str) -> None:
        """Say it."""
        self._say(plain(text))

    def end(self) -> None:
        """Do nothing: the report follows."""

    def _state(self, elapsed: float) -> str:
        rate = self._done[1] / elapsed if elapsed > 0 else 0.0
        left = self._left.words(self._done[1], self._expected[1])
        counted = (
            f"{self._done[0]:,} of {self._expected[0]:,} messages, {octets(self._done[1])} of"
            f" {octets(self._expected[1])}"
        )
        return f"{counted}, {octets(rate)}/s{left}"

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
