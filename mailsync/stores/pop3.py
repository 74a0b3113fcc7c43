"""POP3 (RFC 1939), with CAPA and PIPELINING (RFC 2449), STLS (RFC 2595), SASL PLAIN (RFC 5034), UTF8 (RFC 6856).

Deletes nothing but what `delete` is told to, which only the owner's policy does.

`poplib` is not used: it ends at lines of 2048 octets and cannot have two commands in flight.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    MailboxError,
    ProtocolViolation,
    ServerBusy,
    StoreUnavailable,
    TlsError,
)
from mailsync.formats import header
from mailsync.model import INBOX, NO_FLAGS, Entry, Mailbox, Message, Part, Scan, ScanRequest, SyncState, UidlRef, Unfetched
from mailsync.progress import Progress, Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.transport import Connection, Endpoint, connect

WINDOW_OCTETS: Final = 16 << 20
WINDOW_COMMANDS: Final = 512
"""Letters asked for ahead: bounded in octets for memory, in commands (about 6 KB of them) so that neither side can block the other."""

RETRIES: Final = 4
FIRST_WAIT: Final = 1.0

_SEEN: Final = frozenset({"\\Seen"})
_TIMESTAMP: Final = re.compile(rb"<[^<>\s]+@[^<>\s]*>")
_CODE: Final = re.compile(r"\[([A-Za-z/-]+)\]")
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_BUSY: Final = frozenset({"IN-USE", "LOGIN-DELAY", "SYS/TEMP"})

Mark = Literal["seen", "unseen"] | float
"""How letters are marked, since POP3 knows no flags; a number: seen when older than so many seconds."""


class Pop3Session:
    """One logged-in connection."""

    def __init__(self, account: str, endpoint: Endpoint, credentials: Credentials) -> None:
        self.account = account
        self.endpoint = endpoint
        self.wire: Connection = connect(endpoint, account)
        try:
            greeting = self.status("the greeting")
            self.capabilities = self._capa()
            if endpoint.security == "starttls":
                self._stls()
            self._login(credentials, greeting)
        except BaseException:
            self.wire.abandon()
            raise

    @property
    def pipelines(self) -> bool:
        """Whether the server announces that it takes several commands at once."""
        return "PIPELINING" in self.capabilities

    def send(self, *lines: bytes) -> None:
        """Send commands without waiting."""
        self.wire.write(b"".join(line + b"\r\n" for line in lines))

    def reply(self) -> tuple[bool, str]:
        """Read a status line: whether it is +OK, and its words, fit for people."""
        line = self.wire.readline().strip()
        word, _, rest = line.partition(b" ")
        if word.upper() not in {b"+OK", b"-ERR"}:
            said = shown(line)
            raise ProtocolViolation(self.account, f"{self.endpoint} does not speak POP3 there: it said {said!r}")
        return word.upper() == b"+OK", shown(rest)

    def status(self, doing: str) -> bytes:
        """Read a status line that must be +OK and give it raw. Raises what the server's reason means."""
        line = self.wire.peek(1) and self.wire.readline()
        word = line[:4].upper()
        if word.startswith(b"+OK"):
            return line
        if word != b"-ERR":
            raise ProtocolViolation(self.account, f"{self.endpoint} does not speak POP3 there: it said {shown(line)!r}")
        raise self.refusal(shown(line[4:]), doing)

    def refusal(self, words: str, doing: str, *, login: bool = False) -> StoreUnavailable:
        """Turn the server's reason into an error (RFC 2449 section 8, RFC 3206)."""
        found = _CODE.search(words)
        code = found[1].upper() if found else ""
        if code in _BUSY:
            return ServerBusy(self.account, f"{self.endpoint} is busy at {doing}: {words}")
        if code == "AUTH" or (login and code != "SYS/PERM"):
            return AuthenticationFailed(
                self.account, f"{self.endpoint} refused the login: {words or 'no reason given'}; check user name and password"
            )
        return StoreUnavailable(self.account, f"{self.endpoint} refused at {doing}: {words or 'no reason given'}")

    def lines(self) -> list[bytes]:
        """Read a multi-line answer's lines, without line ends."""
        return self.content().splitlines()

    def content(self) -> bytes:
        """Read a multi-line answer exactly: dots unstuffed, the last line end kept (RFC 1939 section 3)."""
        if self.wire.peek(3) == b".\r\n":
            self.wire.read(3)
            return b""
        data = self.wire.read_until(b"\r\n.\r\n") + b"\r\n"
        # Only doubled dots are unstuffed: a server that forgets to double a single one must not lose it.
        if data.startswith(b".."):
            data = data[1:]
        return data.replace(b"\r\n..", b"\r\n.")

    def _capa(self) -> dict[str, str]:
        """Ask what the server can do; an old server that does not know the question can do the least."""
        self.send(b"CAPA")
        ok, _ = self.reply()
        if not ok:
            return {}
        words = (line.decode("ascii", "replace").upper().partition(" ") for line in self.lines())
        return {name: rest for name, _, rest in words}

    def _stls(self) -> None:
        if self.capabilities and "STLS" not in self.capabilities:
            raise TlsError(
                self.account, f"{self.endpoint} offers no encryption (STLS); nothing was sent. Try port 995 with `security: tls`"
            )
        self.send(b"STLS")
        ok, words = self.reply()
        if not ok:
            raise TlsError(self.account, f"{self.endpoint} refused to encrypt ({words}); nothing was sent")
        self.wire.start_tls()
        self.capabilities = self._capa()

    def _login(self, credentials: Credentials, greeting: bytes) -> None:
        prelude = [b"UTF8"] if "UTF8" in self.capabilities else []
        secret = credentials.secret()
        timestamp = _TIMESTAMP.search(greeting)
        if timestamp and not self.wire.encrypted and not credentials.authorization_id and self._apop(credentials, secret, timestamp[0]):
            return
        if "PLAIN" in self.capabilities.get("SASL", "").split():
            identity = credentials.authorization_id or ""
            response = base64.b64encode(f"{identity}\0{credentials.username}\0{secret}".encode())
            self._dialogue(prelude, [b"AUTH PLAIN " + response] if len(response) < 240 else [b"AUTH PLAIN", response])
            return
        if credentials.authorization_id:
            raise AuthenticationFailed(self.account, f"{self.endpoint} offers no SASL PLAIN, which `authorization_id` needs")
        for text in (credentials.username, secret):
            if "\r" in text or "\n" in text:
                raise AuthenticationFailed(self.account, "the user name or the password holds a line break, which POP3 cannot send")
        self._dialogue(prelude, [b"USER " + credentials.username.encode(), b"PASS " + secret.encode()])

    def _apop(self, credentials: Credentials, secret: str, timestamp: bytes) -> bool:
        """Log in without sending the password (RFC 1939 section 7); False when the server will not."""
        digest = hashlib.md5(timestamp + secret.encode(), usedforsecurity=False).hexdigest()
        self.send(f"APOP {credentials.username} {digest}".encode())
        ok, words = self.reply()
        found = _CODE.search(words)
        if not ok and found and found[1].upper() in _BUSY:
            raise self.refusal(words, "the login")
        return ok

    def _dialogue(self, prelude: Sequence[bytes], commands: Sequence[bytes]) -> None:
        """Say the login's lines, in one flight where the server pipelines; what the prelude gets for an answer does not matter."""
        if self.pipelines and not commands[0].endswith(b"AUTH PLAIN"):
            self.send(*prelude, *commands)
            for _ in prelude:
                self.reply()
            answers = [self.reply() for _ in commands]
        else:
            for line in prelude:
                self.send(line)
                self.reply()
            answers = []
            for line in commands:
                self.send(line)
                answers.append(self._answer_or_prompt())
                if not answers[-1][0]:
                    break
        for ok, words in answers:
            if not ok:
                raise self.refusal(words, "the login", login=True)

    def _answer_or_prompt(self) -> tuple[bool, str]:
        if self.wire.peek(1) == b"+" and self.wire.peek(2) == b"+ ":
            self.wire.readline()
            return True, ""
        return self.reply()


