"""What a POP3 server can do: the answer to CAPA read (RFC 2449 section 5), and what was learnt of
the server beyond what it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_FAR: Final = 512
_STUMBLES: Final = 2
"""So many connections that broke before they brought so many answers, while several were owed: the
server cannot pipeline.
"""

_TELLING: Final = 8


def read_capabilities(lines: Iterable[bytes]) -> dict[str, str]:
    """Read the lines of a CAPA answer: each capability, upper case, with its arguments."""
    words = (line.decode("ascii", "replace").upper().strip().partition(" ") for line in lines)
    return {name: arguments for name, _, arguments in words if name}


@dataclass(slots=True)
class Experience:
    """What was learnt about a server and outlives its connections: whether it takes several
    commands at once, APOP, SASL, and LIST of one message; whether its answers went astray, end in
    LF or show portions, and its sizes are estimates.
    """

    one_at_a_time: bool = False
    apop: bool = True
    lists_one: bool = True
    astray: bool = False
    line_feeds: bool = False
    sasl: bool = True
    portions: bool = False
    stumbles: int = 0
    _estimates: int = 0

    @property
    def estimates(self) -> bool:
        """Whether its sizes were found too large so often that they are estimates."""
        return self._estimates >= _TELLING

    def greeted(self, line: bytes) -> None:
        """Learn from the greeting: Exchange estimates sizes unless told otherwise, Gmail shows some
        hundred messages at a time.
        """
        self.portions = b" gpop " in line.lower()
        if b"microsoft exchange" in line.lower():
            self._estimates = _TELLING

    def estimated(self) -> None:
        """Learn that a message is smaller than announced, though surely whole."""
        self._estimates += 1

    def broke(self, *, answers: int, several_owed: bool) -> None:
        """Learn from a connection that broke after so many answers: some servers announce
        PIPELINING, and lose what is sent ahead.

        An answer or two come even so, hence only a connection that got far speaks for the server.
        """
        if answers >= _FAR:
            self.stumbles = 0
        elif several_owed:
            self.stumbles += 1
            self.one_at_a_time = self.stumbles >= _STUMBLES
