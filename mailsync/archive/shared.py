"""What the runs over one open archive share: the catalogue, who may speak to it, and how all that
was said becomes durable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailsync.archive.catalogue import Catalogue
from mailsync.archive.translated import RLock


@dataclass(frozen=True, slots=True)
class Shared:
    """One open archive, as its runs see it.

    A pull and a push may be under way together, each in a thread of its own: whoever holds `turn`
    may speak. Both write in one transaction, so that `commit` puts what the pull took in on disk
    first: a row never names a file that could vanish.
    """

    catalogue: Catalogue
    root: Path
    turn: RLock
    commit: Callable[[], None]
