"""What a push has to do: the messages of the archive against the ledger and against what was seen
on the destination. Pure.

A plan names messages by short keys, so that one of 100,000 messages stays small; whoever carries it
out reads them from the archive again, one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from mailsync.model import ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState

EMPTY: Final = SyncState(0, 1, 0)
"""The state of a mailbox that was made just now, or is still to be made."""

FileKey: TypeAlias = bytes

_FILE_KEY: Final = 36
"""Octets of a file key."""


def file_key(message: ArchivedMessage) -> FileKey:
    """Return what tells the files of one mailbox apart: the digest, and which copy it is."""
    return message.digest + message.copy.to_bytes(4)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """The file keys of some messages of one mailbox, without repetition, packed into one string of
    octets.
    """

    packed: bytes = b""

    def __len__(self) -> int:
        return len(self.packed) // _FILE_KEY

    def __iter__(self) -> Iterator[FileKey]:
        for start in range(0, len(self.packed), _FILE_KEY):
            yield self.packed[start : start + _FILE_KEY]


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Flags to add and remove on a destination, and the message whose flags the ledger shall hold
    then.
    """

    uid: int
    message: ArchivedMessage
    add: frozenset[str]
    remove: frozenset[str]


def flag_change(message: ArchivedMessage, line: LedgerLine, uidvalidity: int) -> FlagChange | None:
    """Return what changed at the source since the flags were last sent; what the user changed on
    the destination stays.
    """
    if (
        line.pending
        or line.removed
        or line.uid is None
        or line.uidvalidity != uidvalidity
        or line.flags == message.flags
    ):
        return None
    return FlagChange(line.uid, message, message.flags - line.flags, line.flags - message.flags)


