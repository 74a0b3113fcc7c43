"""The catalogue of an archive, in SQLite: all SQL of the program, and nothing of the mail files."""

from mailsync.archive.catalogue.backup import COPY, begin_from_copy, is_sound
from mailsync.archive.catalogue.catalogue import Catalogue
from mailsync.archive.catalogue.connection import NAME, REINDEX
from mailsync.archive.catalogue.duplicates import Different, Same
from mailsync.archive.catalogue.files import Alike, FileRow, FileState
from mailsync.archive.catalogue.ledger import Sent
from mailsync.archive.catalogue.mailboxes import ArchivedMailbox
from mailsync.archive.catalogue.placements import LACKING, Placements
from mailsync.archive.catalogue.pruning import Prunable
from mailsync.archive.catalogue.runs import RunRecord

__all__ = [
    "COPY",
    "LACKING",
    "NAME",
    "REINDEX",
    "Alike",
    "ArchivedMailbox",
    "Catalogue",
    "Different",
    "FileRow",
    "FileState",
    "Placements",
    "Prunable",
    "RunRecord",
    "Same",
    "Sent",
    "begin_from_copy",
    "is_sound",
]
