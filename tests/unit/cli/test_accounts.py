from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.cli.accounts import login, logins, password
from mailsync.cli.session import Session
from mailsync.errors import ConfigError

CONFIG = """archive: {root: mail}
accounts:
  old: {protocol: pop3, host: pop.example.org, username: alice, password: {env: OLD}}
  new: {protocol: imap, host: imap.example.org, username: alice, password: {env: NEW}}
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    path = tmp_path / "mailsync.yaml"
    path.write_text(CONFIG)
    return Session({"OLD": "from the environment", "OTHER": "from the option"}, config=path)


def test_all_configured_accounts_are_meant_when_none_is_named(session: Session) -> None:
    assert [account.name for account in logins(session, [])] == ["old", "new"]


def test_an_account_named_twice_is_meant_once(session: Session) -> None:
    assert [account.name for account in logins(session, ["new", "old", "new"])] == ["new", "old"]


def test_names_and_urls_may_stand_together(session: Session) -> None:
    assert [account.name for account in logins(session, ["old", "imaps://bob@mx.example"])] == [
        "old",
        "imap://bob@mx.example",
    ]


def test_a_url_needs_no_configuration_and_has_its_archive_here() -> None:
    account = login(Session({}, config=Path("/nowhere.yaml")), "imaps://bob@mx.example")
    assert account.directory == Path("mailsync-archive/bob@mx.example")


def test_the_archive_may_be_named(session: Session) -> None:
    assert login(session, "old", Path("elsewhere")).directory == Path("elsewhere")


def test_one_archive_cannot_be_named_for_several_accounts(session: Session) -> None:
    with pytest.raises(ConfigError, match="one account must be named"):
        logins(session, [], Path("elsewhere"))


def test_an_option_wins_over_the_configured_password(session: Session) -> None:
    account = login(session, "old")
    assert password(session, account) == "from the environment"
    assert (
        password(session, account, {"env": "OTHER", "command": None, "file": None})
        == "from the option"
    )


def test_two_sources_of_one_password_are_refused(session: Session) -> None:
    with pytest.raises(ConfigError, match="not several"):
        password(session, login(session, "old"), {"env": "OTHER", "command": "true", "file": None})


def test_an_impossible_option_is_refused_without_repeating_it(session: Session) -> None:
    with pytest.raises(
        ConfigError, match=r"--…password-command cannot be used: has an opened quotation mark"
    ) as caught:
        password(session, login(session, "old"), {"command": "echo 'hunter2"})
    assert "hunter2" not in str(caught.value)
