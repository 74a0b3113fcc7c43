"""Building the catalogue of an archive again."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mailsync import exit_codes
from mailsync.app.requests import ReindexRequest
from mailsync.archive import Reindexed
from mailsync.archive import reindex as rebuild
from mailsync.config.account import ImapAccount
from mailsync.progress import Progress


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What a catalogue was built from, and what came of it."""

    account: str
    archive: str
    outcome: Reindexed

    @property
    def exit_code(self) -> int:
        """Return what this ends the process with."""
        damaged = self.outcome.damaged or self.outcome.missing
        return exit_codes.DAMAGED if damaged else exit_codes.DONE

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        report = asdict(self.outcome) | {
            "account": self.account,
            "archive": self.archive,
            "damaged": [str(path) for path in self.outcome.damaged],
            "aside": str(self.outcome.aside) if self.outcome.aside else None,
        }
        return {"reports": [report]}


def reindex(request: ReindexRequest, progress: Progress) -> ReindexReport:
    """Build the catalogue again. Raises ArchiveError."""
    login = request.account
    progress.begin(f"reindexing {login.shown}")
    try:
        outcome = rebuild(
            login.directory,
            login.name,
            by_uid=isinstance(login.settings, ImapAccount),
            dedupe=login.dedupe,
            wait=request.wait,
            progress=progress,
        )
    finally:
        progress.end()
    return ReindexReport(login.shown, str(login.directory), outcome)
