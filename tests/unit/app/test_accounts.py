from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.app.accounts import Accounts
from mailsync.errors import ConfigError

CONFIG = """archive: {root: mail}
accounts:
  old: {protocol: pop3, host: pop.example.org, username: alice, password: {env: OLD}}
  new: {protocol: imap, host: imap.example.org, username: alice, password: {env: NEW}}
"""


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    path = tmp_path / "mailsync.yaml"
    path.write_text(CONFIG)
    return Accounts(path, {}, tmp_path, tmp_path)


def test_all_configured_accounts_are_meant_when_none_is_named(accounts: Accounts) -> None:
    assert [account.name for account in accounts.several([])] == ["old", "new"]


def test_an_account_named_twice_is_meant_once(accounts: Accounts) -> None:
    assert [account.name for account in accounts.several(["new", "old", "new"])] == ["new", "old"]


def test_names_and_urls_may_stand_together(accounts: Accounts) -> None:
    assert [account.name for account in accounts.several(["old", "imaps://bob@mx.example"])] == [
        "old",
        "imap://bob@mx.example",
    ]


def test_a_url_needs_no_configuration_and_has_its_archive_here() -> None:
    account = Accounts(Path("/nowhere.yaml"), {}, Path(), Path()).one("imaps://bob@mx.example")
    assert account.directory == Path("mailsync-archive/bob@mx.example")


def test_the_archive_may_be_named(accounts: Accounts) -> None:
    assert accounts.one("old", Path("elsewhere")).directory == Path("elsewhere")


def test_one_archive_cannot_be_named_for_several_accounts(accounts: Accounts) -> None:
    with pytest.raises(ConfigError, match="one account must be named"):
        accounts.several([], Path("elsewhere"))
