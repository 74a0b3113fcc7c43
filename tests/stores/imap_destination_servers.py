"""IMAP servers that take messages: Dovecot and pymap read back by IMAPClient, and a scripted one
that refuses what a test wants.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from imapclient import IMAPClient

from mailsync.model import MailboxPath
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap.destination import ImapDestination
from tests.servers.scripted import ClientGone, Command, Conversation
from tests.stores.destination_contract import Arrived
from tests.stores.imap_source_servers import endpoint

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n")


def destination(
    port: int, user: str = "alice", password: str = "secret", **options: object
) -> ImapDestination:
    """Make a destination that waits for nothing unless told."""
    options = {"sleep": lambda _: None, "jitter": lambda: 0.5, **options}
    return ImapDestination("new", endpoint(port), Credentials.fixed(user, password), **options)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """One account of a server, read by IMAPClient; `kept` is what the server makes of a message.

    `prefix` and `delimiter` are how the server writes names; a `strict` one refuses some messages;
    `shown` takes off what it adds to them.
    """

    port: int
    user: str
    password: str
    kept: Callable[[bytes], bytes]
    keywords: bool = True
    prefix: str = ""
    delimiter: str = "/"
    strict: bool = False
    shown: Callable[[bytes], bytes] = bytes

    def destination(self, *, repair: bool = True) -> ImapDestination:
        return destination(self.port, self.user, self.password, repair=repair)

    @contextmanager
    def client(self) -> Iterator[Any]:
        with IMAPClient("127.0.0.1", self.port, ssl=False) as client:
            client.normalise_times = False
            client.login(self.user, self.password)
            yield client

    def arrived(self, mailbox: MailboxPath) -> list[Arrived]:
        with self.client() as client:
            if not client.select_folder(self._written(mailbox), readonly=True)[b"EXISTS"]:
                return []
            got = client.fetch(client.search("ALL"), ["BODY.PEEK[]", "FLAGS", "INTERNALDATE"])
        return [
            Arrived(
                uid,
                self.shown(one[b"BODY[]"]),
                frozenset(flag.decode() for flag in one[b"FLAGS"] if flag != b"\\Recent"),
                int(one[b"INTERNALDATE"].timestamp()),
                len(one[b"BODY[]"]) - len(self.shown(one[b"BODY[]"])),
            )
            for uid, one in sorted(got.items())
        ]

    def subscribed(self) -> set[MailboxPath]:
        with self.client() as client:
            return {
                tuple(name.removeprefix(self.prefix).split(self.delimiter))
                for _, _, name in client.list_sub_folders()
            }

    def _written(self, mailbox: MailboxPath) -> str:
        name = self.delimiter.join(mailbox)
        return name if mailbox == ("INBOX",) else self.prefix + name


def dovecot_keeps(content: bytes) -> bytes:
    """What Dovecot delivers for an appended message: bare LF as CRLF, a CR less in front of a line
    end, no CR at the end, NUL as 0x80.
    """
    lined = re.sub(rb"(?<!\r)\n", b"\r\n", content.replace(b"\r\n", b"\n"))
    return re.sub(rb"\r\Z", b"", lined).replace(b"\0", b"\x80")


def pymap_keeps(content: bytes) -> bytes:
    """What pymap delivers: every octet, but for the line end, or half of one, at the end of a
    message that has no blank line.
    """
    return (
        content
        if re.search(rb"(?:\n|\A)[ \t]*\r?\n", content)
        else re.sub(rb"\n\Z|((?:\A|\n)\r*)\r\Z", rb"\1", content)
    )


def courier_keeps(content: bytes) -> bytes:
    """What Courier delivers: no CR but in line ends, and a line end at the end."""
    lined = content.replace(b"\r", b"").replace(b"\n", b"\r\n")
    return lined if lined.endswith(b"\n") else lined + b"\r\n"


def mailutils_shows(content: bytes) -> bytes:
    """What Mailutils delivers, without what it writes into its files: headers of its own, and marks
    before lines that begin with a dash.
    """
    return re.sub(rb"(?m)^(?:(?:X-IMAPbase|X-UID|Status):.*\r\n|>From (?=-))", b"", content)


def cyrus_keeps(content: bytes) -> bytes:
    """What Cyrus delivers: X for octets beyond ASCII in the header."""
    end = content.find(b"\r\n\r\n")
    head = content if end < 0 else content[:end]
    return re.sub(rb"[\x80-\xff]", b"X", head) + content[len(head) :]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as the client sent it; `literal` is its announcement, `{5}` or `{5+}`."""

    mailbox: str
    flags: frozenset[str]
    content: bytes
    literal: str


