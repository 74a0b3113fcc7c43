"""One account of the configuration, or of a URL, as the work of this floor is given it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailsync.config.settings import ImapAccount, Pop3Account


@dataclass(frozen=True, slots=True)
class Login:
    """One account ready for use.

    `name` is what archive and reports call it; its password is not in here.
    """

    name: str
    settings: Pop3Account | ImapAccount
    directory: Path
    container: str = "maildir"
    dedupe: str = "message-id"
