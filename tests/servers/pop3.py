"""A POP3 server (Twisted's) in a child process; its mailbox is a directory with one file a message,
so tests change it at will.

The file's name is the message's UIDL, names sort into message numbers, and a session sees what was
there at its login. Messages go out byte for byte; one that does not end with CRLF gets one, as POP3
demands. Imports nothing that is needed for tests only.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.processes import HOST, Child, workplace

CAPABILITIES: Final = ("TOP", "UIDL", "USER", "RESP-CODES", "PIPELINING")


@dataclass(frozen=True, slots=True)
class Pop3:
    """A running server with one account."""

    port: int
    user: str
    password: str
    directory: Path
    host: str = HOST

    def add(self, content: bytes, uidl: str | None = None) -> str:
        """Put a message at the end of the mailbox, or where `uidl` sorts to; returns its UIDL."""
        uidl = uidl or f"{len(list(self.directory.iterdir())) + 1:08}"
        (self.directory / uidl).write_bytes(content)
        return uidl

    def messages(self) -> dict[str, bytes]:
        """Read what the mailbox holds now, by UIDL."""
        return {file.name: file.read_bytes() for file in sorted(self.directory.iterdir())}


@contextlib.contextmanager
def start(
    messages: Sequence[bytes] = (),
    *,
    directory: Path | None = None,
    user: str = "demo",
    password: str = "secret",
    capabilities: Collection[str] = CAPABILITIES,
    refuse: Collection[str] = (),
    greeting: str | None = None,
) -> Iterator[Pop3]:
    """Run a POP3 server holding `messages` until the context ends.

    `capabilities` is what CAPA lists, `refuse` names commands (upper case) it pretends not to know,
    `greeting` follows the first +OK; by default that is a timestamp, which offers APOP.
    """
    with workplace("pop3-") as own:
        place = directory or own / "mailbox"
        place.mkdir(parents=True, exist_ok=True)
        settings = {
            "directory": str(place),
            "user": user,
            "password": password,
            "capabilities": list(capabilities),
            "refuse": list(refuse),
            "greeting": greeting,
        }
        file = own / "settings.json"
        file.write_text(json.dumps(settings))
        with Child([sys.executable, "-m", "tests.servers.pop3_child", str(file)]) as child:
            server = Pop3(int(child.first_line()), user, password, place)
            for content in messages:
                server.add(content)
            yield server


def ended(content: bytes) -> bytes:
    """Return a message the last line end without which POP3 cannot send it."""
    return content if content.endswith(b"\r\n") else content + b"\r\n"
