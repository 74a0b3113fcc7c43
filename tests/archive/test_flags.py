"""Flags and keywords in file names, and other programs that change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.model import Entry
from tests.archive.archive_steps import (
    ACCOUNT,
    damages,
    files,
    messages,
    only_file,
    opened,
    pull,
    pull_whole,
    pulling,
    scan,
    sha256,
    uid,
)
from tests.messages import plain


def reflag(archive: Archive, *entries: Entry) -> int:
    with pulling(archive) as run:
        return run.reflag(entries)


def suffix(path: Path) -> str:
    return path.name.partition(":2,")[2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], ""),
        (["\\Seen"], "S"),
        (["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"], "DFRST"),
        (["$Forwarded", "\\Seen"], "PSa"),
    ],
)
def test_flags_stand_in_the_name_as_maildir_has_them(
    tmp_path: Path, flags: list[str], said: str
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=flags)])
        assert suffix(only_file(tmp_path / "a")) == said
        assert messages(archive)[0].flags == frozenset(flags)


def test_new_flags_rename_the_file_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        before = only_file(tmp_path / "a").stat()
        assert reflag(archive, uid(1, plain(1), flags=["\\Seen"]).entry) == 1
        after = only_file(tmp_path / "a")
        assert suffix(after) == "S"
        assert (after.stat().st_ino, after.stat().st_mtime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
        )
        assert reflag(archive, uid(1, plain(1), flags=["\\Seen"]).entry) == 0
        assert messages(archive)[0].flags == {"\\Seen"}


def test_flags_changed_twice_in_one_run_end_at_the_last(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            run.add(uid(1, plain(1)))
            run.reflag([uid(1, plain(1), flags=["\\Seen"]).entry])
            run.reflag([uid(1, plain(1), flags=["\\Flagged"]).entry])
        assert suffix(only_file(tmp_path / "a")) == "F"
        assert messages(archive)[0].flags == {"\\Flagged"}


def test_a_linked_message_keeps_flags_of_its_own_in_each_mailbox(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(
            archive,
            [uid(1, plain(1), flags=["\\Seen"]), uid(1, plain(1), ("Work",), flags=["\\Flagged"])],
        )
        assert sorted(suffix(path) for path in files(tmp_path / "a")) == ["F", "S"]


def test_keywords_are_written_as_dovecot_does(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=["\\Seen", "work", "$Important"])])
        pull(archive, [uid(2, plain(2), flags=["later"])])
    assert (tmp_path / "a/mail/dovecot-keywords").read_text() == "0 $Important\n1 work\n2 later\n"
    assert sorted(suffix(path) for path in files(tmp_path / "a")) == ["Sab", "c"]


def test_the_27th_keyword_is_kept_without_a_message(tmp_path: Path) -> None:
    keywords = [f"keyword{n:02}" for n in range(30)]
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=keywords)])
        assert messages(archive)[0].flags == frozenset(keywords)
        assert suffix(only_file(tmp_path / "a")) == "abcdefghijklmnopqrstuvwxyz"
        pull(archive, [uid(2, plain(2), flags=["one", "\\Seen"])])
        assert {message.flags for message in messages(archive)} == {
            frozenset(keywords),
            frozenset({"one", "\\Seen"}),
        }
        assert damages(archive) == []


def test_messages_that_dovecot_gave_to_keywords_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "a"):
        (tmp_path / "a/mail/dovecot-keywords").write_text("3 mine\n")
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=["mine", "new"])])
    assert (tmp_path / "a/mail/dovecot-keywords").read_text() == "0 new\n3 mine\n"
    assert suffix(only_file(tmp_path / "a")) == "ad"


@pytest.mark.parametrize(
    "place", ["cur/{base}:2,FS", "cur/{base}", "new/{base}", "cur/{base}!2,T", "cur/{base}:2,Sxyz"]
)
def test_another_program_may_rename_and_move_a_file(tmp_path: Path, place: str) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1)), uid(2, plain(2), flags=["\\Seen"])])
        for path in files(tmp_path / "a"):
            path.rename(tmp_path / "a/mail" / place.format(base=path.name.partition(":2,")[0]))
        assert archive.content(sha256(plain(1))) == plain(1)
        assert archive.header(sha256(plain(2)))
        assert damages(archive) == []
        assert reflag(archive, uid(1, plain(1), flags=["\\Answered"]).entry) == 1
        assert "R" in {suffix(path) for path in files(tmp_path / "a")}
        assert archive.content(sha256(plain(1))) == plain(1)
        assert damages(archive) == []


def test_a_file_renamed_while_the_archive_is_open_is_found_again(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(n, plain(n)) for n in range(20)])
        for said in ("S", "F", "R", "ST", ""):
            for path in files(tmp_path / "a"):
                path.rename(path.with_name(path.name.partition(":2,")[0] + ":2," + said))
            for n in range(20):
                assert archive.content(sha256(plain(n))) == plain(n)


def test_flags_that_vanish_and_return_leave_their_history(tmp_path: Path) -> None:
    first, second = uid(1, plain(1), flags=["\\Seen"]), uid(1, plain(1))
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [first])
        with pulling(archive) as run:
            run.reflag([second.entry])
            run.complete(scan([second]))
        with pulling(archive) as run:
            run.reflag([first.entry])
            run.complete(scan([first]))
        spans = archive._catalogue.sql.execute(
            "SELECT from_run, to_run, flags FROM spans ORDER BY from_run"
        ).fetchall()
        assert spans == [(1, 2, "\\Seen"), (2, 3, "")]


def test_reflagging_a_message_nobody_knows_does_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        assert reflag(archive, uid(9, plain(9)).entry) == 0
        assert files(tmp_path / "a") == []


def test_a_rename_never_overwrites_another_file_of_that_name(tmp_path: Path) -> None:
    """A mail program that copied a file within its folder left two with one base name; either may
    be the sound one.
    """
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        path = only_file(tmp_path / "a")
        copied = path.with_name(path.name + "S")
        copied.write_bytes(b"what somebody else keeps there")
        reflag(archive, uid(1, plain(1), flags=["\\Seen"]).entry)
        held = [
            file.read_bytes()
            for file in (*files(tmp_path / "a"), *(tmp_path / "a").glob("quarantine/*"))
        ]
        assert plain(1) in held
        assert b"what somebody else keeps there" in held
        assert archive.content(sha256(plain(1))) == plain(1)


def test_two_copies_bear_the_flags_of_both_also_where_they_have_just_arrived(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(
            archive,
            [uid(1, plain(1), flags=["\\Flagged"]), uid(2, plain(1), flags=["\\Seen"])],
        )
        _, arrived = archive.arrived(ACCOUNT, 0, 10)
        assert {message.flags for message in (*arrived, *messages(archive))} == {
            frozenset({"\\Flagged"})
        }
