"""What every step of a push works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mailsync.archive import PushRun
from mailsync.engine.budget import Budget, unlimited
from mailsync.engine.report import Report
from mailsync.errors import StoreUnavailable
from mailsync.progress import Progress
from mailsync.stores.base import Destination


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may still be committing what a lost connection had sent (seconds), and how
    time is told and spent.
    """

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class PushSession:
    """The ledger's run, the destination, and who hears of it.

    A `sceptical` push lets no header and no UID vouch for a body: something there turned out wrong.
    """

    run: PushRun
    destination: Destination
    report: Report
    progress: Progress
    patience: Patience
    budget: Budget = field(default_factory=unlimited)
    sceptical: bool = False

    @contextmanager
    def phase(self, verb: str) -> Iterator[None]:
        """Show what begins and ends here; a server that gives up ends it early, and is in the
        report.
        """
        self.begin(verb)
        try:
            yield
        except StoreUnavailable as error:
            self.report.error = error
        finally:
            self.progress.end()

    def wait(self) -> None:
        """Give the server time to show what it took."""
        seconds = self.patience.seconds
        self.progress.note(
            f"the server took messages that it does not show; looking again in {seconds:.0f} s"
        )
        self.patience.sleep(seconds)

    def begin(self, verb: str) -> None:
        """Show that the push begins."""
        self.progress.begin(f"{verb} to {self.report.destination}")
