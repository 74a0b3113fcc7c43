"""An archive kept as mbox: every octet comes back, any mail program opens it, and what another
program or a crash does is noticed.
"""

from __future__ import annotations

import mailbox
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from mailsync.archive import Archive, reindex
from mailsync.archive.storage import dotlock
from mailsync.errors import ArchiveError, IntegrityError
from mailsync.model import INBOX, Kind, MailboxPath
from tests.archive.archive_steps import (
    clock,
    damages,
    messages,
    pull,
    pull_whole,
    pulling,
    sha256,
    uid,
)
from tests.messages import plain, ugly
from tests.system.test_other_programs import STATUS, on_a_terminal

WORK: MailboxPath = ("Work", "2019")
NAMES: list[MailboxPath] = [
    INBOX,
    WORK,
    ("work", "2019"),
    ("x" * 300,),
    ("..",),
    ("a.b", "c/d"),
    ("INBOX", "x"),
    ("x", "mbox", "lock"),
    ("x",),
]


def opened(directory: Path, dedupe: str = "message-id", container: str = "mbox") -> Archive:
    ticks = clock()
    return Archive.open(directory, container=container, dedupe=dedupe, clock=lambda: next(ticks))


def file_of(directory: Path, name: str = "INBOX") -> Path:
    return directory / "mail" / f"{name}.mbox"


def counted(file: Path) -> int:
    box = mailbox.mbox(file, create=False)
    try:
        return len(box)
    finally:
        box.close()


def contents(archive: Archive, path: MailboxPath = INBOX) -> list[bytes]:
    return sorted(archive.content(message.digest) for message in messages(archive, path))


def test_python_and_mutt_count_every_ugly_message(tmp_path: Path) -> None:
    every = [*ugly().values(), *(plain(number) for number in range(20))]
    with opened(tmp_path / "a", "exact") as archive:
        pull(
            archive,
            [
                uid(number, content, flags=["\\Seen", "work"])
                for number, content in enumerate(every, 1)
            ],
        )
    with Archive.read(tmp_path / "a") as archive:
        assert {message.flags for message in messages(archive)} == {frozenset({"\\Seen", "work"})}
        assert damages(archive) == []
    file = shutil.copy(file_of(tmp_path / "a"), tmp_path / "copy")
    assert counted(Path(file)) == len(every)
    assert on_a_terminal(
        ["mutt", "-n", "-F", "/dev/null", "-R", "-f", str(file), "-e", STATUS], tmp_path
    ) == len(every)


def test_mailboxes_of_any_name_have_a_file_of_their_own_and_come_back_from_it(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(number), path) for number, path in enumerate(NAMES)])
        for number, path in enumerate(NAMES):
            assert contents(archive, path) == [plain(number)]
    assert all(path.parent == tmp_path / "a/mail" for path in (tmp_path / "a/mail").rglob("*"))
    for path_ in (tmp_path / "a").glob("catalogue*"):
        path_.unlink()
    with pytest.raises(IntegrityError, match="reindex"):
        opened(tmp_path / "a")
    done = reindex(tmp_path / "a", "alice", by_uid=True)
    assert (done.basis, done.files, done.adopted) == ("tree", len(NAMES), len(NAMES))
    with opened(tmp_path / "a") as archive:
        for number, path in enumerate(NAMES):
            assert contents(archive, path) == [plain(number)]


def test_what_is_here_already_is_stored_once_a_mailbox_and_flags_live_in_the_catalogue(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(1)), uid(1, plain(1), WORK)])
        size = file_of(tmp_path / "a").stat().st_size
        with pulling(archive) as run:
            assert run.reflag([uid(1, plain(1), flags=["\\Flagged"]).entry]) == 1
            stored = run.match(uid(9, plain(1), ("New",)).entry, sha256(plain(1)))
            assert stored is not None
        assert file_of(tmp_path / "a").stat().st_size == size
        assert (
            contents(archive, ("New",))
            == contents(archive, WORK)
            == contents(archive)
            == [plain(1)]
        )
        assert [box.live for box in archive.mailboxes("alice")] == [2, 1, 1]


