"""What verify, prune and reindex print with `--json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailsync.app.json_schema.shape import Shape


class Finding(Shape):
    """One thing that is not as it should be."""

    path: str
    """the file"""
    digest: str | None
    """the SHA-256 it should have, or null"""
    what: str
    """what is wrong, in words"""
    damaged: bool
    """false where no message is in danger"""


class VerifiedArchive(Shape):
    """One archive, every file of it proved."""

    archive: str
    """its directory"""
    accounts: list[str]
    """those whose mail it holds, of the accounts that are asked about"""
    error: str | None
    """why it could not be looked at, else null"""
    messages: int
    """messages in it"""
    files: int
    """files that were proved"""
    octets: int
    """how large they are"""
    damaged: bool
    """whether a message is in danger"""
    findings: list[Finding]
    """what is not as it should be"""


class OnServer(Shape):
    """One message on the server."""

    message: str
    """such as `UID 7`"""
    octets: int | None
    """its size, null where the server does not say"""


class ComparedMailbox(Shape):
    """One mailbox of the server, beside the archive."""

    mailbox: str
    """its name"""
    on_server: int
    """messages there"""
    in_archive: int
    """of these, in the archive"""
    missing: list[OnServer]
    """messages that the archive does not have"""
    damaged: list[OnServer]
    """messages whose file is damaged"""
    short_of: int
    """how many are missing that no name tells"""
    other_flags: int
    """messages with other flags there"""
    gone_from_server: int
    """messages only the archive has"""
    renumbered: bool
    """whether the server has renumbered the mailbox"""
    trouble: str | None
    """why it could not be listed, else null"""


class ComparedAccount(Shape):
    """One account beside its server."""

    account: str
    """the account"""
    error: str | None
    """why it could not be compared, else null"""
    complete: bool
    """whether the archive has everything"""
    left_out: list[str]
    """mailboxes that a pull leaves out too"""
    unreadable: list[str]
    """mailboxes that the server lists in a way that nobody can read"""
    unmatched: list[str]
    """a sentence for each of the configuration's `mailboxes` that the server does not list"""
    mailboxes: list[ComparedMailbox]
    """each mailbox"""


class Verified(Shape):
    """Every archive, and with `--remote` every account."""

    reports: list[VerifiedArchive]
    """each archive"""
    remote: list[ComparedAccount] = Field(default_factory=list)
    """with `--remote`, each account beside its server"""


class PrunedMailbox(Shape):
    """What was removed from one mailbox."""

    mailbox: str
    """its name"""
    messages: int
    """messages removed"""
    octets: int
    """what that frees"""


class PrunedArchive(Shape):
    """What was removed from an archive."""

    account: str
    """the account"""
    archive: str
    """the directory of its archive"""
    dry_run: bool
    """true without `--yes`: nothing was removed"""
    messages: int
    """messages removed"""
    octets: int
    """what that frees"""
    mailboxes: list[PrunedMailbox]
    """the same for each mailbox"""


class Pruned(Shape):
    """What was removed, or would be."""

    reports: list[PrunedArchive]
    """the one archive"""


class ReindexedArchive(Shape):
    """What the catalogue was built of."""

    account: str
    """the account"""
    archive: str
    """the directory of its archive"""
    basis: Literal["catalogue", "copy", "tree"]
    """what history was taken from: `catalogue`, `copy` or `tree`"""
    as_of: int | None
    """how old that copy is, null for another basis"""
    files: int
    """files that were proved"""
    octets: int
    """how large they are"""
    adopted: int
    """messages the catalogue did not know"""
    unplaced: int
    """messages whose place on a server the next pull confirms"""
    unrecognisable: int
    """of these, messages that the next pull must fetch to recognise them"""
    damaged: list[str]
    """files that were put in quarantine"""
    missing: int
    """how many files are not there"""
    aside: str | None
    """where the catalogue lies that could not be read, else null"""


class Reindexed(Shape):
    """The catalogue that was built again."""

    reports: list[ReindexedArchive]
    """the one archive"""


class Renaming(Shape):
    """An account that goes on under another name."""

    old: str
    """the name it had"""
    new: str
    """the name it has"""
    archive: str
    """the directory of its archive"""
    came_from: str | None
    """where that was before, else null"""
    aside: str | None
    """where the archive lies that the new name had in the meantime, else null"""


class Renamed(Shape):
    """What `account rename` did."""

    renamed: Renaming
    """what was done"""
