from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.cli.passwords import secrets
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


def test_an_option_wins_over_the_configured_password(session: Session) -> None:
    account = session.accounts().one("old")
    assert secrets(session, {})(account) == "from the environment"
    assert (
        secrets(session, {"env": "OTHER", "command": None, "file": None})(account)
        == "from the option"
    )


def test_two_sources_of_one_password_are_refused(session: Session) -> None:
    with pytest.raises(ConfigError, match="not several"):
        secrets(session, {"env": "OTHER", "command": "true", "file": None})(
            session.accounts().one("old")
        )


def test_an_impossible_option_is_refused_without_repeating_it(session: Session) -> None:
    with pytest.raises(
        ConfigError, match=r"--…password-command cannot be used: has an opened quotation mark"
    ) as caught:
        secrets(session, {"command": "echo 'hunter2"})(session.accounts().one("old"))
    assert "hunter2" not in str(caught.value)
