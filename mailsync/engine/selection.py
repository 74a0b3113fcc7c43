"""Which messages of an archive a run is about, as a person says it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailsync.errors import IntegrityError
from mailsync.formats import header
from mailsync.mapping import matches
from mailsync.model import ArchivedMessage, MailboxPath

SEARCHED: Final = frozenset({b"from", b"to", b"cc", b"subject"})
"""The fields that are searched: what a person remembers. What machines write would be found by
chance.
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """All conditions hold together.

    `since` and `before` are epoch seconds of INTERNALDATE; `as_of` is a run.

    `search` holds words, all of which stand in the sender, the recipients or the subject, in any
    case and order. `include_gone` takes messages that left the server too, but for those that live
    in another mailbox now, unless `also_moved`; `gone_from` takes only messages that were found
    gone by that run or a later one. With `as_of`, mailboxes, messages and flags are those of that
    run. For `sending`, what lives in another mailbox now is left out of these too, unless
    `also_moved`, and what nobody has seen on its server since the catalogue was built again.
    Without `imported` those are left out that only came out of files.
    """

    globs: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    message_id: str = ""
    digests: frozenset[bytes] = frozenset()
    search: str = ""
    include_gone: bool = False
    as_of: int | None = None
    gone_from: int | None = None
    also_moved: bool = False
    sending: bool = False
    imported: bool = True

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return replace(self, sending=False) == Selection()

    @property
    def narrows(self) -> bool:
        """Whether messages are left out within the mailboxes."""
        unnarrowed = Selection(
            self.globs,
            include_gone=self.include_gone,
            as_of=self.as_of,
            also_moved=self.also_moved,
            sending=self.sending,
        )
        return self != unnarrowed

    def mailbox(self, path: MailboxPath) -> bool:
        """Return whether a mailbox is chosen."""
        return matches(path, self.globs or ("*",))

    def message(self, message: ArchivedMessage, block: Callable[[bytes], bytes]) -> bool:
        """Return whether a message is chosen; `block` returns a header by digest and is asked only
        when words are searched that the catalogue does not show.
        """
        if self.gone_from is not None and (
            message.gone_run is None or message.gone_run < self.gone_from
        ):
            return False
        if message.imported and not self.imported:
            return False
        if self.since is not None and message.internaldate < self.since:
            return False
        if self.before is not None and message.internaldate >= self.before:
            return False
        if self.digests and message.digest not in self.digests:
            return False
        if self.message_id and message.message_id.strip("<>") != self.message_id.strip("<> "):
            return False
        return not self.search or self._mentions(message, block)

    def _mentions(self, message: ArchivedMessage, block: Callable[[bytes], bytes]) -> bool:
        words = _folded(self.search).split()
        if _holds(f"{message.sender}\n{message.subject}", words):
            return True
        try:
            fields = header.fields(block(message.digest))
        except IntegrityError:
            return False
        return _holds(
            "\n".join(header.text(value) for name, value in fields if name in SEARCHED), words
        )


def _holds(text: str, words: Sequence[str]) -> bool:
    folded = _folded(text)
    return all(word in folded for word in words)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