def test_an_archive_keeps_its_format(tmp_path: Path) -> None:
    opened(tmp_path / "a").close()
    with pytest.raises(ArchiveError, match="kept as mbox, not as maildir"):
        opened(tmp_path / "a", container="maildir")
    opened(tmp_path / "b", container="maildir").close()
    with pytest.raises(ArchiveError, match="kept as maildir, not as mbox"):
        opened(tmp_path / "b")


def test_nothing_is_taken_out_of_it(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "a") as archive,
        pytest.raises(ArchiveError, match="only ever appended to"),
    ):
        archive.prune("alice", 0, lambda _: True)
    with (
        Archive.read(tmp_path / "a") as archive,
        pytest.raises(ArchiveError, match="only ever appended to"),
    ):
        archive.prunable("alice", 0, lambda _: True)


def test_a_flipped_bit_is_named_and_a_good_copy_takes_its_place(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [uid(number, plain(number)) for number in range(1, 6)])
    file = file_of(tmp_path / "a")
    content = file.read_bytes()
    place = content.index(b"This is message number 3")
    file.write_bytes(content[:place] + b"t" + content[place + 1 :])
    with opened(tmp_path / "a") as archive:
        (damage,) = damages(archive)
        assert damage.damaged
        assert str(file) in str(damage.path)
        with pytest.raises(IntegrityError):
            archive.content(sha256(plain(3)))
        assert archive.last_known("alice").state(INBOX) is None
        assert pull(archive, [uid(3, plain(3))])[0].kind is Kind.MENDED
        assert damages(archive) == []
        assert len(contents(archive)) == 5
    assert b"this is message number 3" in b"".join(
        path.read_bytes() for path in (tmp_path / "a/quarantine").iterdir()
    )


def test_a_torn_end_is_cut_off_kept_in_quarantine_and_every_whole_message_stays(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, plain(number)) for number in range(1, 4)])
    file = file_of(tmp_path / "a")
    whole = file.read_bytes()
    with opened(tmp_path / "b") as other:
        pull(other, [uid(number, plain(number)) for number in range(10, 12)])
    more = file_of(tmp_path / "b").read_bytes()
    file.write_bytes(whole + more[:-40])
    unfinish(tmp_path / "a")
    with opened(tmp_path / "a") as archive:
        assert damages(archive) == []
        assert len(contents(archive)) == 3
        assert archive.find(sha256(plain(10)).hex()) == [sha256(plain(10))]
        pull(archive, [uid(9, plain(11))])
        assert contents(archive) == sorted(plain(number) for number in (1, 2, 3, 11))
    assert file.read_bytes().startswith(whole)
    (kept,) = [path for path in (tmp_path / "a/quarantine").iterdir() if path.name != "README.txt"]
    assert kept.read_bytes() in more
    assert counted(file) == 5


def unfinish(directory: Path) -> None:
    """Let the last run look killed."""
    with sqlite3.connect(directory / "catalogue.sqlite3") as catalogue:
        catalogue.execute("UPDATE runs SET ended = NULL")
    catalogue.close()


def test_messages_another_program_adds_or_moves_are_no_damage(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(number, plain(number)) for number in range(1, 4)])
        file = file_of(tmp_path / "a")
        theirs = b"From me@example.org Thu Jan  1 00:00:00 1970\nSubject: mine\n\nhere\n\n"
        file.write_bytes(theirs + file.read_bytes() + theirs.rstrip(b"\n"))
        assert damages(archive) == []
        pull(archive, [uid(4, plain(4))])
        assert contents(archive) == sorted(plain(number) for number in range(1, 5))
        assert damages(archive) == []
    assert counted(file) == 6
    assert file.read_bytes().startswith(theirs)


def test_the_dot_lock_of_a_killed_run_is_gone_with_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that has nothing to write to the mailbox: other programs would wait for it."""
    keep = Path.unlink
    with opened(tmp_path / "a") as archive:
        monkeypatch.setattr(
            Path,
            "unlink",
            lambda path, **how: None if path.suffix == ".lock" else keep(path, **how),
        )
        with archive.pull("alice") as run:
            run.add(uid(1, plain(1)))
            run.flush()
        monkeypatch.undo()
    assert dotlock.place(file_of(tmp_path / "a")).read_text() == f"{os.getpid()}\nmailsync\n"
    opened(tmp_path / "a").close()
    assert [path.name for path in (tmp_path / "a/mail").iterdir()] == ["INBOX.mbox"]
