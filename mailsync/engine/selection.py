"""Which messages of an archive a run is about, as a person says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailsync.formats import header
from mailsync.mapping import matches
from mailsync.model import ArchivedMessage, MailboxPath


@dataclass(frozen=True, slots=True)
class Selection:
    """All conditions hold together.

    `since` and `before` are epoch seconds of INTERNALDATE; `as_of` is a run.

    `search` looks for a text, in any case, in the decoded header. `include_gone` takes messages
    that left the server too, but for those that live in another mailbox now, unless `also_moved`;
    `gone_from` takes only messages that were found gone by that run or a later one. With `as_of`,
    mailboxes, messages and flags are those of that run.
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
        """Return whether a mailbox is chosen."""
        return matches(path, self.globs or ("*",))

    def message(self, message: ArchivedMessage, block: Callable[[bytes], bytes]) -> bool:
        """Return whether a message is chosen; `block` returns a header by digest and is asked only
        when the text is searched.
        """
        if self.gone_from is not None and (
            message.gone_run is None or message.gone_run < self.gone_from
        ):
            return False
        if self.since is not None and message.internaldate < self.since:
            return False
        if self.before is not None and message.internaldate >= self.before:
            return False
        if self.message_id and message.message_id.strip("<>") != self.message_id.strip("<> "):
            return False
        return not self.search or self.search.casefold() in _words(block(message.digest)).casefold()


def _words(block: bytes) -> str:
    return "\n".join(
        f"{name.decode('latin-1')}: {header.text(value)}" for name, value in header.fields(block)
    )
