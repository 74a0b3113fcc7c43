"""The contract of all storage, kept by mbox files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mailsync.archive.storage.base import Removing
from mailsync.model import NO_FLAGS
from tests.archive.storage_child import base_of
from tests.archive.storage_contract import StorageContract, held, located, quarantined, store
from tests.archive.write_order import path_of
from tests.messages import plain


class TestMbox(StorageContract):
    format = "mbox"

    def test_nothing_can_be_taken_out_of_it(self, tmp_path: Path) -> None:
        assert not isinstance(self.open(tmp_path), Removing)

    def test_a_damaged_message_stays_and_the_good_copy_behind_it_counts(
        self, tmp_path: Path
    ) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1))
        file = tmp_path / "mail/INBOX.mbox"
        before = file.read_bytes().replace(b"This is", b"tHIS IS")
        file.write_bytes(before)
        assert located(storage, folder, plain(1)).set_aside("it rotted")
        store(storage, plain(1))
        assert file.read_bytes().startswith(before)
        assert located(storage, folder, plain(1)).read() == plain(1)
        assert len(list(storage.walk(folder))) == 1

    def test_a_torn_end_is_cut_off_and_kept_in_quarantine(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder, file = store(storage, plain(1)), tmp_path / "mail/INBOX.mbox"
        whole = file.read_bytes()
        store(storage, plain(2))
        torn = file.read_bytes()[:-40]
        file.write_bytes(torn)
        storage.clear_leftovers(folder)
        assert file.read_bytes() == whole
        assert quarantined(tmp_path) == [torn[len(whole) :]]
        assert held(storage, folder) == [plain(1)]

    def test_a_file_that_cannot_take_all_of_it_is_as_long_as_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = self.open(tmp_path)
        folder, file = store(storage, plain(1)), tmp_path / "mail/INBOX.mbox"
        before, real = file.read_bytes(), os.write

        def half(descriptor: int, content: bytes) -> int:
            if path_of(descriptor) == str(file):
                real(descriptor, content[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(descriptor, content)

        storage.write(folder, base_of(plain(2)), plain(2), NO_FLAGS)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", half)
            with pytest.raises(OSError, match="No space left"):
                storage.sync()
        assert file.read_bytes() == before
        storage.discard_waiting()
        store(storage, plain(3))
        assert held(storage, folder) == [plain(1), plain(3)]
