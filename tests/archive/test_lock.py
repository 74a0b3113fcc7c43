"""One writer at a time, readers at any time, and archives of other ages."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.archive.catalogue import backup
from mailsync.errors import (
    ArchiveError,
    ArchiveLocked,
    ArchiveNotFound,
    IntegrityError,
    SchemaTooNew,
)
from tests.archive.archive_steps import files, messages, opened, pull, pulling, scan, sha256, uid
from tests.messages import plain

HOLD = """
import sys, time
from pathlib import Path
from mailsync.archive import Archive
archive = Archive.open(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(float(sys.argv[2]))
archive.close()
"""


@contextmanager
def holder(directory: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the archive open."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_second_writer_is_told_who_is_writing(tmp_path: Path) -> None:
    with holder(tmp_path / "a") as child, pytest.raises(ArchiveLocked) as caught:
        Archive.open(tmp_path / "a")
    assert f"process {child.pid}" in str(caught.value)
    assert f"host {socket.gethostname()}" in str(caught.value)


def test_a_second_writer_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with opened(tmp_path / "a"), pytest.raises(ArchiveLocked, match=str(os.getpid())):
        opened(tmp_path / "a")
    opened(tmp_path / "a").close()


def test_a_writer_may_wait_for_the_other_one(tmp_path: Path) -> None:
    with holder(tmp_path / "a", 0.4):
        Archive.open(tmp_path / "a", wait=20).close()


def test_waiting_ends(tmp_path: Path) -> None:
    with holder(tmp_path / "a"):
        began = time.monotonic()
        with pytest.raises(ArchiveLocked):
            Archive.open(tmp_path / "a", wait=0.3)
        assert time.monotonic() - began >= 0.3


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "a") as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        Archive.open(tmp_path / "a").close()


def test_a_lock_is_free_again_after_an_opening_that_failed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/catalogue.sqlite3").write_bytes(b"rubbish" * 1000)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            opened(tmp_path / "a")
    (tmp_path / "a/catalogue.sqlite3").unlink()
    opened(tmp_path / "a").close()


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    archive = opened(tmp_path / "a")
    archive.close()
    archive.close()


def test_a_reader_beside_a_writer_sees_what_is_committed(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive, archive.pull("alice") as run:
        run.add(uid(1, plain(1)))
        run.flush()
        run.add(uid(2, plain(2)))
        with Archive.read(tmp_path / "a") as reader:
            assert [message.digest for message in messages(reader)] == [sha256(plain(1))]
            assert reader.content(sha256(plain(1))) == plain(1)
            run.flush()
            assert len(messages(reader)) == 2
            assert reader.runs("alice", 1)[0].ended is None
            run.finish(complete=True, report={})
            assert reader.runs("alice", 1)[0].complete


def test_damage_that_a_reader_meets_is_remembered_for_the_next_pull(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
    files(tmp_path / "a")[0].unlink()
    with Archive.read(tmp_path / "a") as reader, pytest.raises(IntegrityError):
        reader.content(sha256(plain(1)))
    with opened(tmp_path / "a") as archive:
        assert archive.last_known("alice").known(scan([uid(1, plain(1))])).messages[1].damaged


def test_reading_where_nothing_is_says_so_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveNotFound, match="mailsync pull"):
        Archive.read(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_reading_what_a_killed_first_run_left_is_no_archive_yet(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/catalogue.sqlite3").touch()
    with pytest.raises(ArchiveNotFound):
        Archive.read(tmp_path / "a")


def test_reading_what_a_run_left_that_was_killed_while_it_made_the_catalogue_is_no_archive_yet(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    lines = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        " c.execute('PRAGMA cache_size = 1'); c.execute('CREATE TABLE t (x)'); c.execute('BEGIN');"
        " c.executemany('INSERT INTO t VALUES (?)', [(bytes(9000),)] * 100); os.kill(os.getpid(),"
        " signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", lines, tmp_path / "a/catalogue.sqlite3"], check=False)
    assert (tmp_path / "a/catalogue.sqlite3-journal").stat().st_size
    with pytest.raises(ArchiveNotFound, match="never filled"):
        Archive.read(tmp_path / "a")
    opened(tmp_path / "a").close()


@pytest.mark.parametrize("attempt", [opened, Archive.read])
def test_an_archive_of_a_newer_mailsync_is_left_alone(tmp_path: Path, attempt: object) -> None:
    opened(tmp_path / "a").close()
    with sqlite3.connect(tmp_path / "a/catalogue.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / "a/catalogue.sqlite3").read_bytes()
    with pytest.raises(SchemaTooNew, match="99"):
        attempt(tmp_path / "a")  # type: ignore[operator]
    assert (tmp_path / "a/catalogue.sqlite3").read_bytes() == before


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="pigeon"):
        Archive.open(tmp_path / "a", container="pigeon")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file, not a directory")
    with pytest.raises(ArchiveError, match=str(tmp_path / "a")):
        opened(tmp_path / "a")


def test_an_archive_is_made_with_its_parents(tmp_path: Path) -> None:
    with opened(tmp_path / "deep/er/a") as archive, pulling(archive) as run:
        run.add(uid(1, plain(1)))
    assert {"catalogue.sqlite3", "lock", "mail"} <= {
        path.name for path in (tmp_path / "deep/er/a").iterdir()
    }


def test_a_lock_that_is_a_link_empties_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ArchiveError, match="lock"):
        opened(tmp_path / "a")
    assert (tmp_path / "precious").read_bytes() == b"mine"


def test_an_interrupted_closing_lets_go_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that drives mailsync may outlive its user's Ctrl-C."""
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
    archive = opened(tmp_path / "a")
    pull(archive, [uid(2, plain(2))])

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backup, "sync_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        archive.close()
    monkeypatch.undo()
    opened(tmp_path / "a").close()
