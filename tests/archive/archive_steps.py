"""What the tests of the archive say often: an account's messages, where their files lie, one pull
from begin to end.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailsync.archive import Archive, Damage, PullRun
from mailsync.model import (
    INBOX,
    NO_FLAGS,
    ArchivedMessage,
    Entry,
    Mailbox,
    MailboxPath,
    Message,
    Scan,
    Stored,
    SyncState,
    UidlRef,
    UidRef,
)
from mailsync.progress import Silence

ACCOUNT = "alice"
DAY = 86_400
START = 1_700_000_000


def clock(begin: int = START) -> Iterator[float]:
    """Tick once a call."""
    return itertools.count(begin)


def opened(directory: Path, dedupe: str = "message-id", begin: int = START) -> Archive:
    ticks = clock(begin)
    return Archive.open(directory, dedupe=dedupe, clock=lambda: next(ticks))


@contextmanager
def pulling(archive: Archive, account: str = ACCOUNT) -> Iterator[PullRun]:
    """A pull that ends well unless its body raises."""
    with archive.pull(account) as run:
        yield run
        run.finish(complete=True, report={})


def uid(
    number: int,
    content: bytes,
    mailbox: MailboxPath = INBOX,
    *,
    flags: Iterable[str] = NO_FLAGS,
    date: int | None = START - DAY,
    validity: int = 1,
    object_id: str | None = None,
) -> Message:
    """A message as IMAP brings it."""
    return Message(
        Entry(UidRef(mailbox, validity, number), len(content), frozenset(flags), date, object_id),
        content,
    )


def uidl(name: bytes | None, content: bytes, number: int = 1, size: int | None = None) -> Message:
    """A message as POP3 brings it."""
    return Message(
        Entry(UidlRef(name, number), len(content) if size is None else size, NO_FLAGS, START - DAY),
        content,
    )


def pull(archive: Archive, messages: Iterable[Message], account: str = ACCOUNT) -> list[Stored]:
    """Take messages in, in one finished run that completes no mailbox."""
    with pulling(archive, account) as run:
        return [run.add(message) for message in messages]


def scan(
    messages: Sequence[Message],
    mailbox: MailboxPath = INBOX,
    *,
    validity: int = 1,
    since: SyncState | None = None,
) -> Scan:
    """What a server holding just these messages shows."""
    top = max((m.entry.ref.uid for m in messages if isinstance(m.entry.ref, UidRef)), default=0)
    state = SyncState(validity, top + 1 if validity else 0, len(messages))
    return Scan(Mailbox(mailbox), state, tuple(message.entry for message in messages), since)


def pull_whole(
    archive: Archive,
    messages: Sequence[Message],
    mailbox: MailboxPath = INBOX,
    *,
    validity: int = 1,
) -> None:
    """Take in a whole mailbox and complete it."""
    with pulling(archive) as run:
        run.mailbox(Mailbox(mailbox))
        for message in messages:
            run.add(message)
        run.complete(scan(messages, mailbox, validity=validity))


def messages(
    archive: Archive, mailbox: MailboxPath = INBOX, *, gone: bool = False, account: str = ACCOUNT
) -> list[ArchivedMessage]:
    return list(archive.messages(account, mailbox, include_gone=gone))


def files(directory: Path) -> list[Path]:
    """Every message's file below an archive's mail tree, by name."""
    tree = directory / "mail"
    return sorted(
        path
        for part in ("cur", "new")
        for path in (*tree.glob(f"{part}/*"), *tree.glob(f".*/{part}/*"))
    )


def only_file(directory: Path) -> Path:
    (path,) = files(directory)
    return path


def temporary(directory: Path) -> list[Path]:
    return list((directory / "mail").rglob("tmp/*"))


def damages(archive: Archive) -> list[Damage]:
    return list(archive.verify(Silence()))


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def rot(path: Path) -> bytes:
    """Flip one bit of a file in place, as a disk does: same name, same size, same inode.

    Returns what it held.
    """
    content = path.read_bytes()
    spoiled = bytearray(content)
    spoiled[len(spoiled) // 2] ^= 1
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(spoiled)
    return content
