"""The archive on disk: the mail tree and its catalogue."""

from mailsync.archive.archive import Archive
from mailsync.archive.catalogue import ArchivedMailbox, Different, Prunable, RunRecord, Same
from mailsync.archive.pull_run import PullRun, ServerOf
from mailsync.archive.push_run import PushRun
from mailsync.archive.reindex import Reindexed, reindex
from mailsync.archive.verification import Damage

__all__ = [
    "Archive",
    "ArchivedMailbox",
    "Damage",
    "Different",
    "Prunable",
    "PullRun",
    "PushRun",
    "Reindexed",
    "RunRecord",
    "Same",
    "ServerOf",
    "reindex",
]
