"""Locks on mbox files: other programs' are respected, those of the dead are not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailsync.archive.storage import dotlock
from mailsync.archive.storage.archive_format import prepare
from mailsync.archive.storage.mbox import MboxStorage
from tests.archive.storage_contract import held, store
from tests.messages import plain


def opened(directory: Path) -> MboxStorage:
    prepare(directory, "mbox")
    return MboxStorage(directory / "mail")


@pytest.mark.parametrize("how", ["fcntl", "dot-lock"])
def test_a_file_another_program_has_locked_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(dotlock, "PATIENCE", 0.3)
    storage = opened(tmp_path)
    store(storage, plain(1))
    before = storage.file_of("").read_bytes()
    with (
        locked(storage.file_of(""), how),
        pytest.raises(OSError, match="another program has locked it"),
    ):
        store(storage, plain(2))
    storage.discard_waiting()
    assert storage.file_of("").read_bytes() == before
    store(storage, plain(2))
    assert len(held(storage, "")) == 2


class locked:  # noqa: N801  reads as what it does
    def __init__(self, file: Path, how: str) -> None:
        self._dot = file.with_name(f"{file.name}.lock")
        self._child = None
        if how == "dot-lock":
            self._dot.write_text(f"{os.getpid()}\n")
        else:
            lines = (
                "import fcntl, sys\nf = open(sys.argv[1], 'r+b')\nfcntl.lockf(f,"
                " fcntl.LOCK_EX)\nprint('.', flush=True)\nsys.stdin.read()"
            )
            self._child = subprocess.Popen(
                [sys.executable, "-c", lines, str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._child.stdout is not None
            self._child.stdout.readline()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._dot.unlink(missing_ok=True)
        if self._child:
            self._child.communicate()


def test_the_dot_lock_of_a_process_that_died_is_removed(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    file = storage.file_of("")
    file.with_name(f"{file.name}.lock").write_text(done.stdout)
    store(storage, plain(1))
    assert len(held(storage, "")) == 1
    assert not file.with_name(f"{file.name}.lock").exists()


@pytest.mark.parametrize(
    "whose", ["our own number", "a living process", "nobody", "no longer a mailsync"]
)
def test_a_dot_lock_that_a_killed_mailsync_or_a_power_cut_left_stops_nobody(
    tmp_path: Path, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number says little: in a container it is the same in every run, and after a restart it is
    somebody else's.
    """
    monkeypatch.setattr(dotlock, "PATIENCE", 0.5)
    storage = opened(tmp_path)
    store(storage, plain(1))
    dot = dotlock.place(storage.file_of(""))
    if whose == "nobody":
        dot.touch()
        os.utime(dot, (1_000_000_000, 1_000_000_000))
    elif whose == "no longer a mailsync":
        dot.write_text("4194305\n")
    else:
        dot.write_text(f"{os.getpid() if whose == 'our own number' else os.getppid()}\nmailsync\n")
    store(storage, plain(2))
    assert len(held(storage, "")) == 2
    assert not dot.exists()


def test_the_empty_dot_lock_another_program_made_just_now_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dotlock, "PATIENCE", 0.3)
    storage = opened(tmp_path)
    dotlock.place(storage.file_of("")).touch()
    with pytest.raises(OSError, match=r"INBOX\.mbox\.lock"):
        store(storage, plain(1))
