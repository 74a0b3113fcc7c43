"""A queue of tagged commands over one connection (RFC 9051 sections 2.2 and 5.5): several in
flight, answers read one at a time.

Knows lines, literals, tags and response codes; knows no mailbox and no message. Untagged answers
belong to the oldest command that is not finished, because servers answer in order; completions find
their command by tag. One exception must be reckoned with: in one mailbox, Dovecot may answer a
FETCH before it completes the FETCH sent earlier, so whoever has several in flight there looks at
the UID, not only at the command it came for. A literal goes from the socket into its `bytes` once.
`imaplib` is not used: it waits for each completion, rewrites line ends and breaks on lower-case
answers.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mailsync.errors import ConnectionLost, ProtocolViolation, ServerBusy, StoreUnavailable
from mailsync.formats.redaction import Redactor
from mailsync.stores.imap.limits import Limits
from mailsync.stores.imap.response import Answer, Result, result_of
from mailsync.stores.server_words import shown
from mailsync.stores.transport import Connection

_NAMED: Final = 12
"""Octets that tell what a command is (`AUTHENTICATE`), and not what comes with it."""

_JOIN: Final = 64 * 1024
"""Parts smaller than this are joined into one write; larger ones are written from where they lie.
"""

_MARKER: Final = re.compile(rb"~?\{(\d{1,20})\+?\}\Z")
_COMPLETION: Final = re.compile(rb"m\d+ (?:OK|NO|BAD)\b", re.IGNORECASE)
_STATUS_START: Final = (b"OK", b"NO", b"BA", b"BY", b"PR")


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets sent as they are (RFC 9051 section 4.3).

    `waiting` False sends `{n+}` and goes on at once (RFC 7888: LITERAL+, or LITERAL- up to 4096
    octets); True waits for the server's consent, which costs a round trip.
    """

    data: bytes = field(repr=False)
    waiting: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """A line sent once the server asks for it with `+` (AUTHENTICATE); never shown."""

    data: bytes = field(repr=False)


Piece: TypeAlias = bytes | Literal | Reply


class Command:
    """A command on its way; `answers` holds what came for it and was not taken yet, `result` is
    None until it is finished.

    `whole`: all of it was sent. `fetches`: it asks for messages, or parts of them. `prompt`: what
    the server said when it last asked for more of it.
    """

    __slots__ = (
        "answers",
        "fetches",
        "name",
        "octets",
        "prompt",
        "remarks",
        "result",
        "tag",
        "whole",
    )

    def __init__(self, tag: bytes, name: str) -> None:
        self.tag = tag
        self.name = name
        self.octets = 0
        self.remarks = 0
        self.whole = True
        self.fetches = False
        self.prompt = b""
        self.answers: deque[Answer] = deque()
        self.result: Result | None = None

    @property
    def done(self) -> bool:
        """Whether the tagged completion came."""
        return self.result is not None


