"""Which letters of an archive a run is about, as a person says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailsync.formats import header
from mailsync.mapping import matches
from mailsync.model import Letter, MailboxPath


@dataclass(frozen=True, slots=True)
class Selection:
    """All conditions hold together. `since` and `before` are epoch seconds of INTERNALDATE; `as_of` is a run.

    `search` looks for a text, in any case, in the decoded header. `include_gone` takes letters that left the server too, but for those
    that live in another mailbox now, unless `also_moved`; `gone_from` takes only letters that were found gone by that run or a later
    one. With `as_of`, mailboxes, letters and flags are those of that run.
    """

    globs: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    message_id: str = ""
    search: str = ""
    include_gone: bool = False
    as_of: int | None = None
    gone_from: int | None = None
    also_moved: bool = False

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Selection()

    def mailbox(self, path: MailboxPath) -> bool:
        """Tell whether a mailbox is chosen."""
        return matches(path, self.globs or ("*",))

    def letter(self, letter: Letter, block: Callable[[bytes], bytes]) -> bool:
        """Tell whether a letter is chosen; `block` gives a header by digest and is asked only when the text is searched."""
        if self.gone_from is not None and (letter.gone_run is None or letter.gone_run < self.gone_from):
            return False
        if self.since is not None and letter.internaldate < self.since:
            return False
        if self.before is not None and letter.internaldate >= self.before:
            return False
        if self.message_id and letter.message_id.strip("<>") != self.message_id.strip("<> "):
            return False
        return not self.search or self.search.casefold() in _words(block(letter.digest)).casefold()


def _words(block: bytes) -> str:
    return "\n".join(f"{name.decode('latin-1')}: {header.text(value)}" for name, value in header.fields(block))