def unlocated(line: LedgerLine, uidvalidity: int) -> bool:
    """Return whether a message that arrived may be there under a UID that is not known: never
    announced, or renumbered since.
    """
    return not (line.pending or line.removed) and (
        line.uid is None or line.uidvalidity != uidvalidity
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Which messages must be looked for in a mailbox of the destination before it can be planned.

    `unknown` ones did not arrive as far as the ledger tells. `unlocated` ones did, nobody knows
    under which UIDs, and they have other flags now, or the mailbox another UIDVALIDITY: it may be
    another mailbox.
    """

    unknown: Sequence[ArchivedMessage] = ()
    unlocated: Sequence[ArchivedMessage] = ()

    def __bool__(self) -> bool:
        return bool(self.unknown or self.unlocated)


def plan_search(
    messages: Iterable[ArchivedMessage],
    ledger: Mapping[LedgerKey, LedgerLine],
    uidvalidity: int,
    *,
    trusted: bool = True,
) -> Search:
    """Choose what to look for, each message once; where the ledger is not `trusted`, everything."""
    unknown: dict[LedgerKey, ArchivedMessage] = {}
    lost: dict[LedgerKey, ArchivedMessage] = {}
    for message in messages:
        line = ledger.get(message.key)
        if line is None or line.pending or not trusted:
            unknown.setdefault(message.key, message)
        elif unlocated(line, uidvalidity) and (
            line.flags != message.flags or line.uidvalidity is not None
        ):
            lost.setdefault(message.key, message)
    return Search(tuple(unknown.values()), tuple(lost.values()))


def first_uid(search: Search, ledger: Mapping[LedgerKey, LedgerLine], uidvalidity: int) -> int:
    """Return the lowest UID that any of the messages looked for can have: an intent remembers from
    where on its message would be.
    """
    if search.unlocated:
        return 1
    lines = (ledger.get(message.key) for message in search.unknown)
    return max(
        1,
        min(
            (line.uidnext if line and line.uidvalidity == uidvalidity else 1 for line in lines),
            default=1,
        ),
    )


def rivals(
    held: Iterable[ArchivedMessage], search: Search, first: int
) -> Sequence[ArchivedMessage]:
    """Return those of `held` that one of the messages looked for could be taken for.

    `held` are messages that arrived under UIDs nobody knows. Where only UIDs from `first` on are
    looked at, those unlike all that is looked for need not be there.
    """
    if first == 1:
        return list(held)
    presences = {message.presence for message in search.unknown}
    ids = {message.message_id for message in search.unknown} - {""}
    return [one for one in held if one.presence in presences or one.message_id in ids]


@dataclass(frozen=True, slots=True)
class Located:
    """A message that was found on the destination, and the flags that it was sent with as far as
    anybody knows. A `mangled` one is there with another content, and sending it again is no use.
    """

    key: LedgerKey
    uid: int
    flags: frozenset[str]
    mangled: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one mailbox of a destination when its plan is made.

    `state` is None where the mailbox is not there yet. `located` was looked for and found, of what
    the ledger says arrived `removed` was looked for and not found. Where the ledger is not
    `trusted`, only what was located counts as there. `sent_ahead` was sent beside the pull already,
    with or without an answer. A mailbox that is not `usable` could not be made or
    looked at. Of the mailboxes `without_flags` the flags are a guess, which changes none that is
    there.
    """

    ledger: Mapping[LedgerKey, LedgerLine] = field(default_factory=dict)
    state: SyncState | None = None
    located: Sequence[Located] = ()
    removed: Sequence[ArchivedMessage] = ()
    trusted: bool = True
    sent_ahead: Collection[LedgerKey] = frozenset()
    usable: bool = True
    without_flags: Collection[MailboxPath] = frozenset()


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What a push has to do with the messages of one mailbox of the archive.

    `append` is sent first. `doubtful` has an intent without an answer and was not found: it is sent
    once a second look did not find it either. Of the messages `seen`, `already` are there, and
    `new` of `octets` are to be sent, the doubtful ones included.
    """

    path: MailboxPath
    append: FileKeys
    doubtful: FileKeys
    seen: int
    already: int
    new: int
    octets: int


@dataclass(frozen=True, slots=True)
class MailboxPlan:
    """What a push has to do in one mailbox of the destination; see `Evidence` and `SourcePlan`.

    `made_anew`: the mailbox is another one than that to which the `removed` messages were sent.
    `mangled` messages are there with another content, and sending them again is no use.
    """

    path: MailboxPath
    state: SyncState
    sources: tuple[SourcePlan, ...]
    flags: tuple[FlagChange, ...]
    located: tuple[Located, ...]
    removed: tuple[ArchivedMessage, ...]
    to_make: bool
    usable: bool
    made_anew: bool = False
    mangled: tuple[ArchivedMessage, ...] = ()

    @property
    def new(self) -> int:
        """How many messages are to be sent to it."""
        return sum(source.new for source in self.sources)

    @property
    def octets(self) -> int:
        """How many octets these have."""
        return sum(source.octets for source in self.sources)

    @property
    def sends(self) -> bool:
        """Whether anything may be sent to it."""
        return self.usable and any(source.append or source.doubtful for source in self.sources)


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push has to do, by mailbox of the destination; an empty plan changes nothing there.

    `looked_at` is when the destination had been looked at, by the push's own clock.
    """

    mailboxes: tuple[MailboxPlan, ...] = ()
    looked_at: float = 0.0

    @property
    def to_make(self) -> Sequence[MailboxPath]:
        """The mailboxes that were not there when the destination was listed."""
        return [mailbox.path for mailbox in self.mailboxes if mailbox.to_make]

    @property
    def needed(self) -> Mapping[MailboxPath, int]:
        """How many octets each mailbox must have room for, where anything is to be sent."""
        return {
            mailbox.path: mailbox.octets
            for mailbox in self.mailboxes
            if mailbox.usable and mailbox.new
        }


@dataclass(slots=True)
class _Draft:
    """A `SourcePlan` in the making."""

    seen: int = 0
    already: int = 0
    new: int = 0
    octets: int = 0
    append: bytearray = field(default_factory=bytearray)
    doubtful: bytearray = field(default_factory=bytearray)

    def finished(self, path: MailboxPath) -> SourcePlan:
        return SourcePlan(
            path,
            FileKeys(bytes(self.append)),
            FileKeys(bytes(self.doubtful)),
            self.seen,
            self.already,
            self.new,
            self.octets,
        )


def plan_mailbox(
    path: MailboxPath,
    sources: Iterable[MailboxPath],
    messages: Iterable[ArchivedMessage],
    evidence: Evidence,
) -> MailboxPlan:
    """Decide what becomes of `messages`, the chosen ones of all `sources`, in one mailbox of the
    destination; messages of one ledger key go once.
    """
    drafts = {source: _Draft() for source in sources}
    located = {one.key: one for one in evidence.located}
    chosen: set[bytes] = set()  # ledger keys as octets: pairs would take twice the memory
    flags: list[FlagChange] = []
    gone: list[ArchivedMessage] = []
    mangled: list[ArchivedMessage] = []
    for message in messages:
        draft, key = drafts[message.mailbox], message.key
        draft.seen += 1
        line, identity = evidence.ledger.get(key), message.identity + message.copy.to_bytes(4)
        if key in located or identity in chosen or _arrived(line, evidence):
            draft.already += key not in evidence.sent_ahead
            if _went_with_its_mailbox(line, key, evidence):
                gone.append(message)
            elif _is_mangled(line, located.get(key)):
                mangled.append(message)
            flags.extend(_flag_changes(message, evidence, located.get(key)))
            continue
        if key not in evidence.sent_ahead:
            draft.new += 1
            draft.octets += message.size
            chosen.add(identity)
        if line is not None and line.pending:
            draft.doubtful += file_key(message)
        elif key not in evidence.sent_ahead:
            draft.append += file_key(message)
    plan = _planned(path, drafts, tuple(flags), gone, evidence)
    return replace(plan, mangled=tuple(mangled))


def _arrived(line: LedgerLine | None, evidence: Evidence) -> bool:
    """Return whether a line of the ledger, where that is trusted, says that its message arrived."""
    return line is not None and not line.pending and evidence.trusted


def _planned(
    path: MailboxPath,
    drafts: Mapping[MailboxPath, _Draft],
    flags: tuple[FlagChange, ...],
    gone: Sequence[ArchivedMessage],
    evidence: Evidence,
) -> MailboxPlan:
    return MailboxPlan(
        path,
        evidence.state or EMPTY,
        tuple(draft.finished(source) for source, draft in drafts.items()),
        flags,
        tuple(evidence.located),
        (*evidence.removed, *gone),
        evidence.usable and evidence.state is None and not _is_left_away(drafts.values()),
        evidence.usable,
        bool(gone) or _is_another(evidence),
    )


def _is_left_away(drafts: Collection[_Draft]) -> bool:
    """Return whether nothing is to be sent to a mailbox where messages were sent before."""
    return any(draft.already for draft in drafts) and not any(
        draft.new or draft.append or draft.doubtful for draft in drafts
    )


def _is_another(evidence: Evidence) -> bool:
    """Return whether a mailbox is another one than that to which messages were sent: it has another
    UIDVALIDITY, and more of them are not there than are.
    """
    validity = (evidence.state or EMPTY).uidvalidity
    lines = (evidence.ledger.get(message.key) for message in evidence.removed)
    gone = sum(line is not None and line.uidvalidity not in {None, validity} for line in lines)
    return gone > 0 and gone >= len(evidence.located)


def _is_mangled(line: LedgerLine | None, located: Located | None) -> bool:
    """Return whether a message that is there has another content than was sent."""
    return located.mangled if located else line is not None and line.mangled


def _went_with_its_mailbox(line: LedgerLine | None, key: LedgerKey, evidence: Evidence) -> bool:
    """Return whether a message was sent to a mailbox in whose place there is an empty one now."""
    state = evidence.state or EMPTY
    return (
        line is not None
        and evidence.trusted
        and key not in evidence.sent_ahead
        and not (line.pending or line.removed or state.messages)
        and (evidence.state is None or line.uidvalidity not in {None, state.uidvalidity})
    )


def _flag_changes(
    message: ArchivedMessage, evidence: Evidence, located: Located | None
) -> Iterator[FlagChange]:
    """Yield the change of a message that is there, by its line or by where it was found; none where
    its flags are a guess, or the ledger, which knows the flags last sent, is not trusted.
    """
    if message.mailbox in evidence.without_flags:
        return
    uidvalidity = (evidence.state or EMPTY).uidvalidity
    line = (
        LedgerLine(uidvalidity, located.uid, located.flags)
        if located
        else evidence.ledger.get(message.key)
    )
    change = flag_change(message, line, uidvalidity) if line and evidence.trusted else None
    if change is not None:
        yield change
