"""A small IMAP server in memory whose every answer a test may replace, for what no real server can
be made to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.servers.scripted import Command, Conversation

CAPABILITY = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ NAMESPACE LIST-EXTENDED LIST-STATUS"


@dataclass(slots=True)
class ArchivedMessage:
    """A message on the scripted server."""

    uid: int
    content: bytes
    flags: str = ""
    date: str = "17-Jul-2014 02:44:25 -0700"


Handler = Callable[[Conversation, Command], bool]


@dataclass(slots=True)
class Server:
    """A dialogue for `Scripted`.

    `on[NAME]` is asked first; what it returns True for is answered.
    """

    boxes: dict[str, list[ArchivedMessage]] = field(default_factory=lambda: {"INBOX": []})
    capability: str = CAPABILITY
    uidvalidity: int = 7
    on: dict[str, Handler] = field(default_factory=dict)
    greeting: str = ""
    selected: str = ""

    def __call__(self, talk: Conversation) -> None:
        talk.line(self.greeting or f"* OK [CAPABILITY {self.capability}] ready")
        while True:
            command = talk.command()
            handler = self.on.get(command.name)
            if handler is not None and handler(talk, command):
                continue
            if command.name == "LOGOUT":
                talk.line("* BYE", f"{command.tag} OK bye")
                return
            name = "_" + command.name.lower().replace(" ", "_")
            getattr(self, name, self._unknown)(talk, command)

    def fetch_line(self, number: int, message: ArchivedMessage) -> str:
        return (
            f"* {number} FETCH (UID {message.uid} FLAGS ({message.flags}) INTERNALDATE"
            f' "{message.date}" RFC822.SIZE {len(message.content)})'
        )

    def chosen(self, command: Command) -> Sequence[tuple[int, ArchivedMessage]]:
        """The messages a UID FETCH names, with their numbers."""
        messages = self.boxes[self.selected]
        last = max((message.uid for message in messages), default=0)
        wanted: set[int] = set()
        for part in command.text.split(b" ")[3].decode().split(","):
            first, _, end = part.partition(":")
            wanted.update(range(int(first), (last if end == "*" else int(end or first)) + 1))
        return [
            (number, message) for number, message in enumerate(messages, 1) if message.uid in wanted
        ]

    def body(self, talk: Conversation, number: int, message: ArchivedMessage) -> None:
        talk.send(
            b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n"
            % (number, message.uid, len(message.content), message.content)
        )

    def _authenticate(self, talk: Conversation, command: Command) -> None:
        talk.line(f"{command.tag} OK [CAPABILITY {self.capability}] in")

    def _login(self, talk: Conversation, command: Command) -> None:
        self._authenticate(talk, command)

    def _capability(self, talk: Conversation, command: Command) -> None:
        talk.line(f"* CAPABILITY {self.capability}", f"{command.tag} OK done")

    def _namespace(self, talk: Conversation, command: Command) -> None:
        talk.line('* NAMESPACE (("" "/")) NIL NIL', f"{command.tag} OK done")

    def _enable(self, talk: Conversation, command: Command) -> None:
        talk.line("* ENABLED CONDSTORE QRESYNC", f"{command.tag} OK done")

    def _list(self, talk: Conversation, command: Command) -> None:
        if b'"" ""' in command.text:
            talk.line('* LIST (\\Noselect) "/" ""', f"{command.tag} OK done")
            return
        for name, messages in self.boxes.items():
            talk.line(f'* LIST () "/" "{name}"')
            if b"STATUS" in command.text:
                talk.line(
                    f'* STATUS "{name}" (MESSAGES {len(messages)} UIDNEXT {self._next(messages)}'
                    f" UIDVALIDITY {self.uidvalidity})"
                )
        talk.line(f"{command.tag} OK done")

    def _lsub(self, talk: Conversation, command: Command) -> None:
        talk.line(f"{command.tag} OK done")

    def _status(self, talk: Conversation, command: Command) -> None:
        talk.line(f"{command.tag} NO not now")

    def _examine(self, talk: Conversation, command: Command) -> None:
        found = re.search(rb'EXAMINE "([^"]*)"', command.text)
        self.selected = found[1].decode() if found else ""
        messages = self.boxes[self.selected]
        talk.line(
            f"* {len(messages)} EXISTS",
            "* FLAGS (\\Seen)",
            f"* OK [UIDVALIDITY {self.uidvalidity}] valid",
            f"* OK [UIDNEXT {self._next(messages)}] next",
            f"{command.tag} OK [READ-ONLY] open",
        )

    def _uid_fetch(self, talk: Conversation, command: Command) -> None:
        if self.selected not in self.boxes:
            self._unknown(talk, command)
            return
        for number, message in self.chosen(command):
            if b"BODY" in command.text:
                self.body(talk, number, message)
            elif b"RFC822.SIZE" in command.text:
                talk.line(self.fetch_line(number, message))
            else:
                talk.line(f"* {number} FETCH (UID {message.uid})")
        talk.line(f"{command.tag} OK done")

    def _unknown(self, talk: Conversation, command: Command) -> None:
        talk.line(f"{command.tag} BAD what is that")

    @staticmethod
    def _next(messages: Sequence[ArchivedMessage]) -> int:
        return max((message.uid for message in messages), default=0) + 1