def command_of(talk: Conversation) -> Command:
    """Read a command as `Conversation.command` does, but keep the line ends that end its last
    literal.
    """
    text = talk.readline()
    while literal := re.search(rb"\{(\d+)(\+?)\}\Z", text):
        if not literal[2]:
            talk.line("+ go on")
        text += b"\r\n" + talk.read(int(literal[1]))
        text += b"\0" + talk.readline()  # so that a message's own {5} at its end is none of ours
    tag, _, rest = text.partition(b" ")
    words = rest.decode("latin-1").upper().split(" ")
    return Command(
        tag.decode("latin-1"), " ".join(words[:2]) if words[0] == "UID" else words[0], text
    )


def messages_in(command: Command) -> list[Taken]:
    """Read an APPEND command."""
    mailbox = command.text.split(b'"')[1].decode()
    found: list[Taken] = []
    position = 0
    while literal := _LITERAL.search(command.text, position):
        head = command.text[position : literal.start()]
        flags = frozenset(head[head.index(b"(") + 1 : head.index(b")")].decode().split())
        end = literal.end() + int(literal[1])
        found.append(
            Taken(mailbox, flags, command.text[literal.end() : end], literal[0].decode().strip())
        )
        position = end + 1
    return found


Says = Callable[[list[Taken]], str]


@dataclass(slots=True)
class Receiver:
    """A dialogue for `Scripted`: takes messages into `taken`, unless `says` answers an APPEND with
    something else than OK.

    `on[NAME]` may answer any other command itself, returning True. Each APPEND's messages are
    counted in `commands`.
    """

    says: Says = lambda _: "OK done"
    capability: str = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ MULTIAPPEND UIDPLUS NAMESPACE"
    permanent: str = "\\Seen \\Flagged \\Answered \\Deleted \\Draft \\*"
    taken: list[Taken] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)
    on: dict[str, Callable[[Conversation, Command], bool]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, talk: Conversation) -> None:
        talk.line(f"* OK [CAPABILITY {self.capability}] ready")
        while True:
            command = command_of(talk)
            handler = self.on.get(command.name)
            if handler is not None and handler(talk, command):
                continue
            match command.name:
                case "LOGOUT":
                    talk.line("* BYE", f"{command.tag} OK bye")
                    return
                case "AUTHENTICATE" | "LOGIN":
                    talk.line(f"{command.tag} OK [CAPABILITY {self.capability}] in")
                case "NAMESPACE":
                    talk.line('* NAMESPACE (("" "/")) NIL NIL', f"{command.tag} OK done")
                case "LIST":
                    talk.line('* LIST (\\Noselect) "/" ""', f"{command.tag} OK done")
                case "SELECT":
                    talk.line(
                        "* 0 EXISTS",
                        "* OK [UIDVALIDITY 7] v",
                        f"* OK [PERMANENTFLAGS ({self.permanent})] p",
                        f"{command.tag} OK open",
                    )
                case "APPEND":
                    self._append(talk, command)
                case _:
                    talk.line(f"{command.tag} OK done")

    def _append(self, talk: Conversation, command: Command) -> None:
        messages = messages_in(command)
        with self.lock:
            self.commands.append(len(messages))
            said = self.says(messages)
            if said.startswith("OK"):
                self.taken += messages
        if said:
            talk.line(f"{command.tag} {said}")
        else:
            talk.close()
            raise ClientGone
