"""The process that writes files once there are many: what it writes, and what becomes of the run
when it fails or dies.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailsync.archive import Archive, PullRun
from mailsync.archive.storage import writers
from mailsync.archive.storage.maildir import MaildirStorage
from mailsync.archive.storage.writers import Writers
from mailsync.errors import ArchiveError
from mailsync.model import INBOX
from tests import messages
from tests.archive.archive_steps import uid


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "MUCH", 1000)


@pytest.fixture
def files() -> Iterator[Writers]:
    files = Writers()
    yield files
    files.close()


def process_of(files: Writers) -> int:
    assert files._process is not None
    return files._process._running.pid


def add_all(run: PullRun, mail: list[bytes], first: int) -> None:
    for number, content in enumerate(mail, first):
        run.add(uid(number + 1, content))
    run.flush()


def test_what_a_process_writes_is_what_was_given(files: Writers, tmp_path: Path) -> None:
    mail = {
        str(tmp_path / str(number)): content
        for number, content in enumerate([*messages.varied(300, seed=3), b"", bytes(5 << 20)])
    }
    for number, (path, content) in enumerate(mail.items()):
        files.add(path, content, number * 1000 if number % 3 else None)
    files.sync()
    assert process_of(files)
    assert {str(path): path.read_bytes() for path in tmp_path.iterdir()} == mail
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert (tmp_path / "7").stat().st_mtime == 7000


def test_an_archive_filled_by_a_process_is_sound(tmp_path: Path) -> None:
    mail = messages.varied(400, seed=8)
    with Archive.open(tmp_path / "a") as archive:
        with archive.pull("alice") as run:
            add_all(run, mail, 0)
            run.finish(complete=True, report={})
        stored = [archive.content(message.digest) for message in archive.messages("alice", INBOX)]
    assert set(stored) == set(mail)


def test_an_error_of_the_process_says_which_file_and_stays(files: Writers, tmp_path: Path) -> None:
    files.add(str(tmp_path / "large"), bytes(2000), None)
    files.add(str(tmp_path / "missing" / "file"), b"x", None)
    for _ in range(2):
        with pytest.raises(FileNotFoundError) as caught:
            files.sync()
        assert caught.value.filename == str(tmp_path / "missing" / "file")
    files.discard()
    files.add(str(tmp_path / "small"), b"x", None)
    files.sync()
    assert (tmp_path / "small").read_bytes() == b"x"


def test_a_process_that_is_killed_ends_the_run_and_nothing_of_its_group_is_believed(
    tmp_path: Path,
) -> None:
    mail = messages.varied(300, seed=9)
    with Archive.open(tmp_path / "a") as archive:
        with archive.pull("alice") as run:
            add_all(run, mail[:150], 0)
            assert isinstance(run._tree, MaildirStorage)
            os.kill(process_of(run._tree._writers), signal.SIGKILL)
            with pytest.raises(ArchiveError, match="ended unexpectedly"):
                add_all(run, mail[150:], 150)
        assert len(list(archive.messages("alice", INBOX))) == len(set(mail[:150]))
    assert not list((tmp_path / "a/mail/tmp").iterdir())


def test_without_a_process_threads_write_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("subprocess.Popen", refused)
    files = Writers()
    for number in range(50):
        files.add(str(tmp_path / str(number)), bytes(1000), None)
    files.sync()
    files.close()
    assert len(list(tmp_path.iterdir())) == 50
