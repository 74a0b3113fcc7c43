"""How long work tells how far it is.

This floor knows no terminal: the command line brings the bars.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener for one run; every method returns at once and never raises."""

    def begin(self, what: str) -> None:
        """Start a phase, named for people (`pulling from old`); totals may come later."""

    def expect(self, messages: int, octets: int) -> None:
        """Add to the totals of this phase: work found that is to be done."""

    def advance(self, messages: int, octets: int) -> None:
        """Count work done."""

    def note(self, text: str) -> None:
        """Say one line to the person watching (`waiting 30 s: the server is busy`)."""

    def end(self) -> None:
        """Close the phase."""


class Silence:
    """A `Progress` that nobody watches."""

    def begin(self, what: str) -> None:
        """Do nothing."""

    def expect(self, messages: int, octets: int) -> None:
        """Do nothing."""

    def advance(self, messages: int, octets: int) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
