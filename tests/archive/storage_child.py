"""Dies at every step of one `sync`: for each call that changes the disk, a process of its own ends
just there, half of the octets written where it is a write. Each leaves a tree of its own, named by
the number of the step; the last one lived.

Usage: python -m tests.archive.storage_child FORMAT DIRECTORY
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

from mailsync.archive.storage.archive_format import prepare, storage_of
from mailsync.archive.storage.base import Origin, Storage
from mailsync.formats import maildir
from mailsync.model import INBOX, NO_FLAGS
from tests.archive.archive_steps import START, sha256
from tests.messages import plain

WATCHED: Final = ("write", "fsync", "rename", "replace", "link", "unlink", "ftruncate", "mkdir")
BEFORE: Final = [plain(number) for number in range(2)]
MORE: Final = [plain(number) + b"more\r\n" * 200 for number in range(2, 6)]
WORK: Final = ("Work",)
DIED: Final = 9


def base_of(content: bytes, date: int = START, copy: int = 1) -> str:
    return maildir.name(date, sha256(content), len(content), copy)


def begin(storage: Storage) -> None:
    """Store what no death may take."""
    folder = storage.make_folder(INBOX)
    for content in BEFORE:
        storage.write(folder, base_of(content), content, NO_FLAGS)
    storage.sync()


def go_on(storage: Storage) -> None:
    """Store more, in a new folder too, and reflag what is there."""
    inbox, work = storage.make_folder(INBOX), storage.make_folder(WORK)
    storage.reflag(inbox, base_of(BEFORE[0]), frozenset({"\\Seen", "work"}))
    for content in MORE:
        storage.write(inbox, base_of(content), content, NO_FLAGS)
    for content in (BEFORE[1], MORE[0]):
        storage.copy(Origin(inbox, base_of(content)), work, base_of(content), NO_FLAGS)
    storage.sync()


def die_at(step: int) -> None:
    """End this process at the call of that number from now on."""
    done, turn = count(1), threading.Lock()

    def deadly(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with turn:
                if next(done) == step:
                    if name == "write":
                        real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                    os._exit(DIED)
            return real(*arguments, **options)

        return call

    for name in WATCHED:
        setattr(os, name, deadly(name, getattr(os, name)))


def main(wanted: str, directory: Path) -> None:
    for step in count(1):
        child = os.fork()
        if not child:
            tree = directory / str(step)
            tree.mkdir()
            prepare(tree, wanted)
            storage = storage_of(tree / "mail", writing=True)
            begin(storage)
            die_at(step)
            go_on(storage)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != DIED:
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
