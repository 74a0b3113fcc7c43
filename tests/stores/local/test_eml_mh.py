"""Messages as one file each: exported ones, Windows Live Mail's, in a zip, and MH folders."""

from __future__ import annotations

import bz2
import gzip
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.model import INBOX, Message
from mailsync.stores.local import detect, messages
from mailsync.stores.local.folder import CannotRead
from mailsync.stores.local.mh import read_sequences
from tests.messages import plain
from tests.stores.local.files import contents_of, entries_of, messages_of, scans_of, source_of


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def test_directories_are_mailboxes(tmp_path: Path) -> None:
    put(tmp_path / "Mail" / "Inbox" / "1.eml", plain(1))
    put(tmp_path / "Mail" / "Work" / "2024" / "a.EML", plain(2).replace(b"\r\n", b"\n"))
    put(tmp_path / "Mail" / "Work" / "._a.eml", b"\0\0")
    put(tmp_path / "Mail" / "Work" / "notes.txt", b"none")
    assert contents_of(tmp_path / "Mail") == {INBOX: [plain(1)], ("Work", "2024"): [plain(2)]}


def test_what_lies_at_the_top_is_called_as_the_directory_is(tmp_path: Path) -> None:
    put(tmp_path / "Old" / "1.eml", b"\xef\xbb\xbf" + plain(1))
    assert contents_of(tmp_path / "Old") == {("Old",): [plain(1)]}


def test_a_zip_archive_is_read_where_it_lies(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "Export.zip",
        {"1.eml": plain(1), "Work/2.eml": plain(2), "Deep\\er\\3.eml": plain(3), "x.pdf": b"%PDF"},
    )
    assert contents_of(path) == {
        ("Export",): [plain(1)],
        ("Work",): [plain(2)],
        ("Deep", "er"): [plain(3)],
    }


def test_a_zip_with_names_that_lead_out_of_it_names_them(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.eml": plain(1), "../../etc/2.eml": plain(2)})
    scan = scans_of(source_of(path))["a",]
    assert len(scan.entries) == 1
    assert "leads out of the archive" in scan.unlisted[0]
    assert not list(tmp_path.parent.glob("etc"))


def test_a_zip_bomb_is_named_and_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LARGEST_MESSAGE", 1_000_000)
    path = zipped(tmp_path / "a.zip", {"1.eml": plain(1), "2.eml": bytes(50_000_000)})
    scan = scans_of(source_of(path))["a",]
    assert (len(scan.entries), len(scan.unlisted)) == (1, 1)
    assert "too large" in scan.unlisted[0]


def test_a_zip_that_lies_about_a_size_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LARGEST_MESSAGE", 1_000_000)
    path = zipped(tmp_path / "a.zip", {"1.eml": plain(1), "2.eml": bytes(5_000_000)})
    # Both places in which a zip archive has the size of the second file.
    raw = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (900).to_bytes(4, "little"))
    path.write_bytes(raw)
    scan = scans_of(source_of(path))["a",]
    assert (len(scan.entries), len(scan.unlisted)) == (1, 1)


