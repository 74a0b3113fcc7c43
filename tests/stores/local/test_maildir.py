"""Maildirs of every shape, on disk and in a host's tar archive."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from mailsync.model import INBOX, Message
from mailsync.stores.local import detect, maildir
from tests.messages import plain
from tests.stores.contract import Account, SourceContract
from tests.stores.local.files import (
    contents_of,
    entries_of,
    messages_of,
    scans_of,
    source_of,
)


def name(number: int, flags: str | None = "S", more: str = "") -> str:
    suffix = "" if flags is None else f":2,{flags}"
    return f"{1_600_000_000 + number}.M{number}P7.host.example{more}{suffix}"


def put(root: Path, folder: str, file: str, content: bytes) -> Path:
    for part in ("cur", "new", "tmp"):
        (root / folder / part).mkdir(parents=True, exist_ok=True)
    path = root / folder / ("cur" if ":2," in file else "new") / file
    path.write_bytes(content)
    return path


def tarred(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for told, content in files.items():
            member = tarfile.TarInfo(told)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_names_tell_date_flags_and_size(tmp_path: Path) -> None:
    put(tmp_path, "", name(1, "FRSa"), plain(1))
    put(tmp_path, "", name(2, None), plain(2))
    (tmp_path / "dovecot-keywords").write_bytes(b"0 holiday\n")
    first, second = entries_of(tmp_path)
    assert first.flags == {"\\Seen", "\\Answered", "\\Flagged", "holiday"}
    assert (first.internaldate, second.internaldate) == (1_600_000_001, 1_600_000_002)
    assert second.flags == set()


def test_folders_are_mailboxes_however_they_lie(tmp_path: Path) -> None:
    for folder in ("", ".Sent", ".Work.2024", ".Entw&APw-rfe", "Nested/Deep"):
        put(tmp_path, folder, name(1), plain(1))
    put(tmp_path, ".Empty", name(1), plain(1)).unlink()
    assert {path: len(got) for path, got in contents_of(tmp_path).items()} == {
        INBOX: 1,
        ("Sent",): 1,
        ("Work", "2024"): 1,
        ("Entwürfe",): 1,
        ("Nested", "Deep"): 1,
        ("Empty",): 0,
    }


def test_a_link_to_an_account_is_no_second_one(tmp_path: Path) -> None:
    put(tmp_path, "", name(1), plain(1))
    put(tmp_path, "example.org/alice", name(2), plain(2))
    (tmp_path / ".alice@example_org").symlink_to(tmp_path / "example.org" / "alice")
    (tmp_path / "round").symlink_to(tmp_path)
    assert set(contents_of(tmp_path)) == {INBOX, ("example.org", "alice")}


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_compressed_files_are_read_and_cut_ones_are_named(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    packed = pack(plain(1) * 50)
    put(tmp_path, "", name(1), packed)
    put(tmp_path, "", name(2), packed[: len(packed) - 9])
    scan = scans_of(source_of(tmp_path))[INBOX]
    assert len(scan.entries) == len(scan.unlisted) == 1
    assert "is compressed, and broken" in scan.unlisted[0]
    assert contents_of(tmp_path)[INBOX] == [plain(1) * 50]


def test_what_unpacks_to_more_than_a_message_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailsync.stores.local import messages  # noqa: PLC0415

    monkeypatch.setattr(messages, "LARGEST_MESSAGE", 1_000_000)
    put(tmp_path, "", name(1), gzip.compress(b"\0" * 10_000_000))
    (text,) = scans_of(source_of(tmp_path))[INBOX].unlisted
    assert "larger than any message" in text


def test_a_file_that_holds_something_else_now_is_another_message(tmp_path: Path) -> None:
    path = put(tmp_path, "", name(1, "S", f",S={len(plain(1))}"), plain(1))
    before = entries_of(tmp_path)[0].ref
    path.write_bytes(plain(2))
    assert entries_of(tmp_path)[0].ref != before
    assert contents_of(tmp_path)[INBOX] == [plain(2)]


def test_a_file_that_a_program_renamed_meanwhile_is_found_again(tmp_path: Path) -> None:
    path = put(tmp_path, "", name(1, ""), plain(1))
    source = source_of(tmp_path)
    entries = scans_of(source)[INBOX].entries
    path.rename(path.with_name(name(1, "S")))
    (got,) = source.fetch(entries)
    assert isinstance(got, Message)


def test_names_that_anybody_may_give_again_are_not_believed(tmp_path: Path) -> None:
    path = put(tmp_path, "", "1:2,S", plain(1))
    before = entries_of(tmp_path)[0].ref
    path.write_bytes(plain(2))
    assert entries_of(tmp_path)[0].ref != before


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    put(tmp_path, "", name(1), b"")
    put(tmp_path, "", name(2), plain(2))
    scan = scans_of(source_of(tmp_path))[INBOX]
    assert (len(scan.entries), len(scan.unlisted)) == (1, 1)
    assert "is empty" in scan.unlisted[0]


def test_a_message_that_comes_while_a_mailbox_is_read_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "", name(1), plain(1))
    named = maildir.named

    def disturbed(*arguments: object) -> object:
        put(tmp_path, "", name(2), plain(2))
        return named(*arguments)  # type: ignore[arg-type]

    source = source_of(tmp_path)
    source.mailboxes()
    monkeypatch.setattr(maildir, "named", disturbed)
    assert "changed while they were read" in scans_of(source)[INBOX].unlisted[0]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_hosts_tar_archive_is_read_where_it_lies(tmp_path: Path, mode: str) -> None:
    path = tarred(
        tmp_path / "backup.tgz",
        {
            f"home/mail/cur/{name(1)}": plain(1),
            f"home/mail/.Sent/cur/{name(2, 'FS')}": plain(2).replace(b"\r\n", b"\n"),
            f"home/mail/new/{name(3, None)}": plain(3),
        },
        mode,
    )
    found = messages_of(source_of(path))
    assert {told: [one.content for one in got] for told, got in found.items()} == {
        INBOX: [plain(1), plain(3)],
        ("Sent",): [plain(2)],
    }
    assert found["Sent",][0].entry.flags == {"\\Seen", "\\Flagged"}


def test_a_tar_archive_and_the_directory_it_was_made_of_have_the_same_keys(tmp_path: Path) -> None:
    put(tmp_path / "there", "", name(1), plain(1))
    path = tarred(tmp_path / "a.tar", {f"x/cur/{name(1)}": plain(1), f"x/new/{name(2)}": plain(2)})
    assert entries_of(path)[0].ref == entries_of(tmp_path / "there")[0].ref


def test_names_that_lead_out_of_an_archive_are_left_out_and_named(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "a.tar",
        {
            f"cur/{name(1)}": plain(1),
            f"new/{name(2)}": plain(2),
            f"../../new/{name(3)}": plain(3),
        },
    )
    scan = scans_of(source_of(path, "maildir"))[INBOX]
    assert len(scan.entries) == 2
    assert any("leads out of the archive" in text for text in scan.unlisted)


def test_links_and_devices_in_an_archive_are_no_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for part in ("cur", "new"):
            member = tarfile.TarInfo(part)
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"cur/{name(number)}")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        first = tarfile.TarInfo(f"cur/{name(8)}")
        first.size = len(plain(8))
        tar.addfile(first, io.BytesIO(plain(8)))
        hard = tarfile.TarInfo(f"new/{name(9)}")
        hard.type, hard.linkname = tarfile.LNKTYPE, f"cur/{name(8)}"
        tar.addfile(hard)
    assert contents_of(path) == {INBOX: [plain(8), plain(8)]}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_cut_anywhere_gives_what_is_whole_and_names_the_rest(
    tmp_path: Path, mode: str
) -> None:
    noise = [os.urandom(40_000).hex().encode() for _ in range(4)]
    whole = tarred(
        tmp_path / "a.tar",
        {f"cur/{name(n)}": plain(n)[:-2] + noise[n] + b"\r\n" for n in range(4)} | {"new/x": b"x"},
        mode,
    ).read_bytes()
    for part in (5, 6, 7, 8, 9):
        path = tmp_path / f"cut{part}.tar"
        path.write_bytes(whole[: len(whole) * part // 10])
        source = source_of(path, "maildir")
        scan = scans_of(source)[INBOX]
        came = [got for got in source.fetch(scan.entries) if isinstance(got, Message)]
        assert len(came) >= 4 * part // 10 - 1
        assert scan.unlisted or len(came) < len(scan.entries)


def test_a_tar_that_unpacks_to_far_too_much_is_not_read_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailsync.stores.local import tarball  # noqa: PLC0415

    monkeypatch.setattr(tarball, "_AT_LEAST", 1_000_000)
    path = tarred(
        tmp_path / "a.tgz",
        {f"cur/{name(1)}": plain(1), "new/zeros": bytes(30_000_000), f"cur/{name(2)}": plain(2)},
    )
    scan = scans_of(source_of(path, "maildir"))[INBOX]
    assert len(scan.entries) == 1
    assert any("far more than it can hold" in text for text in scan.unlisted)


def test_an_archive_of_this_program_is_a_maildir(tmp_path: Path) -> None:
    put(tmp_path, "", f"1600000000.{'0' * 32}.mailsync,S={len(plain(1))}:2,S", plain(1))
    assert detect.detect(tmp_path).kinds == ("maildir",)
    assert contents_of(tmp_path) == {INBOX: [plain(1)]}


class MaildirAccount:
    """A Maildir with one message a file, for the contract of all sources."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0
        for part in ("cur", "new", "tmp"):
            (root / part).mkdir()

    def source(self, password: str | None = None) -> object:  # noqa: ARG002  a protocol's signature
        return source_of(self.root)

    def put(self, content: bytes) -> bytes:
        self.count += 1
        served = content if b"\r" in content else content.replace(b"\n", b"\r\n")
        put(self.root, "", name(self.count, "S", f",S={len(served)}"), content)
        return served

    def lose(self, content: bytes) -> None:
        for path in (self.root / "cur").iterdir():
            raw = path.read_bytes()
            if content in {raw, raw.replace(b"\n", b"\r\n")}:
                path.unlink()
                return

    def contents(self) -> object:
        return sorted(
            (str(path), path.stat().st_mtime_ns, path.stat().st_atime_ns)
            for path in self.root.rglob("*")
            if path.is_file()
        )


class TestContract(SourceContract):
    @pytest.fixture
    def account(self, tmp_path: Path) -> Account:
        return MaildirAccount(tmp_path)  # type: ignore[return-value]

    def test_a_wrong_password_is_said_to_be_one_without_naming_it(self, account: Account) -> None:
        """Files ask for none."""

    def test_an_empty_account_has_an_inbox_and_no_messages(self, account: Account) -> None:
        super().test_an_empty_account_has_an_inbox_and_no_messages(account)
