"""What is asked of this floor: one frozen request for each kind of work.

Everywhere here `mailboxes` are patterns, none for all; times are epoch seconds; `wait` is how many
seconds to wait for an archive that another run writes; with `dry_run` nothing is written anywhere,
and the report says what would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from mailsync.app.accounts import Login
from mailsync.model import MailboxPath


@dataclass(frozen=True, slots=True)
class Choice:
    """All conditions hold together; a new one chooses everything that is on the server.

    `since` and `before` are epoch seconds of INTERNALDATE. `as_of` is a time: mailboxes, messages
    and flags are those of the last complete pull by then. `include_gone` takes messages that left
    the server too, `gone_since` only those that left it at that time or later; neither takes what
    lives in another mailbox now, unless `also_moved`. The words of `search` all stand in the
    sender, the recipients or the subject. A message that is named, by its Message-ID or by the
    beginning of its digest (`digests`), is meant also where it left the server.
    """

    mailboxes: tuple[str, ...] = ()
    since: int | None = None
    before: int | None = None
    as_of: int | None = None
    message_id: str = ""
    digests: tuple[str, ...] = ()
    search: str = ""
    include_gone: bool = False
    gone_since: int | None = None
    also_moved: bool = False

    @property
    def whole_mailboxes(self) -> bool:
        """Whether nothing is left out within the mailboxes, as they are on the server now."""
        return not self.narrows and self.as_of is None

    @property
    def narrows(self) -> bool:
        """Whether messages are left out within the mailboxes, as they were at the time meant."""
        unnarrowed = Choice(
            self.mailboxes,
            as_of=self.as_of,
            include_gone=self.include_gone,
            also_moved=self.also_moved,
        )
        return self != unnarrowed


EVERYTHING: Final = Choice()


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Bring what these accounts have and their archives lack.

    `moved`: their mail has other servers than it came from, and is matched by its content.
    """

    accounts: Sequence[Login]
    mailboxes: tuple[str, ...] = ()
    moved: bool = False
    dry_run: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Send what the archive of `source` has and `destination` never had from it.

    `renamed` and `into` say where mailboxes go other than mapped.
    """

    source: Login
    destination: Login
    choice: Choice = EVERYTHING
    renamed: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    into: MailboxPath = ()
    dry_run: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class RestoreRequest(PushRequest):
    """Send what is not alive on `destination` now, whatever was sent or deleted there before. To
    the account itself go messages that only came out of files (import) with `include_imported`.
    """

    include_imported: bool = False


@dataclass(frozen=True, slots=True)
class MigrateRequest:
    """Bring everything of `source` to its archive and on to `destination`.

    `renamed` and `into` say where mailboxes go other than mapped. With `prove_content` what was
    sent is downloaded and compared at the end.
    """

    source: Login
    destination: Login
    mailboxes: tuple[str, ...] = ()
    renamed: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    into: MailboxPath = ()
    prove_content: bool = False
    dry_run: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Log in at the provider of an account that has `oauth2:`: with a browser here, with one
    elsewhere whose last address is pasted, or by a code on another device.
    """

    account: Login
    way: Literal["browser", "paste", "device"] = "browser"


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """End the login that an account has at its provider."""

    account: Login


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Look what the servers of these accounts can do."""

    accounts: Sequence[Login]


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Prove every file of the archives of these accounts, and of `archive`; with `remote` compare
    each account's server with its archive too.
    """

    accounts: Sequence[Login]
    archive: Path | None = None
    remote: bool = False


@dataclass(frozen=True, slots=True)
class ReindexRequest:
    """Build the catalogue of an account's archive again."""

    account: Login
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Remove messages that have been gone from their server since `gone_before` or longer."""

    account: Login
    gone_before: int
    mailboxes: tuple[str, ...] = ()
    dry_run: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Look how old and how large the archives of these accounts are; one whose last complete pull
    is older than `max_age` seconds is stale.
    """

    accounts: Sequence[Login]
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Look into the archive of an account."""

    account: Login
    choice: Choice = EVERYTHING


@dataclass(frozen=True, slots=True)
class ShowRequest:
    """Read the one message whose digest begins so (hexadecimal)."""

    account: Login
    digest: str


@dataclass(frozen=True, slots=True)
class DuplicatesRequest:
    """Find messages of an account that are the same one, or only look it."""

    account: Login