def test_a_zip_cut_anywhere_or_flipped_is_no_traceback(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", {f"{n}.eml": plain(n) for n in range(3)}).read_bytes()
    for at in range(0, len(whole), 37):
        path = tmp_path / "b.zip"
        for raw in (whole[:at], whole[:at] + b"\xff\xff" + whole[at + 2 :]):
            path.write_bytes(raw)
            try:
                kinds = detect.detect(path).kinds
            except CannotRead:
                continue
            if kinds == ("eml",):
                source = source_of(path, "eml")
                for scan in scans_of(source).values():
                    list(source.fetch(scan.entries))


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.eml": plain(1), "2.eml": plain(2)})
    raw = bytearray(path.read_bytes())
    second = raw.index(b"PK\3\4", 4), raw.index(b"PK\1\2", raw.index(b"PK\1\2") + 1)
    raw[second[0] + 6] |= 1
    raw[second[1] + 8] |= 1
    path.write_bytes(raw)
    scan = scans_of(source_of(path))["a",]
    assert (len(scan.entries), len(scan.unlisted)) == (1, 1)


def test_flags_that_a_program_left_in_an_exported_message_are_its_flags(tmp_path: Path) -> None:
    put(tmp_path / "1.eml", b"X-Mozilla-Status: 0005\r\n" + plain(1))
    put(tmp_path / "2.eml", plain(2))
    first, second = entries_of(tmp_path)
    assert first.flags == {"\\Seen", "\\Flagged"}
    assert second.flags == {"\\Seen"}


def test_an_empty_file_and_one_that_is_changed_meanwhile_are_named(tmp_path: Path) -> None:
    put(tmp_path / "1.eml", b"")
    path = put(tmp_path / "2.eml", plain(2))
    source = source_of(tmp_path)
    scan = scans_of(source)[tmp_path.name,]
    assert "is empty" in scan.unlisted[0]
    path.write_bytes(plain(3))
    (got,) = source.fetch(scan.entries)
    assert not isinstance(got, Message)


def test_mh_folders_have_the_flags_of_their_sequences(tmp_path: Path) -> None:
    for number in range(1, 5):
        put(tmp_path / "inbox" / str(number), plain(number))
    put(tmp_path / "inbox" / ".mh_sequences", b"cur: 1\nunseen: 2-3\nreplied: 1 3\n")
    put(tmp_path / "inbox" / ",5", plain(5))
    put(tmp_path / "work" / "projects" / "7", plain(7))
    found = messages_of(source_of(tmp_path))
    assert [one.content for one in found[INBOX]] == [plain(n) for n in range(1, 5)]
    assert [one.entry.flags for one in found[INBOX]] == [
        {"\\Seen", "\\Answered"},
        set(),
        {"\\Answered"},
        {"\\Seen"},
    ]
    assert [one.entry.flags for one in found["work", "projects"]] == [{"\\Seen"}]


def test_messages_that_get_other_numbers_are_the_same(tmp_path: Path) -> None:
    first = put(tmp_path / "inbox" / "1", plain(1))
    second = put(tmp_path / "inbox" / "2", plain(2))
    before = entries_of(tmp_path)[1].ref
    first.unlink()
    second.rename(tmp_path / "inbox" / "1")
    assert [entry.ref for entry in entries_of(tmp_path)] == [before]


@given(st.binary(max_size=200))
def test_any_octets_are_sequences(written: bytes) -> None:
    read_sequences(written)


def test_a_sequence_of_all_numbers_there_are_takes_no_memory() -> None:
    assert read_sequences(b"unseen: 1-9999999999\n") == ({}, set())


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        (("a.eml", "Old"), {"eml", "mbox"}),
        (("M/cur/1600000000.M1P2.host:2,S", "M/new/x", "Old"), {"maildir", "mbox"}),
        (("M/cur/1600000000.M1P2.host:2,S", "M/new/x", "a.eml"), {"maildir", "eml"}),
        (("a.eml", "7.emlx"), {"eml", "apple"}),
        (("inbox/1", "Old"), {"mh", "mbox"}),
    ],
)
def test_several_kinds_in_one_place_are_told(
    tmp_path: Path, files: tuple[str, ...], kinds: set[str]
) -> None:
    for name in files:
        front = b"From - Thu Nov 25 10:11:12 2021\n" if name == "Old" else b""
        put(tmp_path / name, front + plain(1))
    assert set(detect.detect(tmp_path).kinds) == kinds


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Outlook message"),
        ("a.pst", b"!BDN", "an Outlook data file"),
        ("Inbox.dbx", b"\xcf\xad\x12\xfe", "an Outlook Express folder"),
        ("a.olm", b"PK\3\4", "Outlook for Mac"),
        ("mmdf", b"\1\1\1\1\nFrom: a@b\n", "an MMDF mailbox"),
        ("Old.gz", gzip.compress(b"From - Thu Nov 25 10:11:12 2021\n" + plain(3)), "unpack it"),
        ("c.bz2", bz2.compress(plain(3)), "unpack it"),
        ("c", plain(3), "looks like a message"),
    ],
)
def test_what_looks_like_mail_and_is_not_read_is_named(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    put(tmp_path / "1.eml", plain(1))
    put(tmp_path / name, content)
    put(tmp_path / "notes.txt", b"To do: buy milk\nFrom here on: nothing\n")
    put(tmp_path / "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    found = detect.detect(tmp_path)
    assert found.kinds == ("eml",)
    (named,) = found.others
    assert named.startswith(f"{name}: ")
    assert why in named


def test_an_mbox_in_an_archive_of_messages_is_named(tmp_path: Path) -> None:
    mbox = b"From - Thu Nov 25 10:11:12 2021\n" + plain(2)
    found = detect.detect(zipped(tmp_path / "a.zip", {"1.eml": plain(1), "Old.mbox": mbox}))
    assert found.kinds == ("eml",)
    assert "unpack the archive" in found.others[0]


@pytest.mark.parametrize(
    "name", [".Archive", "door.lock", "a.imap", "b.msf", "/".join("d" * 70) + "/deep"]
)
@pytest.mark.parametrize("front", [b"", b"\0" * 512, b"half of a line\n", b"\xef\xbb\xbf", b" \n"])
def test_no_name_and_no_rubbish_in_front_hides_a_file_of_mail(
    tmp_path: Path, name: str, front: bytes
) -> None:
    put(tmp_path / "ok", b"From - Thu Nov 25 10:11:12 2021\n" + plain(1))
    put(tmp_path / name, front + b"From - Thu Nov 25 10:11:12 2021\n" + plain(2))
    assert sum(map(len, contents_of(tmp_path).values())) == 2


def test_a_file_and_a_directory_that_cannot_be_read_are_named_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "ok" / "1.eml", plain(1))
    put(tmp_path / "ok" / "2.eml", plain(2))
    put(tmp_path / "closed" / "3.eml", plain(3))
    opened, scanned = os.open, os.scandir

    def refusing_open(path: object, *rest: int) -> int:
        if str(path).endswith("2.eml"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest)  # type: ignore[arg-type]

    def refusing_scan(path: Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "open", refusing_open)
    monkeypatch.setattr(os, "scandir", refusing_scan)
    scan = scans_of(source_of(tmp_path))["ok",]
    assert len(scan.entries) == 1
    assert scan.unlisted == ("closed: Permission denied", "ok/2.eml: Permission denied")


def test_a_from_line_in_front_of_a_single_message_is_no_part_of_it(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.eml", b"From a@example.org Thu Nov 25 10:11:12 2021\r\n" + plain(1))
    assert contents_of(tmp_path / "a") == {("a",): [plain(1)]}