class Pop3Source:
    """A POP3 account as a source, with the one mailbox INBOX. Reconnects by itself; `sleep` waits between attempts."""

    def __init__(
        self,
        account: str,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        pipelining: Literal["auto", "off"] = "auto",
        mark: Mark = "seen",
        progress: Progress | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = account
        self._endpoint = endpoint
        self._credentials = credentials
        self._pipelining = pipelining
        self._mark = mark
        self._progress = progress or Silence()
        self._clock = clock
        self._sleep = sleep
        self._failures = 0
        self._session: Pop3Session | None = None
        self._listing: list[Entry] = []
        self._numbers: dict[bytes, int] = {}
        self._sequential = pipelining == "off"
        self._moved = False
        self._open()

    def capabilities(self) -> Sequence[str]:
        """Tell what the server announced."""
        return sorted(f"{name} {rest}".strip() for name, rest in self._open().capabilities.items())

    def mailboxes(self) -> Sequence[Mailbox]:
        """Give the one mailbox there is."""
        return [Mailbox(INBOX, subscribed=True)]

    def scan(self, requests: Iterable[ScanRequest]) -> Iterator[Scan | MailboxError]:
        """List the inbox; always in full."""
        for request in requests:
            while True:
                try:
                    self._list(self._open())
                    break
                except StoreUnavailable as error:
                    self._after(error)
            yield Scan(request.mailbox, SyncState(0, 0, len(self._listing)), tuple(self._listing))

    def fetch(self, wanted: Iterable[Entry]) -> Iterator[Message | Unfetched]:
        """Bring letters, several asked for ahead where the server pipelines."""
        for entry, got in self._bring(wanted, b"RETR %d"):
            yield self._message(entry, got) if isinstance(got, bytes) else Unfetched(entry, got)

    def headers(self, wanted: Iterable[Entry]) -> Iterator[Part]:
        """Bring header blocks by TOP, an optional command: nothing comes from a server without it."""
        if self._open().capabilities and "TOP" not in self._open().capabilities:
            return
        for entry, got in self._bring(wanted, b"TOP %d 0"):
            if isinstance(got, bytes):
                yield Part(entry, header.block(got))

    def delete(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Delete letters of this very session's listing by DELE, and end it by QUIT; gives those that are really gone.

        Without a session, or after any failure, nothing is deleted: the server carries deletions out at QUIT (RFC 1939 section 6).
        """
        session = self._session
        if session is None or not entries:
            return []
        marked: list[Entry] = []
        try:
            known = [(entry, number) for entry in entries if (number := self._number(entry)) is not None]
            together = WINDOW_COMMANDS if self._pipelines(session) else 1
            for start in range(0, len(known), together):
                burst = known[start : start + together]
                session.send(*(b"DELE %d" % number for _, number in burst))
                marked += [entry for entry, _ in burst if session.reply()[0]]
            session.send(b"QUIT")
            confirmed, _ = session.reply()
        except StoreUnavailable:
            confirmed = False
        self._session = None
        session.wire.close()
        return marked if confirmed else []

    def close(self) -> None:
        """Say QUIT without waiting for the answer; nothing depends on it."""
        if self._session is not None:
            session, self._session = self._session, None
            try:
                session.send(b"QUIT")
            except StoreUnavailable:
                pass
            finally:
                session.wire.close()

    def _open(self) -> Pop3Session:
        while self._session is None:
            try:
                self._session = Pop3Session(self.account, self._endpoint, self._credentials)
            except (ServerBusy, ConnectionLost) as error:
                self._after(error)
        return self._session

    def _after(self, error: StoreUnavailable) -> None:
        """Wait before the next attempt, longer each time; give up when the retries are used up or it is of no use."""
        if self._session is not None:
            self._session.wire.abandon()
            self._session = None
        self._failures += 1
        if not error.retryable or self._failures > RETRIES:
            raise error
        wait = FIRST_WAIT * 2 ** (self._failures - 1) * (0.75 + random.random() / 2)  # noqa: S311  jitter is no secret
        self._progress.note(f"{self.account}: {error}; trying again in {wait:.0f} s")
        self._sleep(wait)

    def _list(self, session: Pop3Session) -> None:
        """Ask for UIDL and LIST, in one flight where the server pipelines."""
        if self._pipelines(session):
            session.send(b"UIDL", b"LIST")
            uidls = self._table(session, required=False)
            sizes = self._table(session, required=True)
        else:
            session.send(b"UIDL")
            uidls = self._table(session, required=False)
            session.send(b"LIST")
            sizes = self._table(session, required=True)
        times: dict[bytes, int] = {}
        for uidl in uidls.values():
            times[uidl] = times.get(uidl, 0) + 1
        flags = _SEEN if self._mark == "seen" else NO_FLAGS
        unique = {number: uidl for number, uidl in uidls.items() if times[uidl] == 1}
        self._listing = [
            Entry(
                UidlRef(unique.get(number), number),
                int(size.split()[0]) if size.split()[:1] and size.split()[0].isdigit() else None,
                flags,
            )
            for number, size in sorted(sizes.items())
        ]
        self._numbers = {entry.ref.uidl: entry.ref.number for entry in self._listing if isinstance(entry.ref, UidlRef) and entry.ref.uidl}

    def _table(self, session: Pop3Session, *, required: bool) -> dict[int, bytes]:
        """Read a listing: message number to the rest of its line."""
        ok, words = session.reply()
        if not ok:
            if required:
                raise session.refusal(words, "listing the mailbox")
            return {}
        parts = (line.split(None, 1) for line in session.lines())
        return {int(part[0]): part[1].strip() for part in parts if len(part) == 2 and part[0].isdigit() and len(part[0]) < 12}

    def _pipelines(self, session: Pop3Session) -> bool:
        return session.pipelines and not self._sequential

    def _bring(self, wanted: Iterable[Entry], command: bytes) -> Iterator[tuple[Entry, bytes | str]]:
        """Ask for each entry and give what came: bytes, or the server's reason against it."""
        rest = iter(wanted)
        again: deque[Entry] = deque()
        flying: deque[Entry] = deque()
        octets = 0
        session = self._open()
        while True:
            limit = WINDOW_COMMANDS if self._pipelines(session) else 1
            ahead: list[Entry] = []
            while len(flying) + len(ahead) < limit and (octets < WINDOW_OCTETS or not (flying or ahead)):
                entry = again.popleft() if again else next(rest, None)
                if entry is None:
                    break
                if self._number(entry) is None:
                    yield entry, "the mailbox changed while the connection was away; the next run finds this letter again"
                    continue
                ahead.append(entry)
                octets += entry.size or 0
            flying.extend(ahead)
            if not flying:
                return
            try:
                if ahead:
                    session.send(*(command % self._number(entry) for entry in ahead))
                got = self._answer(session)
            except StoreUnavailable as error:
                again.extendleft(reversed(flying))
                flying.clear()
                octets = 0
                session = self._again(error)
                continue
            entry = flying.popleft()
            octets -= entry.size or 0
            self._failures = 0
            yield entry, got

    def _again(self, error: StoreUnavailable) -> Pop3Session:
        """Log in again after a failure and learn the new message numbers.

        The second time letters are asked for one at a time: a server that cannot pipeline may have said that it can.
        """
        while True:
            self._after(error)
            self._sequential = self._sequential or self._failures > 1
            before = [entry.size for entry in self._listing]
            try:
                session = self._open()
                self._list(session)
            except StoreUnavailable as failure:
                error = failure
                continue
            self._moved = self._moved or before != [entry.size for entry in self._listing]
            return session

    def _answer(self, session: Pop3Session) -> bytes | str:
        ok, words = session.reply()
        if not ok:
            found = _CODE.search(words)
            if found and found[1].upper() in _BUSY:
                raise session.refusal(words, "fetching")
            return f"the server will not give it: {words or 'no reason given'}"
        return session.content()

    def _number(self, entry: Entry) -> int | None:
        """Find a letter's number in this session; without a UIDL only while the listing is as it was."""
        if not isinstance(entry.ref, UidlRef):
            return None
        if entry.ref.uidl is not None:
            return self._numbers.get(entry.ref.uidl)
        return None if self._moved else entry.ref.number

    def _message(self, entry: Entry, content: bytes) -> Message:
        now = int(self._clock())
        date = header.received_or_date(content, now)
        flags = entry.flags
        if not isinstance(self._mark, str):
            flags = _SEEN if date is not None and date < now - self._mark else NO_FLAGS
        return Message(replace(entry, internaldate=date, flags=flags), content)


def shown(raw: bytes) -> str:
    """Make a server's words fit for a person's terminal."""
    return _UNSAFE.sub("?", raw[:1000].decode("utf-8", "replace").strip())[:300]
