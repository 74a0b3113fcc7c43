"""Mail that lies in files on this computer, as it is named on a command line: by a path, or by the
kind of its files and a path (`mbox:///home/alice/old.mbox`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from mailsync.config.policies import Limits
from mailsync.errors import ConfigError
from mailsync.model import MailboxPath

FORMATS: Final = ("mbox", "maildir", "eml", "mh", "thunderbird", "takeout", "apple", "proton")
"""What kinds of files can be named before a path."""

_URL: Final = re.compile(r"([a-z][a-z0-9-]*):(?://)?(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A source without a login.

    `format` is one of FORMATS, empty to find out. `renamed` gives mailboxes other names in the
    archive. `mark` says how messages are marked where the files do not tell what was read;
    `with_deleted` takes messages that are deleted but still in the files, `with_imap` also what a
    mail program keeps here of what lies on a server. `labels` gives Google's own labels in another
    language by the names they have in English. `passed_over` names files there that look like mail
    and are not read.
    """

    path: Path
    format: str = ""
    mailboxes: tuple[str, ...] = ()
    renamed: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    mark: Literal["seen", "unseen"] = "seen"
    with_deleted: bool = False
    with_imap: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        """What archive and reports call these files."""
        return f"{self.format or 'file'}://{self.path}"

    @property
    def directory(self) -> str:
        """Return a name for the archive, which no other path has."""
        told = sha256(str(self.path).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        base = re.sub(r"[^\w@+~!$&()=;, .-]|^[.-]|[ .]$", "_", self.path.name or "root")[:100]
        return f"{base},{told}"


def is_local(text: str) -> bool:
    """Return whether a text names a kind of files, with or without a path behind."""
    found = _URL.fullmatch(text)
    return found is not None and found[1].lower() in FORMATS


def kind_alone(text: str) -> str:
    """Return the kind that a text names without a path, empty for any other text."""
    found = _URL.fullmatch(text) if is_local(text) else None
    return found[1].lower() if found is not None and not found[2] else ""


def parse_local(text: str, here: Path) -> LocalFiles:
    """Read a path, or a kind of files and a path; relative ones start at `here`.

    Raises ConfigError for a kind without a path.
    """
    found = _URL.fullmatch(text) if is_local(text) else None
    kind, written = (found[1].lower(), found[2]) if found else ("", text)
    if not written:
        raise ConfigError(f"{text} names no path; write it like {kind}:///home/alice/old")
    try:
        path = Path(written).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text}: nobody knows that home") from None
    # Without `resolve`: a link may lead elsewhere tomorrow, and the mail is still this one.
    return LocalFiles(Path(_normal(here / path)), kind)


def _normal(path: Path) -> str:
    import os.path  # noqa: PLC0415  pathlib knows no way to do it without following links

    return os.path.normpath(path)
