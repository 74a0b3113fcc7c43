"""The catalogue as files: its copy, a frozen disk, damage, and paths that are no proper text."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.archive import Archive
from mailsync.archive.catalogue.schema import MIGRATIONS
from mailsync.archive.catalogue.text import read_path, write_path
from mailsync.errors import ArchiveError, IntegrityError, SchemaTooNew
from mailsync.model import INBOX
from tests.archive.archive_steps import START, files, messages, opened, pull, pulling, sha256, uid
from tests.messages import plain

DAY = 86_400


def copied(directory: Path) -> int:
    """How many messages the copy of the catalogue knows."""
    connection = sqlite3.connect(directory / "catalogue.copy.sqlite3")
    try:
        return int(connection.execute("SELECT count(*) FROM placements").fetchone()[0])
    finally:
        connection.close()


def test_the_catalogue_is_copied_once_a_day(tmp_path: Path) -> None:
    for message, begin in enumerate((START, START + 100, START + 5_000, START + DAY + 10_000)):
        with opened(tmp_path / "a", begin=begin) as archive:
            pull(archive, [uid(message + 1, plain(message))])
        if message:
            assert copied(tmp_path / "a") == {1: 2, 2: 2, 3: 4}[message]
    assert stat.S_IMODE((tmp_path / "a/catalogue.copy.sqlite3").stat().st_mode) == 0o600
    assert not list((tmp_path / "a").glob("*.new"))


def test_a_damaged_catalogue_never_replaces_the_good_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for message in range(2):
        with opened(tmp_path / "a") as archive:
            pull(archive, [uid(message + 1, plain(message))])
    good = (tmp_path / "a/catalogue.copy.sqlite3").read_bytes()

    def damaged(_: object, to: Path) -> bool:
        to.write_bytes(b"no database")
        return False

    monkeypatch.setattr("mailsync.archive.catalogue.backup.copied", damaged)
    with opened(tmp_path / "a", begin=START + 3 * DAY) as archive:
        pull(archive, [uid(9, plain(9))])
    assert (tmp_path / "a/catalogue.copy.sqlite3").read_bytes() == good
    assert not list((tmp_path / "a").glob("*.new"))


def test_a_copy_that_cannot_be_made_does_not_fail_a_pull_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])

    def full(*_: Any) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("mailsync.archive.catalogue.backup.copied", full)
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(2, plain(2))])
    with opened(tmp_path / "a") as archive:
        assert len(messages(archive)) == 2


def test_an_archive_on_a_disk_that_takes_no_writing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    before = sorted(path.name for path in (tmp_path / "a").iterdir())
    with Archive.read(tmp_path / "a") as reader:
        assert reader.content(sha256(plain(1))) == plain(1)
        assert sorted(path.name for path in (tmp_path / "a").iterdir()) == before


@pytest.mark.parametrize(
    "question", ["accounts", "mailboxes", "messages", "runs", "find", "content", "open"]
)
def test_a_damaged_catalogue_is_named_and_the_mail_pointed_at(
    tmp_path: Path, question: str
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(n + 1, plain(n)) for n in range(300)])
    catalogue = tmp_path / "a/catalogue.sqlite3"
    size = catalogue.stat().st_size
    with catalogue.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    questions: dict[str, Callable[[Archive], object]] = {
        "accounts": lambda archive: archive.accounts(),
        "mailboxes": lambda archive: archive.mailboxes("alice"),
        "messages": lambda archive: list(archive.messages("alice", INBOX)),
        "runs": lambda archive: archive.runs(None, 5),
        "find": lambda archive: archive.find("ab"),
        "content": lambda archive: archive.content(sha256(plain(1))),
        "open": lambda archive: archive.directory,
    }
    asked = questions[question]

    def ask() -> None:
        with Archive.read(tmp_path / "a") as archive:
            asked(archive)
        with Archive.open(tmp_path / "a"):
            pass

    with pytest.raises(IntegrityError, match=str(tmp_path / "a/mail")):
        ask()


def test_a_file_tells_other_programs_when_its_message_came(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), date=1_234_567_890), uid(2, plain(2), date=-5)])
    assert sorted(int(path.stat().st_mtime) for path in files(tmp_path / "a")) == [
        -5,
        1_234_567_890,
    ]


def test_a_pull_may_be_verified_before_it_ends_without_committing_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        files(tmp_path / "a")[0].write_bytes(b"")
        with pulling(archive) as run:
            run.add(uid(2, plain(2)))
            with pytest.raises(IntegrityError):
                archive.content(sha256(plain(1)))
            with Archive.read(tmp_path / "a") as reader:
                assert len(messages(reader)) == 1


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=()), max_size=12), min_size=1, max_size=4
    ).map(tuple)
)
def test_any_path_can_be_written_into_the_catalogue_and_read_again(path: tuple[str, ...]) -> None:
    written = write_path(path)
    assert written.encode("utf-8").decode("utf-8") == written
    if path[0].upper() != "INBOX" or len(path) > 1:
        assert read_path(written) == path


def test_each_schema_leads_to_the_next_in_one_transaction_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, plain(number)) for number in range(1, 4)])
        held = messages(archive)
    more = (
        *MIGRATIONS,
        "CREATE TABLE added (id INTEGER PRIMARY KEY, word TEXT);",
        "INSERT INTO added (word) VALUES ('here');",
    )
    broken = (
        *more[:-1],
        "INSERT INTO added (word) VALUES ('half'); INSERT INTO nowhere VALUES (1);",
    )
    monkeypatch.setattr("mailsync.archive.catalogue.schema.MIGRATIONS", broken)
    with pytest.raises(ArchiveError):
        opened(tmp_path / "a")
    monkeypatch.setattr("mailsync.archive.catalogue.schema.MIGRATIONS", more)
    with opened(tmp_path / "a") as archive:
        assert archive._catalogue.sql.execute("SELECT word FROM added").fetchall() == [("here",)]
        assert archive._catalogue.sql.execute("PRAGMA user_version").fetchone()[0] == len(more)
        assert messages(archive) == held
    monkeypatch.undo()
    with pytest.raises(SchemaTooNew):
        opened(tmp_path / "a")
