"""Seeded mailboxes on a server, and the proof that all of their messages arrived somewhere."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.benchmark.messages import messages
from tests.servers.dovecot import Dovecot

_EPOCH: Final = 1_200_000_000
# Fields that programs put before the message or into it when they deliver: mbsync its mark, getmail
# and fetchmail their trace. The messages made here have none of them. getmail also folds long
# fields anew.
_OWN_FIELDS: Final = re.compile(
    rb"^(?:X-TUID|Delivered-To|Return-Path|X-getmail-[a-z-]+|Status):.*\n"
    rb"|^Received: from .*\n(?:[ \t].*\n)*?[ \t].*\(fetchmail.*\n(?:[ \t].*\n)*",
    re.MULTILINE,
)
_FOLD: Final = re.compile(rb"\n[ \t]+")


class NotTheSameWork(RuntimeError):
    """A program ended well, but what it left is not what it was given."""


@dataclass(frozen=True, slots=True)
class Mail:
    """The messages of one user: their octets in all, the largest, and how often each content
    occurs, as it is and as others keep it.
    """

    user: str
    mailboxes: tuple[str, ...]
    octets: int
    largest: int
    verbatim: Counter[bytes]
    folded: Counter[bytes]

    @property
    def count(self) -> int:
        """The number of messages."""
        return self.verbatim.total()

    def arrived(self, found: Iterable[bytes], *, exactly: bool = False) -> None:
        """Demand that `found` are these messages, each as often; `exactly`: byte for byte.

        Raises NotTheSameWork.
        """
        given, there = (
            (self.verbatim, Counter(map(_digest, found)))
            if exactly
            else (self.folded, Counter(map(fingerprint, found)))
        )
        if there != given:
            less, more = (given - there).total(), (there - given).total()
            raise NotTheSameWork(
                f"of {self.count} messages {less} did not arrive as they were, and {more}"
                " others did"
            )


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def fingerprint(content: bytes) -> bytes:
    """Digest a message as others keep it: line ends and fields unfolded, without what delivery
    adds, nor empty lines at the end.
    """
    head, gap, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    return _digest(_FOLD.sub(b" ", _OWN_FIELDS.sub(b"", head + b"\n")) + gap + body.rstrip(b"\n"))


def fill(
    server: Dovecot, user: str, mailboxes: Sequence[str], count: int, octets: int, *, seed: int = 1
) -> Mail:
    """Put `count` messages of `octets` in all into `user`'s mailboxes, in turn; the same seed makes
    the same messages.
    """
    verbatim: Counter[bytes] = Counter()
    folded: Counter[bytes] = Counter()
    total = largest = 0
    for number, content in enumerate(messages(count, octets, seed)):
        server.deliver(
            user, mailboxes[number % len(mailboxes)], content, internaldate=_EPOCH + number
        )
        verbatim[_digest(content)] += 1
        folded[fingerprint(content)] += 1
        total += len(content)
        largest = max(largest, len(content))
    return Mail(user, tuple(mailboxes), total, largest, verbatim, folded)


def files(tree: Path) -> Iterator[bytes]:
    """Read every message of a tree of Maildirs."""
    for part in ("cur", "new"):
        for folder in tree.rglob(part):
            yield from (file.read_bytes() for file in folder.iterdir())


def batches(file: Path) -> Iterator[bytes]:
    """Read every message of a file in the form of batched SMTP, as fetchmail writes it."""
    content: list[bytes] | None = None
    with file.open("rb") as lines:
        for line in lines:
            if content is None:
                content = [] if line.rstrip() == b"DATA" else None
            elif line.rstrip() == b".":
                yield b"".join(content)
                content = None
            else:
                content.append(line.removeprefix(b".") if line.startswith(b"..") else line)


def received(server: Dovecot, user: str) -> Iterator[bytes]:
    """Read every message a user has on the server."""
    return files(server.maildir(user))