class CommandQueue:
    """The command queue of one connection.

    Any failure leaves it unusable (`alive` False): open another connection.

    `note` hears what the server wants people to read (`[ALERT]`), without what `redactor` takes
    out of all its words. Raises ConnectionLost, ServerBusy
    (the server said BYE) or ProtocolViolation from every method that reads or writes; commands
    unfinished then stay unfinished.
    """

    def __init__(
        self,
        connection: Connection,
        note: Callable[[str], None] | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.connection = connection
        self.redactor = redactor or Redactor()
        self.account = connection.account
        self.alive = True
        self.leaving = False
        self.goodbye: Callable[[Result], StoreUnavailable] = self._bye
        self._note = note
        self._count = 0
        self._open: dict[bytes, Command] = {}
        self._asked: bytes | None = None
        self._limits = Limits(self.account, connection.endpoint)

    @property
    def unfinished(self) -> int:
        """How many commands are in flight."""
        return len(self._open)

    @property
    def outstanding(self) -> int:
        """How many octets of unfinished commands were sent."""
        return sum(command.octets for command in self._open.values())

    def greeting(self) -> Result:
        """Read the server's first line: OK or PREAUTH. Raises ServerBusy on BYE."""
        with _Guard(self):
            line = self._text()
            result = result_of(line[2:], self.redactor) if line.startswith(b"* ") else None
            if result is None:
                raise ProtocolViolation(
                    self.account,
                    f"{self.connection.endpoint} does not speak IMAP: it said {self.shown(line)!r}",
                )
            if result.status == b"BYE":
                raise self.goodbye(result)
            self._alert(result)
            return result

    def shown(self, said: bytes) -> str:
        """Return what the server said, fit for people: no secret, no control character, not
        endless.
        """
        return shown(said, self.redactor)

    def send(self, *parts: Piece) -> Command:
        """Send one command of these parts, in order; see `send_parts`."""
        return self.send_parts(parts)

    def send_parts(self, parts: Iterable[Piece]) -> Command:
        """Send one command and return at once, except for the server's consent to waiting literals
        and replies.

        The tag and the final line end are added. A server that refuses a waiting literal finishes
        the command: the rest of `parts` is then not sent (nor drawn, so a lazy iterable may end
        early).
        """
        self._count += 1
        tag = b"m%d" % self._count
        command = Command(tag, "")
        buffer = bytearray(tag + b" ")
        with _Guard(self):
            self._open[tag] = command
            for part in parts:
                if isinstance(part, bytes):
                    command.fetches |= b" BODY.PEEK[" in part[-80:]
                    if not command.name:
                        command.name = part[:_NAMED].decode("ascii", "replace")
                    self._add(command, buffer, part)
                    continue
                waiting = True
                if isinstance(part, Literal):
                    waiting = part.waiting
                    buffer += b"{%d}" % len(part.data) if waiting else b"{%d+}" % len(part.data)
                buffer += b"\r\n"
                if waiting:
                    self._flush(command, buffer)
                    if not self._consent(command):
                        command.whole = False
                        return command
                self._add(command, buffer, part.data)
            buffer += b"\r\n"
            self._flush(command, buffer)
        return command

    def wait(self, command: Command) -> Result:
        """Read until `command` is finished; its untagged answers are in `command.answers`."""
        while command.result is None:
            with _Guard(self):
                self._step()
        return command.result

    def answers(self, command: Command) -> Iterator[Answer]:
        """Yield the untagged answers of `command` as they arrive, until it is finished; each is let
        go once it was yielded.
        """
        while True:
            while command.answers:
                yield command.answers.popleft()
            if command.result is not None:
                return
            with _Guard(self):
                self._step()

    def pump(self) -> bool:
        """Take in what has arrived, without waiting; returns whether there was anything.

        Finished commands have their result.
        """
        some = False
        with _Guard(self):
            while self._open and self.connection.readable():
                self._step()
                some = True
        return some

    def start_tls(self) -> None:
        """Encrypt the connection; nothing may be in flight. Raises TlsError."""
        with _Guard(self):
            self.connection.start_tls()

    def close(self) -> None:
        """Say LOGOUT without waiting for the answer, and close; idempotent."""
        if self.alive:
            self.leaving = True
            with contextlib.suppress(
                StoreUnavailable
            ):  # a server that was faster left us what we wanted
                self.send(b"LOGOUT")
            self.alive = False
        self.connection.close()

    def _step(self) -> None:
        """Read one answer of any kind and give it to whom it belongs."""
        line = self._text()
        if line.startswith(b"* "):
            self._untagged(line[2:].lstrip(b" "))
        elif line.startswith(b"+"):
            self._asked = line[1:].strip()
        elif line:
            tag, _, rest = line.partition(b" ")
            if tag not in self._open and not _COMPLETION.match(line):
                self._limits.garbage(self._oldest(), self.shown(line))
                return
            command = self._open.pop(tag, None)
            result = result_of(rest, self.redactor)
            if command is None or result is None or result.status not in {b"OK", b"NO", b"BAD"}:
                raise ProtocolViolation(
                    self.account,
                    f"{self.connection.endpoint} answered out of turn: {self.shown(line)!r}",
                )
            command.result = result
            self._limits.answered()
            self._alert(result)

    def _untagged(self, line: bytes) -> None:
        command = self._oldest()
        if (
            line[:2].upper() in _STATUS_START
            and (result := result_of(line, self.redactor)) is not None
        ):
            # It is for people and may end in anything, even what looks like the start of a literal.
            if result.status == b"BYE" and not self.leaving:
                raise self.goodbye(result)
            self._alert(result)
            answer = Answer((line,))
            if command is not None:
                command.remarks += 1
                self._limits.remarked()
        elif line.endswith(b"}") and _MARKER.search(line):
            answer = self._with_literals(line)
            self._limits.answered()
        else:
            answer = Answer((line,))
            self._limits.answered()
        if command is not None:
            command.answers.append(answer)
            self._limits.answers(len(command.answers), command.remarks)

    def _oldest(self) -> Command | None:
        return next(iter(self._open.values()), None)

    def _with_literals(self, line: bytes) -> Answer:
        parts = [line]
        while marker := _MARKER.search(parts[-1]):
            octets = int(marker[1])
            self._limits.literal(self._oldest(), octets, len(parts) // 2 + 1)
            parts.append(self.connection.read(octets))
            parts.append(self._text())
        return Answer(parts)

    def _text(self) -> bytes:
        """Read one line, without its line end; some servers forget the CR."""
        line = self.connection.readline()
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _consent(self, command: Command) -> bool:
        """Read until the server asks for more; False when it finished the command instead."""
        while command.result is None:
            self._step()
            if self._asked is not None:
                command.prompt, self._asked = self._asked, None
                return True
        return False

    def _add(self, command: Command, buffer: bytearray, data: bytes) -> None:
        if len(data) < _JOIN:
            buffer += data
            if len(buffer) >= _JOIN:
                self._flush(command, buffer)
        else:
            self._flush(command, buffer)
            command.octets += len(data)
            self.connection.write(data)

    def _flush(self, command: Command, buffer: bytearray) -> None:
        if buffer:
            command.octets += len(buffer)
            self._asked = None
            self.connection.write(bytes(buffer))
            buffer.clear()

    def _alert(self, result: Result) -> None:
        if result.code == b"ALERT" and self._note is not None and result.text:
            self._note(f"{self.account}: the server says: {result.text}")

    def _bye(self, result: Result) -> StoreUnavailable:
        return ServerBusy(
            self.account,
            f"{self.connection.endpoint} ended the session: {result.text or 'it gave no reason'}",
        )


class _Guard:
    """Marks the queue dead when anything at all goes wrong while reading or writing: after that,
    answers cannot be told apart.
    """

    __slots__ = ("_queue",)

    def __init__(self, queue: CommandQueue) -> None:
        self._queue = queue

    def __enter__(self) -> None:
        if not self._queue.alive:
            raise ConnectionLost(
                self._queue.account,
                f"the connection to {self._queue.connection.endpoint} is closed",
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if kind is not None:
            self._queue.alive = False
            self._queue.connection.abandon()


def quote(name: bytes, *, instant: bool) -> Piece:
    """Make a command's argument of any octets: quoted where allowed, else a literal (`instant`: the
    server takes `{n+}`).
    """
    if name.isascii() and not any(octet in name for octet in b"\r\n\0") and len(name) < 1000:
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(name, waiting=not instant)
