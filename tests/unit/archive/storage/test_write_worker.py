"""Who writes files in batches, as threads and as a program."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailsync.archive.storage import write_worker


def test_a_slow_disk_is_waited_for_instead_of_filling_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, allowed, added = os.fsync, threading.Semaphore(0), 0

    def slow(descriptor: int) -> None:
        assert allowed.acquire(timeout=60)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    files = write_worker.Crew()

    def feed() -> None:
        nonlocal added
        for number in range(60):
            files.add(str(tmp_path / str(number)), bytes(write_worker.BATCH_OCTETS), None)
            added += 1

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    while added < write_worker.BACKLOG:
        feeder.join(0.01)
    feeder.join(0.5)
    assert added == write_worker.BACKLOG
    allowed.release(60)
    feeder.join(60)
    files.sync()
    assert added == 60
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {write_worker.BATCH_OCTETS}
    files.close()


@pytest.mark.parametrize(
    "heard", [True, False], ids=["before it asked", "while it waited for the disk"]
)
def test_when_the_one_who_sends_files_has_died_none_of_them_stays_and_nothing_is_said(
    tmp_path: Path, heard: bool
) -> None:
    """The next run may have begun already, and have looked for leftovers."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", write_worker.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def send(name: str, content: bytes) -> None:
        assert process.stdin is not None
        path = os.fsencode(tmp_path / name) if name else b""
        process.stdin.write(
            write_worker.HEADER.pack(len(path), len(content), 0, False) + path + content
        )
        process.stdin.flush()

    send("settled", b"x" * 1000)
    send("", b"")
    assert process.stdout.read(write_worker.ANSWER.size) == write_worker.ANSWER.pack(0, 0)
    for number in range(50):
        send(str(number), b"x" * 50_000)
    process.stdout.close()
    if not heard:
        send("", b"")
    process.stdin.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(100) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["settled"]
