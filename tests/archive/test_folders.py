"""Mailbox names on disk: any name, no collision, no way out of the tree."""

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import pytest

from mailsync.archive.reindex import reindex
from mailsync.model import MailboxPath
from tests.archive.archive_steps import (
    damages,
    files,
    messages,
    only_file,
    opened,
    pull,
    sha256,
    uid,
)
from tests.messages import plain

ODD: dict[str, MailboxPath] = {
    "dots inside": ("v1.2.3",),
    "only a dot": (".",),
    "up and out": ("..", "..", "etc"),
    "slashes": ("a/b\\c", "/", "\\"),
    "non-ASCII": ("Entwürfe", "手紙", "Größe & Länge"),
    "beyond the plane": ("🙂" * 10,),
    "half a surrogate": ("\ud83d",),
    "control characters": ("a\nb\0c\x1b[31m", "\x7f"),
    "300 octets": ("x" * 300,),
    "300 octets in parts": tuple("y" * 30 for _ in range(10)),
    "long and not ASCII": ("ж" * 200,),
    "empty parts": ("", "a", ""),
    "spaces": (" ", "  a  "),
    "reserved": ("cur",),
    "reserved too": ("dovecot-keywords", "new", "tmp"),
    "looks shortened": ("a\\~" + "0" * 32,),
    "looks escaped": ("a\\2eb", "&AOk-", "&"),
    "percent and star": ("100 % *?<>|:\"'",),
    "below the inbox": ("INBOX", "Sub"),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_name_holds_messages_and_comes_back(tmp_path: Path, kind: str) -> None:
    path = ODD[kind]
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), path)])
    with opened(tmp_path / "a") as archive:
        assert [box.path for box in archive.mailboxes("alice")] == [path]
        assert messages(archive, path)[0].digest == sha256(plain(1))
        assert damages(archive) == []
        pull(archive, [uid(2, plain(2), path)])
        assert len(files(tmp_path / "a")) == 2
    folder = files(tmp_path / "a")[0].parent.parent
    assert folder.parent == tmp_path / "a/mail"
    assert folder.name.startswith(".")
    assert folder.name.isascii()
    assert len(folder.name) <= 255
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a"]


def test_all_odd_names_at_once_do_not_meet(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(n), path) for n, path in enumerate(ODD.values())])
        assert len(files(tmp_path / "a")) == len(ODD)
        for n, path in enumerate(ODD.values()):
            assert [message.digest for message in messages(archive, path)] == [sha256(plain(n))]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("A", "B"), ("A.B",)),
        (("A", "B"), ("A/B",)),
        (("A\\2eB",), ("A.B",)),
        (("INBOX", "A"), ("A",)),
        (("x" * 299 + "1",), ("x" * 299 + "2",)),
        ((unicodedata.normalize("NFC", "é"),), (unicodedata.normalize("NFD", "é"),)),
        (("a ",), ("a",)),
        (("",), ("", "")),
    ],
)
def test_two_names_that_look_alike_are_two_folders(
    tmp_path: Path, one: MailboxPath, two: MailboxPath
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), one), uid(1, plain(2), two)])
        assert [message.digest for message in messages(archive, one)] == [sha256(plain(1))]
        assert [message.digest for message in messages(archive, two)] == [sha256(plain(2))]


def test_names_that_differ_in_case_only_do_not_meet_on_any_disk(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(
            archive,
            [uid(1, plain(1), ("Work",)), uid(1, plain(2), ("work",)), uid(1, plain(3), ("WORK",))],
        )
        folders = {path.parent.parent.name for path in files(tmp_path / "a")}
        assert len({name.lower() for name in folders}) == 3
        assert {path.name for path in (tmp_path / "a/mail").glob(".*")} == folders
    with opened(tmp_path / "a") as archive:
        assert [messages(archive, (name,))[0].digest for name in ("Work", "work", "WORK")] == [
            sha256(plain(n)) for n in (1, 2, 3)
        ]


def test_a_shortened_folder_tells_its_whole_name_in_a_file(tmp_path: Path) -> None:
    path = ("ж" * 200, "под")
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), path)])
        assert path in [known for _, known in archive._tree.folders()]


def test_every_folder_is_one_that_maildir_programs_recognise(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), ("Work", "2024"))])
    folder = tmp_path / "a/mail/.Work.2024"
    assert sorted(child.name for child in folder.iterdir()) == [
        "cur",
        "maildirfolder",
        "new",
        "tmp",
    ]
    assert sorted(
        child.name for child in (tmp_path / "a/mail").iterdir() if not child.name.startswith(".")
    ) == ["cur", "new", "tmp"]


def test_a_folder_that_another_program_removed_is_made_again(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), ("Work",))])
    only_file(tmp_path / "a").unlink()
    for part in ("cur", "new", "tmp"):
        (tmp_path / "a/mail/.Work" / part).rmdir()
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(2, plain(2), ("Work",))])
        assert only_file(tmp_path / "a").read_bytes() == plain(2)


def test_a_link_in_the_tree_is_not_followed_out_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_bytes(b"mine")
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        path = only_file(tmp_path / "a")
        path.unlink()
        path.symlink_to(outside)
        assert [damage.damaged for damage in damages(archive)] == [True]
        pull(archive, [uid(1, plain(1))])
        assert archive.content(sha256(plain(1))) == plain(1)
        assert damages(archive) == []
    assert outside.read_bytes() == b"mine"
    assert not only_file(tmp_path / "a").is_symlink()


def named_before(directory: Path, name: str, before: str) -> None:
    """Give a folder the name that an earlier version gave it, on disk and in the catalogue."""
    with closing(sqlite3.connect(directory / "catalogue.sqlite3")) as catalogue, catalogue:
        changed = catalogue.execute("UPDATE folders SET name = ? WHERE name = ?", (before, name))
        assert changed.rowcount == 1
    (directory / "mail" / name).rename(directory / "mail" / before)


@pytest.mark.parametrize("catalogue", ["kept", "lost"])
def test_a_folder_that_an_earlier_version_named_stays_the_mailboxs_own(
    tmp_path: Path, catalogue: str
) -> None:
    directory, path = tmp_path / "a", ("a.b", "c:d")
    with opened(directory) as archive:
        pull(archive, [uid(1, plain(1), path)])
    named_before(directory, ".a%2eb.c%3ad", ".a\\2eb.c\\3ad")
    if catalogue == "lost":
        (directory / "catalogue.sqlite3").unlink()
        reindex(directory, "alice", by_uid=True)
    with opened(directory) as archive:
        pull(archive, [uid(2, plain(2), path)])
        assert len(messages(archive, path)) == 2
        assert damages(archive) == []
    assert {file.parent.parent.name for file in files(directory)} == {".a\\2eb.c\\3ad"}


def test_a_name_that_an_earlier_version_gave_another_mailbox_is_not_given_twice(
    tmp_path: Path,
) -> None:
    directory, before, now = tmp_path / "a", ("a%2eb",), ("a.b",)
    with opened(directory) as archive:
        pull(archive, [uid(1, plain(1), before)])
    named_before(directory, ".a%252eb", ".a%2eb")
    with opened(directory) as archive:
        pull(archive, [uid(1, plain(2), now)])
        for path, number in ((before, 1), (now, 2)):
            assert [one.digest for one in messages(archive, path)] == [sha256(plain(number))]
    assert len({file.parent.parent for file in files(directory)}) == 2
