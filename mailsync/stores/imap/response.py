"""IMAP responses as values: untagged answers, status lines with their response codes, words fit for
people (RFC 9051 section 7). Sends nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mailsync.formats.redaction import Redactor
from mailsync.stores.refusals import Refusal
from mailsync.stores.server_words import judged, shown

_STATUS: Final = re.compile(
    rb"(OK|NO|BAD|BYE|PREAUTH)(?![^ ])(?: \[([^\s\]]+)(?: ([^\]]*))?\])? ?(.*)\Z",
    re.IGNORECASE | re.DOTALL,
)


UID_LIMIT: Final = (1 << 32) - 1
NUMBER_LIMIT: Final = (1 << 63) - 1
"""What UIDs, UIDVALIDITY and counts of messages stay below, and sizes and mod-sequences (RFC 9051
section 9, RFC 7162): larger numbers are not true, and nothing downstream has room for them.
"""


_WORD: Final = re.compile(rb"(?:\d+ +)?([^\s(]*)")


class Answer(tuple[bytes, ...]):
    """One untagged answer, raw: text, literal, text, literal, …, text; `* ` and line ends are taken
    off, `{n}` is kept.
    """

    __slots__ = ()

    @property
    def line(self) -> bytes:
        """The text before the first literal."""
        return self[0]

    @property
    def word(self) -> bytes:
        """What kind of answer it is, upper case: `FETCH`, `EXISTS`, `LIST`, `OK`."""
        found = _WORD.match(self[0])
        return found[1].upper() if found else b""

    @property
    def number(self) -> int | None:
        """The number before the word (`12 EXISTS`), None when there is none."""
        digits = self[0].split(b" ", 1)[0]
        return number_of(digits, UID_LIMIT)


def number_of(said: object, limit: int) -> int | None:
    """Return a number as a server said it, in digits or read already; None for what is none, or
    beyond `limit`.
    """
    if isinstance(said, bytes):
        said = int(said) if said.isdigit() and len(said) < 20 else None
    if not isinstance(said, int) or isinstance(said, bool):
        return None
    return said if 0 <= said <= limit else None


@dataclass(frozen=True, slots=True)
class Result:
    """What OK, NO, BAD, BYE or PREAUTH said: `status` and `code` upper case, `argument` and `words`
    raw.

    Without a `redactor` nothing of it is for people.
    """

    status: bytes
    code: bytes = b""
    argument: bytes = b""
    words: bytes = field(default=b"", repr=False)
    redactor: Redactor | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the command was done."""
        return self.status == b"OK"

    @property
    def text(self) -> str:
        """The words, fit for people."""
        return shown(self.words, self.redactor) if self.redactor is not None else ""

    @property
    def said(self) -> Refusal:
        """The code and the words, for whoever judges a refusal."""
        return Refusal(self.code.decode("ascii", "replace"), judged(self.words), self.text)

    @property
    def refusal(self) -> Refusal | None:
        """Why the command was refused; None when it was done."""
        return None if self.ok else self.said


def result_of(line: bytes, redactor: Redactor | None = None) -> Result | None:
    """Read a status answer (`OK [CODE argument] text`, RFC 9051 section 7.1); None for any other
    answer. `redactor` makes its words fit for people.
    """
    found = _STATUS.match(line)
    if not found:
        return None
    return Result(found[1].upper(), (found[2] or b"").upper(), found[3] or b"", found[4], redactor)
