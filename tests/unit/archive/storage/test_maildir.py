"""The contract of all storage, kept by the Maildir, and what only it can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive.storage.base import Origin, Removing
from mailsync.model import INBOX, NO_FLAGS
from tests.archive.archive_steps import sha256
from tests.archive.storage_child import WORK, base_of
from tests.archive.storage_contract import StorageContract, held, located, store
from tests.archive.write_order import recording
from tests.messages import plain


class TestMaildir(StorageContract):
    format = "maildir"

    def test_copies_share_an_inode_and_say_so(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        inbox, work = store(storage, plain(1), plain(2)), storage.make_folder(WORK)
        storage.copy(Origin(inbox, base_of(plain(1))), work, base_of(plain(1)), NO_FLAGS)
        storage.sync()
        one, other = (located(storage, folder, plain(1)).stat() for folder in (inbox, work))
        assert one == other
        assert one.shared is not None
        assert located(storage, inbox, plain(2)).stat().shared is None

    def test_the_file_of_a_name_that_is_taken_by_other_octets_goes_to_quarantine(
        self, tmp_path: Path
    ) -> None:
        storage = self.open(tmp_path)
        taken = tmp_path / "mail/cur" / f"{base_of(plain(1))}:2,"
        taken.write_bytes(b"somebody's")
        store(storage, plain(1))
        assert taken.read_bytes() == plain(1)
        assert (tmp_path / "quarantine" / taken.name).read_bytes() == b"somebody's"

    def test_contents_are_on_disk_before_names_and_names_before_sync_returns(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = self.open(tmp_path)
        recorder = recording(monkeypatch)
        folder = store(storage, *(plain(number) for number in range(20)))
        temporary = str(tmp_path / "mail/tmp")
        contents = recorder.all("fsync", lambda path: path.startswith(f"{temporary}/"))
        names = recorder.all("rename")
        assert (len(contents), len(names)) == (20, 20)
        assert max(contents) < min(names)
        assert max(names) < recorder.at("fsync", str(tmp_path / "mail/cur"))
        assert len(held(storage, folder)) == 20

    def test_what_is_removed_is_gone_and_what_was_not_there_is_as_good_as_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1), plain(2))
        storage.reflag(folder, base_of(plain(1)), frozenset({"\\Seen"}))
        storage.sync()
        recorder = recording(monkeypatch)
        assert isinstance(storage, Removing)
        storage.remove([(folder, base_of(plain(1))), (folder, base_of(plain(7)))])
        assert held(storage, folder) == [plain(2)]
        assert recorder.at("fsync", str(tmp_path / "mail/cur")) == len(recorder.steps) - 1

    def test_a_file_that_another_program_renamed_is_located_again(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1))
        found = located(storage, folder, plain(1))
        for said in (":2,S", "", "!2,T"):
            (file,) = (tmp_path / "mail/cur").iterdir()
            file.rename(file.with_name(base_of(plain(1)) + said))
            with pytest.raises(FileNotFoundError):
                found.read()
            found = located(storage, folder, plain(1))
            assert found.digest() == sha256(plain(1))
        assert storage.make_folder(INBOX) == folder
