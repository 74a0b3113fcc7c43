"""The value types every floor shares: frozen, slotted, without behaviour beyond their own fields.

Units: sizes are octets; times are whole seconds since the epoch (UTC), because that is what
INTERNALDATE, Maildir names and comparisons need and because a hundred thousand of them stay small.
They become datetimes at the edge, where people read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

MailboxPath: TypeAlias = tuple[str, ...]
"""A mailbox's name as its parts, without any server's delimiter; `("INBOX",)` is the inbox of every
store.
"""

INBOX: MailboxPath = ("INBOX",)

SYSTEM_FLAGS = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"})
"""The flags of RFC 9051 section 2.3.2 that a message keeps; `\\Recent` belongs to a session and is
never stored.
"""

NO_FLAGS: frozenset[str] = frozenset()

VIEWS = frozenset({"\\All", "\\Flagged", "\\Important"})
"""Special uses (RFC 6154, 8457) of mailboxes that only show messages living elsewhere."""


@dataclass(frozen=True, slots=True)
class UidRef:
    """A message on an IMAP server (RFC 9051 section 2.3.1.1)."""

    mailbox: MailboxPath
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class UidlRef:
    """A message on a POP3 server (RFC 1939 section 7); `uidl` is None where the server has none, or
    repeats it.

    `number` is the message number of this session only, so it takes no part in comparisons.
    """

    uidl: bytes | None
    number: int = field(compare=False)

    @property
    def mailbox(self) -> MailboxPath:
        """The one mailbox POP3 has."""
        return INBOX


@dataclass(frozen=True, slots=True)
class KeyRef:
    """A message of a store on this computer, by a key that lasts as long as the message is the
    same: made of its content, or a name that is never used again.

    `place` says where it lies, to the store and for this session only, so it takes no part in
    comparisons.
    """

    mailbox: MailboxPath
    key: bytes
    place: tuple[int, ...] = field(default=(), compare=False)

    @property
    def uidl(self) -> bytes:
        """The key: it stands where a POP3 server's name stands."""
        return self.key


Ref: TypeAlias = UidRef | UidlRef | KeyRef


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing: everything a server tells of a message short of its content.

    `size` is RFC822.SIZE or the octets of LIST, None when not told; it may lie. `internaldate` None
    means the store has none. `object_id` is EMAILID (RFC 8474) or X-GM-MSGID: equal ids on one
    server mean equal content.
    """

    ref: Ref
    size: int | None
    flags: frozenset[str] = NO_FLAGS
    internaldate: int | None = None
    object_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """An entry with its content: RFC 5322 bytes exactly as the server sent them.

    `lacking` tells a person what speaks for the content being a part only; empty when nothing does.
    `rebuilt`: the store put the content together again, and cannot prove that it was sent so.
    """

    entry: Entry
    content: bytes
    lacking: str = ""
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class Unfetched:
    """A message that was asked for and did not come; `expunged` when the server no longer has it,
    which is normal.
    """

    entry: Entry
    why: str
    expunged: bool = False


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some bytes of a message, fetched to recognise it without its whole content (header block, or
    the last octets).
    """

    entry: Entry
    content: bytes


