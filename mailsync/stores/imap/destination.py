"""Mail into any IMAP server: the `Destination` of `stores.base`. Adds letters and sets flags; deletes and overwrites nothing.

`IMAPClient.append` is never used: it goes through imaplib, which rewrites bare CR and LF.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from mailsync.errors import MailboxError, StoreUnavailable
from mailsync.mapping import show
from mailsync.model import Appended, Entry, Mailbox, MailboxPath, Parcel, Present, Refused, SyncState, UidRef, Unanswered
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap.appending import allowed
from mailsync.stores.imap.fetched import attributes_of, body_of, uid_set
from mailsync.stores.imap.lanes import Verdicts, abreast, pipelined
from mailsync.stores.imap.link import Link
from mailsync.stores.imap.listing import OUTSTANDING, list_mailboxes
from mailsync.stores.imap.names import status
from mailsync.stores.imap.session import Session, trouble
from mailsync.stores.imap.wire import Command, Result, result_of
from mailsync.stores.transport import Endpoint

LOOK: Final = 500
"""Letters whose headers are asked for in one command when a mailbox is looked through."""

LOOKS_AHEAD: Final = 4

Done = TypeVar("Done")


class ImapDestination:
    """One account on an IMAP server; connects when first asked for something.

    `repair`: a refused letter is tried once more as a repaired copy. `connections` is how many are used where the server makes every
    literal wait. `retries`, `sleep` (seconds) and `jitter` (0 … 1) are as for a source.
    """

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        repair: bool = True,
        connections: int = 4,
        progress: Progress | None = None,
        retries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.account = account
        self.endpoint = endpoint
        self._key = f"imap://{credentials.authorization_id or credentials.username}@{endpoint.host}:{endpoint.port}"
        self._repair = repair
        self._connections = connections
        note = (progress or Silence()).note

        def link() -> Link:
            return Link(
                lambda: Session.open(account, endpoint, credentials, note, sync=False),
                note=note,
                sleep=sleep,
                random=jitter,
                retries=retries,
            )

        self._new_link = link
        self._link = link()
        self._permanent: dict[MailboxPath, frozenset[str] | None] = {}
        self._there: set[MailboxPath] = set()

    @property
    def key(self) -> str:
        """Name the destination for the ledger."""
        return self._key

    def capabilities(self) -> Sequence[str]:
        """Tell what the server announced after login, upper case, sorted."""
        return sorted(word.decode("ascii", "replace") for word in self._link.session.capabilities)

    def mailboxes(self) -> Sequence[Mailbox]:
        """List the personal mailboxes, in the server's order, with their states."""
        found = self._trying(lambda: list_mailboxes(self._link.session))
        self._there = {mailbox.path for mailbox in found if mailbox.selectable}
        return found

    def create(self, wanted: Sequence[Mailbox]) -> Mapping[MailboxPath, MailboxError | None]:
        """Make what is missing, subscribe where wanted, and learn which flags each mailbox keeps: all in one flight.

        A server that says a mailbox exists already, in any words, is believed when the mailbox can be selected.
        """
        return self._trying(lambda: self._create(wanted))

    def state(self, mailbox: MailboxPath) -> SyncState:
        """Tell the mailbox's state now (STATUS). Raises MailboxError."""

        def ask() -> SyncState:
            session = self._link.session
            name = session.mailbox(session.names.written(mailbox))
            command = session.wire.send(b"STATUS ", name, b" (MESSAGES UIDNEXT UIDVALIDITY)")
            self._done(command, mailbox)
            for answer in command.answers:
                told = status(answer)
                if told is not None and told[1] is not None:
                    return told[1]
            raise MailboxError(self.account, mailbox, f"the server does not tell the state of {show(mailbox)}")

        return self._trying(ask)

    def presence(self, mailbox: MailboxPath, first_uid: int = 1) -> Iterator[Present]:
        """List letters from `first_uid` on with their header blocks, each once, also when the connection breaks meanwhile."""
        seen: set[UidRef] = set()
        while True:
            try:
                for present in self._present(mailbox, first_uid):
                    ref = present.entry.ref
                    if isinstance(ref, UidRef) and ref not in seen:
                        seen.add(ref)
                        yield present
                    self._link.progressed()
            except StoreUnavailable as error:
                self._link.again(error)
            else:
                return

    def body(self, mailbox: MailboxPath, uid: int) -> bytes | None:
        """Bring one letter's content; None when it is gone."""

        def ask() -> bytes | None:
            self._examine(mailbox)
            command = self._link.session.wire.send(b"UID FETCH %d (UID BODY.PEEK[])" % uid)
            self._done(command, mailbox)
            found = (body_of(answer, self.account) for answer in command.answers)
            return next((body.content for body in found if body is not None and body.uid == uid), None)

        return self._trying(ask)

    def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
        """Add each parcel by the fastest way the server offers; see `Destination.append`."""
        session = self._trying(lambda: self._link.session)
        verdicts = Verdicts(self.account, repair=self._repair, limit=_limit(session.capabilities), permanent=self._permanent_flags)
        if session.has(b"LITERAL+") or (session.has(b"LITERAL-") and self._connections == 1):
            yield from pipelined(self._link, verdicts, parcels)
            return
        links = iter([self._link])
        yield from abreast(lambda: next(links, None) or self._new_link(), verdicts, parcels, self._connections)

    def set_flags(self, mailbox: MailboxPath, changes: Mapping[int, tuple[frozenset[str], frozenset[str]]]) -> Sequence[int]:
        """Add and remove flags, equal changes together; gives the UIDs that are still there. Raises MailboxError."""
        return self._trying(lambda: self._set_flags(mailbox, changes))

    def close(self) -> None:
        """Say goodbye without waiting; idempotent."""
        self._link.close()

    def _trying(self, ask: Callable[[], Done]) -> Done:
        """Do something that may be done twice, again after a broken connection."""
        while True:
            try:
                done = ask()
            except StoreUnavailable as error:
                self._link.again(error)
            else:
                self._link.progressed()
                return done

    def _done(self, command: Command, mailbox: MailboxPath) -> Result:
        result = self._link.session.wire.wait(command)
        stop = trouble(self.account, result, "asking for a mailbox")
        if stop is not None:
            raise stop
        if not result.ok:
            raise MailboxError(self.account, mailbox, f"the server refuses mailbox {show(mailbox)}: {result.text or 'no reason given'}")
        return result

    def _create(self, wanted: Sequence[Mailbox]) -> dict[MailboxPath, MailboxError | None]:
        session = self._link.session
        session.names  # noqa: B018  the answers about names must be in before they are composed
        flights: list[tuple[Mailbox, Command | None, Command]] = []
        waiting = 0
        for mailbox in wanted:
            while session.wire.outstanding > OUTSTANDING:
                session.wire.wait(flights[waiting][2])
                waiting += 1
            name = session.mailbox(session.names.written(mailbox.path))
            made = None
            if mailbox.path not in self._there:
                use = b" (USE (" + min(mailbox.special_use).encode("ascii") + b"))" if self._may_use(session, mailbox) else b""
                made = session.wire.send(b"CREATE ", name, use)
            if mailbox.subscribed:
                session.wire.send(b"SUBSCRIBE ", name)
            flights.append((mailbox, made, session.wire.send(b"SELECT ", name)))
        self._link.forget_selected()
        found: dict[MailboxPath, MailboxError | None] = {}
        for mailbox, made, selected in flights:
            result = session.wire.wait(selected)
            stop = trouble(self.account, result, "opening a mailbox")
            if stop is not None:
                raise stop
            found[mailbox.path] = None if result.ok else self._not_made(mailbox, made, result)
            if result.ok:
                self._there.add(mailbox.path)
                self._permanent[mailbox.path] = _permanent(selected)
        return found

    @staticmethod
    def _may_use(session: Session, mailbox: Mailbox) -> bool:
        return bool(mailbox.special_use) and session.has(b"CREATE-SPECIAL-USE")

    def _not_made(self, mailbox: Mailbox, made: Command | None, selected: Result) -> MailboxError:
        refusal = made.result if made is not None and made.result is not None and not made.result.ok else selected
        words = refusal.text or "no reason given"
        return MailboxError(
            self.account, mailbox.path, f"the server will not make mailbox {show(mailbox.path)}: {words}; give it another name with `map:`"
        )

    def _permanent_flags(self, mailbox: MailboxPath) -> frozenset[str] | None:
        """Give the flags a mailbox keeps, as `create` learned them; None, which lets everything be tried, where it was not asked."""
        return self._permanent.get(mailbox)

    def _examine(self, mailbox: MailboxPath) -> SyncState:
        examined = self._link.examine(mailbox, fresh=True)
        result = examined.settle()
        if not result.ok:
            raise MailboxError(self.account, mailbox, f"the server refuses mailbox {show(mailbox)}: {result.text or 'no reason given'}")
        return examined.state

    def _present(self, mailbox: MailboxPath, first_uid: int) -> Iterator[Present]:
        state = self._examine(mailbox)
        if not state.messages:
            return
        wire = self._link.session.wire
        uids = self._search(mailbox, first_uid)
        flights: deque[Command] = deque()
        rest = [uids[start : start + LOOK] for start in range(0, len(uids), LOOK)]
        rest.reverse()
        while rest or flights:
            while rest and len(flights) < LOOKS_AHEAD and wire.outstanding < OUTSTANDING:
                flights.append(wire.send(b"UID FETCH ", uid_set(rest.pop()), b" (UID BODY.PEEK[HEADER])"))
            command = flights.popleft()
            for answer in wire.answers(command):
                body = body_of(answer, self.account)
                if body is not None and body.uid is not None and body.content is not None:
                    yield Present(Entry(UidRef(mailbox, state.uidvalidity, body.uid), None), body.content)
            self._done(command, mailbox)

    def _search(self, mailbox: MailboxPath, first_uid: int) -> list[int]:
        command = self._link.session.wire.send(b"UID SEARCH UID %d:*" % first_uid)
        self._done(command, mailbox)
        words = [word for answer in command.answers if answer.word == b"SEARCH" for word in answer.line.split()[1:]]
        # `n:*` names the last letter even when its UID is below n (RFC 9051 section 9).
        return sorted({int(word) for word in words if word.isdigit() and int(word) >= first_uid})

    def _set_flags(self, mailbox: MailboxPath, changes: Mapping[int, tuple[frozenset[str], frozenset[str]]]) -> list[int]:
        session = self._link.session
        self._link.forget_selected()
        selected = session.wire.send(b"SELECT ", session.mailbox(session.names.written(mailbox)))
        self._done(selected, mailbox)
        permanent = _permanent(selected)
        alike: dict[tuple[bytes, frozenset[str]], list[int]] = {}
        for uid, (add, remove) in changes.items():
            for sign, flags in ((b"+", allowed(add, permanent)), (b"-", allowed(remove, permanent))):
                if flags:
                    alike.setdefault((sign, flags), []).append(uid)
        for (sign, flags), uids in alike.items():
            for start in range(0, len(uids), LOOK):
                words = " ".join(sorted(flags)).encode("ascii")
                chosen = uid_set(sorted(uids[start : start + LOOK]))
                self._done(session.wire.send(b"UID STORE ", chosen, b" ", sign, b"FLAGS.SILENT (", words, b")"), mailbox)
        there = set(self._search(mailbox, min(changes, default=1)))
        return [uid for uid in changes if uid in there]


def _permanent(selected: Command) -> frozenset[str] | None:
    """Read PERMANENTFLAGS from the answers to a SELECT (RFC 9051 section 7.1); None when the server did not say."""
    for answer in selected.answers:
        said = result_of(answer.line)
        if said is not None and said.code == b"PERMANENTFLAGS":
            return attributes_of(said.argument)
    return None


def _limit(capabilities: frozenset[bytes]) -> int | None:
    """Read APPENDLIMIT (RFC 7889); None when there is none that holds for all mailboxes."""
    for word in capabilities:
        name, _, number = word.partition(b"=")
        if name == b"APPENDLIMIT" and number.isdigit():
            return int(number)
    return None
