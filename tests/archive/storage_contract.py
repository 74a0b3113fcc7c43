"""What every format of the storage must do: inherit `StorageContract` and name the format."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from mailsync.archive.storage.archive_format import prepare, storage_of
from mailsync.archive.storage.base import Located, Origin, Storage
from mailsync.model import INBOX, NO_FLAGS, MailboxPath
from tests.archive.archive_steps import sha256
from tests.archive.storage_child import BEFORE, MORE, WORK, base_of, go_on
from tests.archive.write_order import losses, recording
from tests.messages import plain, ugly

SEEN = frozenset({"\\Seen", "work"})
NAMES: list[MailboxPath] = [
    INBOX,
    ("Work", "2019"),
    ("work", "2019"),
    ("x" * 300,),
    ("..",),
    ("a.b", "c/d"),
    ("INBOX", "x"),
    ("x", "mbox", "lock"),
    ("Entwürfe", "手紙"),
    ("",),
]


def located(storage: Storage, folder: str, content: bytes) -> Located:
    found = storage.locate(folder, base_of(content))
    assert found is not None
    return found


def store(storage: Storage, *contents: bytes, path: MailboxPath = INBOX) -> str:
    folder = storage.make_folder(path)
    for content in contents:
        storage.write(folder, base_of(content), content, NO_FLAGS)
    storage.sync()
    return folder


def held(storage: Storage, folder: str) -> list[bytes]:
    return sorted(one.read() for _, one in storage.walk(folder))


def spoil(mail: Path, was: bytes, now: bytes) -> None:
    """Change octets in place, as a failing disk does, wherever they lie."""
    for file in mail.rglob("*"):
        if file.is_file() and was in (content := file.read_bytes()):
            with file.open("r+b") as opened:
                opened.write(content.replace(was, now))


def quarantined(directory: Path) -> list[bytes]:
    kept = (directory / "quarantine").glob("*")
    return [file.read_bytes() for file in kept if file.name != "README.txt"]


class StorageContract:
    """Inherit, and say which format it is."""

    format: ClassVar[str]

    def open(self, directory: Path) -> Storage:
        prepare(directory, self.format)
        return storage_of(directory / "mail", writing=True)

    def test_every_ugly_message_comes_back_byte_for_byte(self, tmp_path: Path) -> None:
        every = sorted({*ugly().values(), b"", *(plain(number) for number in range(20))})
        storage = self.open(tmp_path)
        folder = store(storage, *every)
        storage.close()
        storage = self.open(tmp_path)
        assert held(storage, folder) == every
        assert {base for base, _ in storage.walk(folder)} == {base_of(one) for one in every}
        for content in every:
            found = located(storage, folder, content)
            with found.open() as opened:
                assert opened.read(10) == content[:10]
            assert found.digest() == sha256(content)
            assert found.stat().size == len(content)

    def test_a_message_bears_the_flags_it_was_written_with(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder = storage.make_folder(INBOX)
        storage.write(folder, base_of(plain(1)), plain(1), SEEN)
        storage.sync()
        assert [one.flags for _, one in self.open(tmp_path).walk(folder)] == [SEEN]

    def test_what_waits_is_in_place_after_sync_and_not_before(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder, base = storage.make_folder(INBOX), base_of(plain(1))
        storage.write(folder, base, plain(1), NO_FLAGS)
        assert storage.is_waiting(folder, base)
        assert storage.waiting_messages == 1
        assert storage.waiting_octets >= len(plain(1))
        assert storage.locate(folder, base) is None
        assert held(self.open(tmp_path), folder) == []
        storage.sync()
        assert not storage.is_waiting(folder, base)
        assert (storage.waiting_messages, storage.waiting_octets) == (0, 0)
        assert held(storage, folder) == held(self.open(tmp_path), folder) == [plain(1)]

    def test_what_was_discarded_leaves_nothing(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1))
        before = sorted((tmp_path / "mail").rglob("*"))
        storage.write(folder, base_of(plain(2)), plain(2), NO_FLAGS)
        storage.discard_waiting()
        storage.discard_waiting()
        assert (storage.waiting_messages, storage.waiting_octets) == (0, 0)
        assert not storage.is_waiting(folder, base_of(plain(2)))
        storage.sync()
        assert held(storage, folder) == [plain(1)]
        assert sorted((tmp_path / "mail").rglob("*")) == before

    def test_closing_discards_what_waits_and_leaves_no_thread(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1))
        storage.write(folder, base_of(plain(2)), plain(2), NO_FLAGS)
        storage.close()
        storage.close()
        assert [one for one in threading.enumerate() if one.name.startswith("mailsync")] == []
        assert held(self.open(tmp_path), folder) == [plain(1)]

    def test_what_waits_and_what_is_stored_can_be_copied(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        inbox, work = store(storage, plain(1)), storage.make_folder(WORK)
        storage.write(inbox, base_of(plain(2)), plain(2), NO_FLAGS)
        for content in (plain(1), plain(2)):
            storage.copy(Origin(inbox, base_of(content)), work, base_of(content), SEEN)
        assert storage.is_waiting(work, base_of(plain(1)))
        storage.sync()
        assert held(storage, inbox) == held(storage, work) == [plain(1), plain(2)]
        assert {one.flags for _, one in storage.walk(work)} == {SEEN}

    def test_a_copy_of_what_has_vanished_fails_and_spoils_nothing(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        inbox, work = store(storage, plain(1)), storage.make_folder(WORK)

        def copy_and_sync() -> None:
            storage.copy(Origin(inbox, base_of(plain(2))), work, base_of(plain(2)), NO_FLAGS)
            storage.sync()

        with pytest.raises(FileNotFoundError):
            copy_and_sync()
        storage.discard_waiting()
        store(storage, plain(3), path=WORK)
        assert (held(storage, inbox), held(storage, work)) == ([plain(1)], [plain(3)])

    def test_a_reflagged_message_is_found_whatever_is_guessed(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder, base = store(storage, plain(1)), base_of(plain(1))
        storage.reflag(folder, base, frozenset({"\\Flagged"}))
        storage.reflag(folder, base, SEEN)
        storage.reflag(folder, base_of(plain(9)), SEEN)
        storage.sync()
        for guess in (NO_FLAGS, SEEN, frozenset({"\\Draft", "other"})):
            for opened in (storage, self.open(tmp_path)):
                found = opened.locate(folder, base, guess)
                assert found is not None
                assert found.read() == plain(1)
        assert [base for base, _ in storage.walk(folder)] == [base]

    def test_damage_is_seen_set_aside_with_a_reason_and_mended(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1), plain(2))
        for now in (b"tHIS IS MESSAGE NUMBER 1", b"this is message number 1"):
            spoil(tmp_path / "mail", b"This is message number 1", now)
            found = located(storage, folder, plain(1))
            assert found.digest() != sha256(plain(1))
            assert located(storage, folder, plain(2)).digest() == sha256(plain(2))
            assert found.set_aside("it rotted")
            store(storage, plain(1))
            assert located(storage, folder, plain(1)).read() == plain(1)
            assert any(now in octets for octets in quarantined(tmp_path))
        assert len(quarantined(tmp_path)) == 2
        lines = (tmp_path / "quarantine/README.txt").read_text().splitlines()
        assert [f"it rotted; was in {tmp_path / 'mail'}" in line for line in lines] == [True, True]
        assert located(self.open(tmp_path), folder, plain(1)).read() == plain(1)

    def test_what_another_program_took_away_is_not_set_aside(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        found = located(storage, store(storage, plain(1)), plain(1))
        for file in (tmp_path / "mail").rglob("*"):
            if file.is_file():
                file.unlink()
        assert not found.set_aside("it rotted")
        assert quarantined(tmp_path) == []
        with pytest.raises(FileNotFoundError):
            found.read()

    def test_a_mailbox_of_any_name_comes_back_with_its_messages(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        folders = {}
        for number, path in enumerate(NAMES):
            # Two that differ in case only have names that do not meet on any disk.
            folder = storage.make_folder(path, hashed=path == ("work", "2019"))
            storage.write(folder, base_of(plain(number)), plain(number), NO_FLAGS)
            folders[path] = folder
        storage.sync()
        storage = self.open(tmp_path)
        assert {path: folder for folder, path in storage.folders()} == folders
        assert len({folder.lower() for folder in folders.values()}) == len(NAMES)
        for number, path in enumerate(NAMES):
            assert held(storage, folders[path]) == [plain(number)]
            shown = storage.path_shown(folders[path], base_of(plain(number)))
            assert shown.is_relative_to(tmp_path / "mail")
            assert base_of(plain(number)) in shown.name
        assert [path.name for path in tmp_path.iterdir()] == ["mail"]

    def test_a_folder_nobody_made_holds_nothing(self, tmp_path: Path) -> None:
        storage = self.open(tmp_path)
        assert list(storage.walk(".Nowhere")) == []
        assert storage.locate(".Nowhere", base_of(plain(1))) is None

    def test_nothing_is_anybody_elses_business_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            storage = self.open(tmp_path)
            for number, path in enumerate(NAMES[:5]):
                located(storage, store(storage, plain(number), path=path), plain(number)).set_aside(
                    ""
                )
            storage.close()
        finally:
            os.umask(before)
        assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []

    def test_after_sync_a_power_cut_takes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = self.open(tmp_path)
        store(storage, *BEFORE)
        recorder = recording(monkeypatch)
        go_on(storage)
        assert losses(recorder, tmp_path / "mail") == []
        store(storage, plain(8), path=("x" * 300,))
        assert losses(recorder, tmp_path / "mail") == []
        work = store(storage, plain(9), path=WORK)
        assert losses(recorder, tmp_path / "mail") == []
        recorder.steps.clear()
        storage.sync_folder(work)
        assert recorder.all("fsync")

    def test_a_disk_that_fails_at_any_fsync_takes_nothing_and_leaves_nothing_half_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = self.open(tmp_path)
        folder = store(storage, plain(1))
        beside = self.contents(tmp_path)[1]
        real, calls, failing = os.fsync, 0, 0

        def fails(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fails)
        while calls >= failing:
            calls, failing = 0, failing + 1
            new = plain(1 + failing)
            storage.write(folder, base_of(new), new, NO_FLAGS)
            with suppress(OSError):
                storage.sync()
            storage.discard_waiting()
            assert plain(1) in held(storage, folder)
            assert self.contents(tmp_path)[1] == beside
        assert failing > 2
        assert new in held(self.open(tmp_path), folder)
        assert {one.digest() for _, one in storage.walk(folder)} <= {
            sha256(plain(number)) for number in range(1, failing + 2)
        }

    def test_killed_at_any_step_it_is_cleared_and_the_next_run_ends_as_if_undisturbed(
        self, tmp_path: Path
    ) -> None:
        command = [sys.executable, "-m", "tests.archive.storage_child", self.format, str(tmp_path)]
        subprocess.run(command, check=True, timeout=100)
        (*killed, whole) = sorted(tmp_path.iterdir(), key=lambda tree: int(tree.name))
        assert len(killed) >= 10
        for tree in killed:
            storage = self.open(tree)
            for folder, _ in storage.folders():
                storage.clear_leftovers(folder)
                storage.clear_leftovers(folder)
            assert set(BEFORE) <= set(held(storage, ""))
            whole_ones = {*BEFORE, *MORE}
            for folder, _ in storage.folders():
                assert whole_ones.issuperset(held(storage, folder)), tree
            go_on(storage)
            storage.close()
            assert self.contents(tree) == self.contents(whole), tree

    def contents(self, directory: Path) -> tuple[object, set[str]]:
        """Return all that the storage holds, and the names of all files beside its messages."""
        storage = self.open(directory)
        messages = {
            path: {(base, one.read(), one.flags) for base, one in storage.walk(folder)}
            for folder, path in storage.folders()
        }
        names = {path.name for path in (directory / "mail").rglob("*") if path.is_file()}
        return messages, {name for name in names if "S=" not in name}
