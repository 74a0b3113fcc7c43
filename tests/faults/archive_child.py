"""A process that pulls messages into an archive, to be killed: `python -m
tests.faults.archive_child DIRECTORY COUNT [STEP]`.

With STEP it kills itself (SIGKILL: no handler, no clean-up) just before its STEP-th call to the
system that changes the disk. It prints how many messages are durable after each flush, and at the
end how many such calls there were.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mailsync.archive import Archive
from mailsync.model import Entry, Mailbox, MailboxPath, Message, Scan, SyncState, UidRef
from tests.messages import plain

MAILBOXES: tuple[MailboxPath, ...] = (("INBOX",), ("Work",), ("Lists", "x" * 300), ("work",))
FLAGS = (
    frozenset[str](),
    frozenset({"\\Seen"}),
    frozenset({"\\Seen", "later"}),
    frozenset({"\\Flagged", "$Forwarded"}),
)
FLUSH_EVERY = 150
CHANGING = (
    "rename",
    "replace",
    "link",
    "unlink",
    "mkdir",
    "open",
    "write",
    "fsync",
    "utime",
    "fchmod",
    "chmod",
)


def messages(count: int) -> Iterator[Message]:
    """Yield `count` messages in four mailboxes; every fifth is in another mailbox already, every
    seventh took another route.
    """
    for n in range(count):
        mailbox = MAILBOXES[n % len(MAILBOXES)]
        content = plain(n - 1 if n % 5 == 4 else n)
        if n % 7 == 6:
            content = plain(n - 4).replace(b"mx.example.org", b"mx2.example.org", 1)
        yield Message(
            Entry(
                UidRef(mailbox, 1, n + 1),
                len(content),
                FLAGS[n % 11 % len(FLAGS)],
                1_600_000_000 + n,
            ),
            content,
        )


def pull(directory: Path, count: int) -> None:
    """Bring what is missing and complete the mailboxes, as a pull does."""
    with Archive.open(directory) as archive, archive.pull("alice") as run:
        todo = list(messages(count))
        scans = {}
        for path in MAILBOXES:
            run.mailbox(Mailbox(path))
            entries = tuple(message.entry for message in todo if message.entry.ref.mailbox == path)
            scans[path] = Scan(Mailbox(path), SyncState(1, count + 1, len(entries)), entries)
        known = {(path, uid) for path, scan in scans.items() for uid in run.known(scan).messages}
        durable = len(known)
        for message in todo:
            ref = message.entry.ref
            assert isinstance(ref, UidRef)
            if (ref.mailbox, ref.uid) in known:
                continue
            run.add(message)
            durable += 1
            if durable % FLUSH_EVERY == 0:
                run.flush()
                print(durable, flush=True)
        for scan in scans.values():
            run.complete(scan)
        run.finish(complete=True, report={})
        print(durable, flush=True)


def kill_at(step: int) -> Iterator[int]:
    """Count the calls that change the disk; die before the given one (0: never)."""
    numbers = itertools.count(1)

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def stepped(*values: Any, **named: Any) -> Any:
            if next(numbers) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*values, **named)

        return stepped

    for name in CHANGING:
        setattr(os, name, watched(getattr(os, name)))
    return numbers


def main() -> None:
    """Pull, and perhaps die."""
    numbers = kill_at(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    pull(Path(sys.argv[1]), int(sys.argv[2]))
    print("steps", next(numbers) - 1, flush=True)


if __name__ == "__main__":
    main()
