"""Content, then names, then directories, then the catalogue: a row never names a file that a power
cut could take away.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from mailsync.archive import Archive, group_commit
from mailsync.errors import ArchiveError, DiskFull
from mailsync.model import INBOX
from tests.archive.archive_steps import pulling, uid
from tests.archive.write_order import Recorder, Step, recording
from tests.messages import plain

WORK = ("Work",)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return recording(monkeypatch)


def record_commits(archive: Archive, recorder: Recorder) -> None:
    connection: sqlite3.Connection = archive._catalogue.sql.sqlite
    connection.set_trace_callback(
        lambda statement: recorder.note("sql", statement) if statement == "COMMIT" else None
    )


def test_contents_then_names_then_directories_then_the_catalogue(
    tmp_path: Path, recorder: Recorder
) -> None:
    mail = tmp_path / "a/mail"
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        run.flush()
        record_commits(archive, recorder)
        begin = len(recorder.steps)
        for number in range(20):
            run.add(uid(number + 1, plain(number)))
        run.add(uid(1, plain(3), WORK))
        run.flush()
        commit = recorder.at("sql", "COMMIT")
    written = [
        n
        for n in recorder.all("fsync", lambda where: where.startswith(f"{mail}/tmp/"))
        if n > begin
    ]
    named = recorder.all("rename", lambda where: where.startswith(f"{mail}/cur/"))
    linked = recorder.all("link", lambda where: where.startswith(f"{mail}/.Work/cur/"))
    assert (len(named), len(linked)) == (20, 1)
    inbox, work, parent = (
        recorder.at("fsync", str(place)) for place in (mail / "cur", mail / ".Work/cur", mail)
    )
    assert max(written[:20]) < min(named)
    assert max(named) < inbox < commit
    assert max(linked) < work < commit
    assert parent < commit
    assert recorder.at("fsync", str(mail / ".Work")) < commit


def test_flags_are_on_disk_before_the_catalogue_says_so(tmp_path: Path, recorder: Recorder) -> None:
    message = uid(1, plain(1))
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        run.add(message)
        run.flush()
        record_commits(archive, recorder)
        run.reflag([uid(1, plain(1), flags=["\\Seen", "work"]).entry])
        run.flush()
        commit = recorder.at("sql", "COMMIT")
        renamed = max(recorder.all("rename", lambda where: where.endswith(":2,Sa")))
        assert renamed < recorder.at("fsync", str(tmp_path / "a/mail/cur")) < commit
        keywords = min(recorder.all("fsync", lambda where: "dovecot-keywords" in where))
        assert keywords < renamed


def commits(recorder: Recorder) -> int:
    return recorder.steps.count(Step("sql", "COMMIT"))


def test_a_group_is_committed_when_it_has_so_many_files_or_octets(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GROUP_SECONDS", 3600.0)
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        record_commits(archive, recorder)
        for number in range(group_commit.GROUP_FILES + 100):
            run.add(uid(number + 1, plain(number)))
        assert commits(recorder) == 1
        for number in range(4):
            run.add(uid(number + 5_000, plain(number) + bytes(group_commit.GROUP_OCTETS // 4 + 1)))
        assert commits(recorder) == 2
        with Archive.read(tmp_path / "a") as reader:
            assert len(list(reader.messages("alice", INBOX))) >= group_commit.GROUP_FILES + 100


def test_a_slow_line_loses_no_more_than_seconds_of_work_to_a_crash(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GROUP_SECONDS", 0.0)
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        record_commits(archive, recorder)
        for number in range(3):
            run.add(uid(number + 1, plain(number)))
        assert commits(recorder) == 3


def test_what_moves_no_file_is_committed_in_groups_as_well(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GROUP_SECONDS", 3600.0)
    entries = [uid(number + 1, plain(7)) for number in range(group_commit.GROUP_FILES + 50)]
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        record_commits(archive, recorder)
        for message in entries:
            run.add(message)
        assert commits(recorder) == 1


def test_after_a_write_that_failed_nothing_of_its_group_is_ever_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent.name == "tmp":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with Archive.open(tmp_path / "a") as archive:
        with archive.pull("alice") as run:
            monkeypatch.setattr(os, "fsync", failing)
            run.add(uid(1, plain(1)))
            with pytest.raises(DiskFull):
                run.flush()
            monkeypatch.setattr(os, "fsync", real)
            with pytest.raises(ArchiveError):
                run.flush()
        assert not list(archive.messages("alice", INBOX))
    assert not [path for path in (tmp_path / "a/mail").rglob("*.mailsync*") if path.is_file()]


def test_a_new_message_costs_one_query_and_its_three_rows(tmp_path: Path) -> None:
    """The rows of many new messages are inserted together: each statement would wait for the other
    threads.
    """
    spoken: list[str] = []
    with Archive.open(tmp_path / "a") as archive, pulling(archive) as run:
        run.add(uid(1, plain(1)))
        run.flush()
        archive._catalogue.sql.sqlite.set_trace_callback(spoken.append)
        for number in range(2, 102):
            run.add(uid(number, plain(number)))
        queries = [one for one in spoken if not one.startswith("INSERT")]
        assert len(queries) <= 100 + 3
        assert len(spoken) == len(queries)
        run.flush()
        assert len([one for one in spoken if one.startswith("INSERT")]) == 300
