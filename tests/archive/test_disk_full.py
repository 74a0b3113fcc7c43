"""A disk that really fills up: nothing half-written is believed, and the next run completes."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.errors import ArchiveError, DiskFull
from tests.archive.archive_steps import (
    clock,
    damages,
    files,
    messages,
    opened,
    pull,
    pull_whole,
    pulling,
    sha256,
    temporary,
    uid,
)
from tests.messages import plain

ROOT = os.geteuid() == 0
LARGE = [plain(n) + b"x" * 100_000 + b"\r\n" for n in range(40)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not ROOT:
        pytest.fail(
            "a small disk can only be mounted by root; run this test as root or deselect it"
        )
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_stops_the_run_and_keeps_what_was_committed(small_disk: Path) -> None:
    directory = small_disk / "a"
    with opened(directory) as archive:
        with pulling(archive) as run:
            for n in range(5):
                run.add(uid(n + 1, LARGE[n]))
        with pytest.raises(DiskFull, match="make room"):
            pull(archive, [uid(n + 1, content) for n, content in enumerate(LARGE)])
        assert len(messages(archive)) == 5
        assert archive.content(sha256(LARGE[4])) == LARGE[4]
        assert temporary(directory) == []
    with Archive.read(directory) as reader:
        assert [damage for damage in damages(reader) if damage.damaged] == []
        assert len(messages(reader)) == 5


def test_the_next_run_completes_once_there_is_room(small_disk: Path) -> None:
    directory = small_disk / "a"
    every = [uid(n + 1, content) for n, content in enumerate(LARGE)]
    with opened(directory) as archive, pytest.raises(DiskFull):
        pull_whole(archive, every)
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    with opened(directory) as archive:
        pull_whole(archive, every)
        assert damages(archive) == []
        assert {message.digest for message in messages(archive)} == {
            sha256(content) for content in LARGE
        }
        assert len(files(directory)) == len(LARGE)


def test_the_same_process_may_go_on_once_there_is_room(small_disk: Path) -> None:
    directory = small_disk / "a"
    every = [uid(n + 1, content) for n, content in enumerate(LARGE)]
    with opened(directory) as archive:
        with pytest.raises(DiskFull):
            pull_whole(archive, every)
        subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
        pull_whole(archive, every)
        assert damages(archive) == []
        assert len(messages(archive)) == len(files(directory)) == len(LARGE)


def test_a_disk_without_room_for_an_archive_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * (2 << 20))
    with pytest.raises(DiskFull):
        opened(small_disk / "a")
    (small_disk / "filler").unlink()
    with opened(small_disk / "a") as archive:
        pull(archive, [uid(1, plain(1))])


@pytest.mark.parametrize("left", range(0, 400_000, 40_000))
def test_wherever_the_room_ends_the_next_run_makes_it_good(small_disk: Path, left: int) -> None:
    directory = small_disk / "a"
    small = [uid(n + 1, plain(n)) for n in range(300)]
    opened(directory).close()
    stat = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * max(0, stat.f_bavail * stat.f_frsize - left))
    with pytest.raises(DiskFull), opened(directory) as archive:
        pull_whole(archive, small)
    (small_disk / "filler").unlink()
    with opened(directory) as archive:
        pull_whole(archive, small)
        assert damages(archive) == []
        assert len(messages(archive)) == len(files(directory)) == 300


def test_what_failed_to_be_stored_is_never_committed_by_going_on(tmp_path: Path) -> None:
    """An exception that a caller swallows must not let rows through whose files are missing."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ticks = clock()
    with Archive.open(tmp_path / "a", clock=lambda: next(ticks)) as archive:
        with archive.pull("alice") as run:
            run.add(uid(1, plain(1)))
            run.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
            try:
                run.add(uid(2, LARGE[0] * 20))
                with pytest.raises(ArchiveError):
                    run.flush()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            with pytest.raises(ArchiveError):
                run.add(uid(3, plain(3)))
            with pytest.raises(ArchiveError):
                run.flush()
            with pytest.raises(ArchiveError):
                run.finish(complete=True, report={})
        assert [message.digest for message in messages(archive)] == [sha256(plain(1))]
        assert [damage for damage in damages(archive) if damage.damaged] == []
        pull(archive, [uid(2, LARGE[0] * 20)])
        assert len(messages(archive)) == 2
        assert temporary(tmp_path / "a") == []