@dataclass(frozen=True, slots=True)
class SyncState:
    """What a mailbox was like at one moment, by the server's own counters (RFC 9051 section 7.2,
    RFC 7162 section 3.1).

    Two equal states with a `highestmodseq` mean that nothing changed between them. POP3 has
    `uidvalidity` and `uidnext` 0, and so has a store of files; its `highestmodseq` changes with
    them, and its number of messages is only known once they were read.
    """

    uidvalidity: int
    uidnext: int
    messages: int
    highestmodseq: int | None = None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A named container on a server; `state` is what LIST-STATUS told (RFC 5819), None when it must
    be asked for.
    """

    path: MailboxPath
    attributes: frozenset[str] = NO_FLAGS
    subscribed: bool = False
    state: SyncState | None = None

    @property
    def selectable(self) -> bool:
        """Whether it can hold messages. One that counts messages can, whatever LIST calls it."""
        return not self.attributes & {"\\Noselect", "\\NonExistent"} or (
            self.state is not None and self.state.messages > 0
        )

    @property
    def special_use(self) -> frozenset[str]:
        """Its roles by RFC 6154 (`\\Sent`, `\\Trash`, …), as the server spells them in the RFC's
        own case.
        """
        return self.attributes & SPECIAL_USES

    @property
    def is_view(self) -> bool:
        """Whether it only shows messages that live elsewhere."""
        return bool(self.attributes & VIEWS)


SPECIAL_USES = frozenset(
    {"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"}
)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """A mailbox to look at; with `since`, only what changed after that state is asked for where the
    server can tell.
    """

    mailbox: Mailbox
    since: SyncState | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What a store saw in one mailbox, from a complete, tagged-OK answer.

    `state` is the state before the entries were listed (EXAMINE), so advancing to it can never skip
    a message that came later. `since` None: `entries` is everything there. Otherwise `entries` are
    the messages new or changed after `since`, and `vanished` the UID ranges said to be gone (may
    name UIDs we never had). `unlisted` tells of messages that are there and could not be listed;
    while there are any, the mailbox is not complete, and nothing in it is gone.
    """

    mailbox: Mailbox
    state: SyncState
    entries: tuple[Entry, ...]
    since: SyncState | None = None
    vanished: tuple[range, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def absence_means_gone(self) -> bool:
        """Whether a message that is not in a full scan has left its mailbox. It has over IMAP; what
        POP3 shows is up to the server and to other programs, and what files somebody hands over is
        up to him, so there absence means nothing.
        """
        return self.state.uidvalidity != 0


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """What the catalogue holds of one placement: the size its server announced, its flags, whether
    it is gone or damaged, and when it arrived. A negative size: only a part of it came.
    """

    size: int | None
    flags: frozenset[str]
    gone: bool = False
    damaged: bool = False
    internaldate: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue holds of a mailbox, keyed by UID (IMAP), or by UIDL (POP3) or key (files).

    `state` is the last complete one, None if there is none. For a scan with `since`, `messages`
    holds only what that scan names. `live` counts the messages of the mailbox that are not gone.
    """

    state: SyncState | None
    messages: dict[int | bytes, KnownMessage]
    live: int


class Kind(StrEnum):
    """What became of a message that a pull brought."""

    NEW = "new"
    """Its content was stored."""
    DUPLICATE = "duplicate"
    """The archive had this message; only the placement was recorded."""
    MATCHED = "matched"
    """Recognised without fetching it; only the placement was recorded."""
    MENDED = "mended"
    """Its stored content had been damaged and was replaced."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the archive did with a message; `collides` names the digest of another message that
    bears the same Message-ID.
    """

    kind: Kind
    digest: bytes
    collides: bytes | None = None


LedgerKey: TypeAlias = tuple[bytes, int]
"""What the ledger knows a message by in one mailbox of a destination: its identity, and which of
its deliberate copies it is.
"""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What the ledger holds of one message in one mailbox of a destination.

    `pending`: an intent was written and no answer was seen; `uidnext` and `since` (time) are those
    of the intent. `uid` is None where the destination never told it. `removed`: it was there once,
    and the user took it away. `mangled`: it was sent twice, and is there with another content.
    `run` wrote the line.
    """

    uidvalidity: int | None
    uid: int | None
    flags: frozenset[str]
    pending: bool = False
    uidnext: int = 0
    since: int = 0
    removed: bool = False
    mangled: bool = False
    run: int = 0


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message of the archive, as one mailbox of one account holds it.

    `digest` names the stored content, `identity` the message whatever route it took (DESIGN:
    identity), `copy` tells several deliberate copies in one mailbox apart (1, 2, …), `presence` is
    its presence key, `subject` and `sender` are decoded for people. `gone_run` is the run that
    found it gone from its server. `imported`: it only came out of files, and never was on the
    account's server.
    """

    mailbox: MailboxPath
    digest: bytes
    identity: bytes
    size: int
    flags: frozenset[str]
    internaldate: int
    copy: int = 1
    message_id: str = ""
    presence: bytes = b""
    subject: str = ""
    sender: str = ""
    gone: bool = False
    gone_run: int | None = None
    imported: bool = False

    @property
    def key(self) -> LedgerKey:
        """What the ledger knows it by."""
        return self.identity, self.copy


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message on its way to a mailbox of a destination; `mailbox` is the destination's own path.

    Parcels are made lazily, one when the destination has room for it, so only those in flight hold
    their content.
    """

    message: ArchivedMessage
    mailbox: MailboxPath
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Appended:
    """A parcel the destination took. `uid` None: it gave no APPENDUID (RFC 4315).

    `flags` are those really sent; `repaired` tells a person what was changed in the copy that was
    sent, empty for verbatim.
    """

    parcel: Parcel
    uidvalidity: int | None
    uid: int | None
    flags: frozenset[str]
    repaired: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A parcel the destination did not take, with its own words; the run goes on."""

    parcel: Parcel
    why: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A parcel sent on a connection that broke before the reply: it may or may not have arrived."""

    parcel: Parcel


@dataclass(frozen=True, slots=True)
class Present:
    """A message found on a destination: enough to compute its presence key.

    `header` is its whole header block.
    """

    entry: Entry
    header: bytes


@dataclass(frozen=True, slots=True)
class Room:
    """How many octets a destination still takes in these mailboxes together."""

    mailboxes: frozenset[MailboxPath]
    octets: int
