"""What the global options said, for the length of one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mailsync.app.accounts import Accounts


class Watched(Protocol):
    """Progress that a person watches, and that an interruption ends."""

    def reached(self) -> str:
        """Return how far it is, in words, or nothing."""

    def end(self) -> None:
        """Take away what stands on the terminal."""


@dataclass(slots=True)
class Session:
    """One call of the command line.

    `json` also tells the error path that standard output is for a program.
    """

    environ: Mapping[str, str] = field(repr=False)
    config: Path | None = None
    verbose: bool = False
    quiet: bool = False
    debug: bool = False
    json: bool = False
    command: str = ""
    report: Path | None = None
    """Where a page about what was done is wanted."""
    passwords: set[str] = field(default_factory=set, repr=False)
    """Those that were brought for this call: a traceback may hold what a server said."""

    watched: list[Watched] = field(default_factory=list, repr=False)

    def accounts(self) -> Accounts:
        """Return where this call looks up the accounts it names."""
        from mailsync.app.accounts import Accounts  # noqa: PLC0415  not needed to list the commands

        return Accounts(self.config, self.environ, Path.cwd(), Path.home())
