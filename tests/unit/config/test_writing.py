from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.config.file import load
from mailsync.config.secrets import FromFile, FromKeyring
from mailsync.config.writing import FirstAccount, composed, write_new
from mailsync.errors import ConfigError

LINES = {"protocol": "imap", "host": "imap.example.org", "username": "alice"}
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


def reread(account: FirstAccount, root: str = "/mail") -> tuple[object, Path]:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "mailsync.yaml"
        file.write_text(composed(account, root), encoding="utf-8")
        configuration = load(file)
        return configuration.account(account.name), configuration.settings.archive.root


def test_what_is_written_is_read_back() -> None:
    account = FirstAccount(
        "home", {**LINES, "port": 1143, "security": "starttls"}, {"file": "/p"}, ("Spam", "Old/*")
    )
    found, root = reread(account)
    assert root == Path("/mail")
    assert (found.port, found.security) == (1143, "starttls")  # type: ignore[attr-defined]
    assert found.password == FromFile(file=Path("/p"))  # type: ignore[attr-defined]
    assert found.mailboxes == ("*", "!Spam", "!Old/*")  # type: ignore[attr-defined]


def test_a_client_takes_the_place_of_a_password() -> None:
    signed = {"provider": "microsoft", "client_id": "1234-5"}
    found, _ = reread(FirstAccount("work", LINES, None, oauth2=signed))
    assert found.password is None  # type: ignore[attr-defined]
    assert found.oauth2.client_id == "1234-5"  # type: ignore[attr-defined]


@given(PRINTABLE, PRINTABLE, PRINTABLE)
def test_any_text_survives(username: str, service: str, mailbox: str) -> None:
    account = FirstAccount(
        "home", {**LINES, "username": username}, {"keyring": service}, (mailbox,)
    )
    found, _ = reread(account)
    assert found.username == username  # type: ignore[attr-defined]
    assert found.password == FromKeyring(keyring=service)  # type: ignore[attr-defined]
    assert found.mailboxes == ("*", f"!{mailbox}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["no", "123", "null", "1e3", "true", "ä b", "it's", "2026-01-01"])
def test_a_name_that_yaml_would_take_for_something_else_stays_a_name(name: str) -> None:
    found, _ = reread(FirstAccount(name, LINES, None))
    assert found.username == "alice"  # type: ignore[attr-defined]


def test_a_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_new(tmp_path / "new" / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "file").read_text() == "text"
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="is there already, and is not overwritten"):
            write_new(tmp_path / name, "text")
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_disk_that_fails_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        write_new(tmp_path / "file", "text")
    assert list(tmp_path.iterdir()) == []
