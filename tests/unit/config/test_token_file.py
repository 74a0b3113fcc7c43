"""The file that keeps a login: whatever happens to it, it is the old login or the new one."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.config.oauth import token_file
from mailsync.config.oauth.token_file import TokenFile, TokenSet
from mailsync.errors import DiskFull, MailsyncError, ServerBusy

OLD, NEW = TokenSet("old", "r1", 1_000, 4_600), TokenSet("new", "r2", 4_000, 7_600)


def file_in(place: Path, username: str = "alice@firm.example", **other: str) -> TokenFile:
    about = {"token_url": "https://a.example/t", "client_id": "abc", "scope": "mail", **other}
    return TokenFile(place / "tokens", "work", username=username, **about)


def keep(file: TokenFile, tokens: TokenSet) -> None:
    with file.changing() as draft:
        draft.keep(tokens)


def test_what_is_kept_is_read_again_and_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        keep(file_in(tmp_path), OLD)
    finally:
        os.umask(old_mask)
    assert file_in(tmp_path).read() == OLD
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700
    for file in (tmp_path / "tokens").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_logins_of_other_people_clients_servers_and_scopes_lie_apart(tmp_path: Path) -> None:
    different = [
        file_in(tmp_path),
        file_in(tmp_path, "bob@firm.example"),
        file_in(tmp_path, client_id="other"),
        file_in(tmp_path, token_url="https://b.example/t"),
        file_in(tmp_path, scope="pop"),
    ]
    assert len({file.path for file in different}) == len(different)


@given(st.text(min_size=1, max_size=300).filter(lambda name: "\0" not in name))
def test_no_user_name_leads_out_of_the_directory(username: str) -> None:
    path = file_in(Path("/nowhere"), username).path
    assert path.parent == Path("/nowhere/tokens")
    assert not path.name.startswith(".")
    assert len(path.name.encode()) < 250


def test_a_change_that_keeps_nothing_leaves_the_old_login_and_nothing_else(tmp_path: Path) -> None:
    file = file_in(tmp_path)
    keep(file, OLD)
    with pytest.raises(RuntimeError), file.changing():
        raise RuntimeError
    assert file.read() == OLD
    assert sorted(one.suffix for one in file.path.parent.iterdir()) == [".json", ".lock"]


def test_a_draft_that_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    file = file_in(tmp_path)
    keep(file, OLD)
    file.path.with_suffix(".new").write_text("half a lo")
    keep(file, NEW)
    assert file.read() == NEW


def test_a_full_disk_is_found_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_in(tmp_path)
    keep(file, OLD)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    asked = []
    with pytest.raises(DiskFull), file.changing():
        asked.append("a newer token")
    assert asked == []
    assert file.read() == OLD


def test_a_disk_that_fails_at_the_last_moment_leaves_the_old_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_in(tmp_path)
    keep(file, OLD)
    with file.changing() as draft:

        def broken(_: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(MailsyncError, match="run `mailsync login work`"):
            draft.keep(NEW)
    assert file.read() == OLD


def test_the_new_login_is_on_the_disk_before_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_in(tmp_path)
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        steps.append("fsync")
        fsync(handle)

    def noted_replace(self: Path, to: Path) -> Path:
        steps.append("replace")
        return replace(self, to)

    with file.changing() as draft:
        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(Path, "replace", noted_replace)
        draft.keep(NEW)
    assert steps == ["fsync", "replace", "fsync"]


def test_of_two_who_change_a_login_one_waits_for_the_other(tmp_path: Path) -> None:
    file, steps = file_in(tmp_path), list[str]()
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with file.changing() as draft:
            inside.set()
            go_on.wait(60)
            steps.append("first")
            draft.keep(OLD)

    def second() -> None:
        with file_in(tmp_path).changing() as draft:
            steps.append("second")
            draft.keep(NEW)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(60)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert steps == ["first", "second"]
    assert file.read() == NEW


def test_a_run_that_never_lets_go_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_in(tmp_path)
    monkeypatch.setattr(token_file, "PATIENCE", 0.0)
    with (
        file.changing(),
        pytest.raises(ServerBusy, match="another run"),
        file_in(tmp_path).changing(),
    ):
        raise AssertionError("both held it")


def test_a_login_is_forgotten_after_its_end_and_only_once(tmp_path: Path) -> None:
    file, ended = file_in(tmp_path), list[TokenSet]()
    assert not file.remove(ended.append)
    keep(file, OLD)
    assert file.remove(ended.append)
    assert not file.remove(ended.append)
    assert ended == [OLD]
    assert file.read() is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.binary(max_size=60) | _json.map(lambda value: json.dumps(value).encode()))
def test_a_file_that_is_no_login_is_none(raw: bytes) -> None:
    assert token_file._parsed(raw) is None


@given(st.sampled_from(["access_token", "refresh_token", "obtained", "version"]), _json)
def test_a_login_with_something_else_in_a_place_is_read_or_none(key: str, value: object) -> None:
    kept = {
        "version": 1,
        "access_token": "a",
        "refresh_token": "r",
        "obtained": 1,
        "ends": 2,
        key: value,
    }
    read = token_file._parsed(json.dumps(kept).encode())
    assert read is None or isinstance(read, TokenSet)


@pytest.mark.parametrize(
    ("tokens", "now", "good"),
    [
        (TokenSet("a", "r", 0, 3600), 3299, True),
        (TokenSet("a", "r", 0, 3600), 3301, False),
        (TokenSet("a", "r", 0, 60), 29, True),
        (TokenSet("a", "r", 0, 60), 31, False),
        (TokenSet("a", "r", 0, None), 10**9, True),
        (TokenSet("a", "r", 100, 50), 60, False),
    ],
)
def test_a_token_is_replaced_five_minutes_early_or_at_half_its_life(
    tokens: TokenSet, now: int, good: bool
) -> None:
    assert tokens.is_good(now) is good
