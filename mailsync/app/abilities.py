"""What a server's capabilities mean for its user: what mailsync uses, and what it does where they
are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing a server can or cannot do; `effect` is what follows from that, in a sentence."""

    name: str
    offered: bool
    effect: str


@dataclass(frozen=True, slots=True)
class _Use:
    names: tuple[str, ...]
    with_it: str
    without: str


_IMAP = (
    _Use(
        ("CONDSTORE", "QRESYNC"),
        "later pulls ask only for what changed",
        "every pull lists all messages and their flags",
    ),
    _Use(
        ("LIST-STATUS",),
        "all mailboxes are looked at in one question",
        "each mailbox is asked about by itself",
    ),
    _Use(
        ("SPECIAL-USE",),
        "Sent, Trash and the like are known whatever they are called",
        "Sent, Trash and the like are told by their names",
    ),
    _Use(
        ("OBJECTID", "X-GM-EXT-1"),
        "a message in several mailboxes is fetched once",
        "messages are told apart by header and content",
    ),
    _Use(
        ("UIDPLUS",),
        "the server tells where it put a message",
        "after sending, messages are looked for by their headers",
    ),
    _Use(
        ("MULTIAPPEND",),
        "many messages are sent in one command",
        "messages are sent one command each",
    ),
    _Use(
        ("LITERAL+",),
        "messages are sent without waiting in between",
        "the server must be asked before each message",
    ),
    _Use(
        ("NAMESPACE",),
        "your own mailboxes are told from shared ones",
        "all mailboxes are taken as yours",
    ),
)
_POP3 = (
    _Use(
        ("PIPELINING",),
        "messages are asked for without waiting in between",
        "messages are asked for one at a time, which is slow over a distance",
    ),
    _Use(
        ("UIDL",),
        "later pulls fetch only new messages",
        "messages are recognised by their content: every pull fetches all",
    ),
    _Use(("TOP",), "headers can be looked at alone", "only whole messages can be fetched"),
    _Use(
        ("UTF8",),
        "messages with 8-bit headers come as they are",
        "messages with 8-bit headers come as the server sees fit",
    ),
)


def abilities(
    protocol: str, capabilities: Sequence[str], *, pipelining: str = "auto"
) -> list[Ability]:
    """Explain the capabilities that matter, offered ones first said as the server says them."""
    words = {capability.upper().split()[0] for capability in capabilities if capability.strip()}
    words |= {word.partition("=")[0] for word in words}
    if protocol == "imap" and "LITERAL-" in words and "LITERAL+" not in words:
        uses = [_LITERAL_MINUS if use.names == ("LITERAL+",) else use for use in _IMAP]
    else:
        uses = list(_IMAP if protocol == "imap" else _POP3)
    found = [_explain(use, words) for use in uses]
    if protocol == "pop3" and pipelining == "off":
        found[0] = Ability(
            "PIPELINING", found[0].offered, "not used: the configuration says `pipelining: off`"
        )
    limit = next(
        (
            word.partition("=")[2]
            for word in map(str.upper, capabilities)
            if word.startswith("APPENDLIMIT=")
        ),
        "",
    )
    if limit.isdecimal():
        found.append(
            Ability(
                "APPENDLIMIT",
                offered=True,
                effect=f"messages above {int(limit):,} bytes cannot be sent to it",
            )
        )
    return found


_LITERAL_MINUS = _Use(("LITERAL-",), "small messages are sent without waiting in between", "")


def _explain(use: _Use, words: set[str]) -> Ability:
    name = next((name for name in use.names if name in words), None)
    return Ability(name or use.names[0], name is not None, use.with_it if name else use.without)
