"""Which flags and keywords a mailbox keeps (PERMANENTFLAGS, RFC 9051 section 7.1), and what may be
sent to it.
"""

from __future__ import annotations

import re
from typing import Final

from mailsync.model import SYSTEM_FLAGS
from mailsync.stores.imap.command_queue import Command
from mailsync.stores.imap.response import result_of

_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[}]+")


def allowed(flags: frozenset[str], permanent: frozenset[str] | None) -> frozenset[str]:
    """Leave out flags the mailbox does not keep (PERMANENTFLAGS; None: it did not say) and keywords
    no server can be told.
    """
    anything = permanent is None or "\\*" in permanent
    known = {flag.lower() for flag in permanent or ()}

    def kept(flag: str) -> bool:
        if flag in SYSTEM_FLAGS:
            return permanent is None or flag.lower() in known
        return bool(_KEYWORD.fullmatch(flag)) and (anything or flag.lower() in known)

    return frozenset(filter(kept, flags))


def permanent_flags(selected: Command) -> frozenset[str] | None:
    """Read PERMANENTFLAGS from the answers to a SELECT (RFC 9051 section 7.1); None when the server
    did not say.
    """
    for answer in selected.answers:
        said = result_of(answer.line)
        if said is not None and said.code == b"PERMANENTFLAGS":
            return attributes_of(said.argument)
    return None


def attributes_of(raw: bytes) -> frozenset[str]:
    """Read the flags in a PERMANENTFLAGS argument (`(\\Seen work \\*)`); `\\*` means that new
    keywords may be made.
    """
    return frozenset(
        raw.strip().removeprefix(b"(").removesuffix(b")").decode("utf-8", "replace").split()
    )
