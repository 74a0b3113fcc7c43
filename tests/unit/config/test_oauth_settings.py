"""What can be written below `oauth2:`, and what is said of mistakes, with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.config.account import ImapAccount
from mailsync.config.file import load
from mailsync.config.oauth.client import registered
from mailsync.config.oauth.settings import Client, PrintedToken, ServiceAccount
from mailsync.errors import ConfigError

HEAD = """\
archive: {root: mail}
accounts:
  work:
    protocol: imap
    host: outlook.office365.com
    username: alice@firm.example
"""


def loaded(directory: Path, lines: str, protocol: str = "imap") -> ImapAccount:
    file = directory / "mailsync.yaml"
    file.write_text(HEAD.replace("imap", protocol, 1) + lines)
    account = load(file).settings.accounts["work"]
    assert isinstance(account, ImapAccount)
    return account


def told(directory: Path, lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, lines)
    return str(caught.value).replace(f"{directory}/", "")


def test_each_form_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    for written, kind in (
        ("{token: {command: oama access me}}", PrintedToken),
        ("{service_account: key.json}", ServiceAccount),
        ("{provider: microsoft, client_id: abc}", Client),
    ):
        assert isinstance(loaded(tmp_path, f"    oauth2: {written}\n").oauth2, kind)


def test_a_known_provider_needs_no_addresses(tmp_path: Path) -> None:
    account = loaded(
        tmp_path, "    oauth2: {provider: microsoft, client_id: abc, tenant: firm.example}\n"
    )
    assert isinstance(account.oauth2, Client)
    client = registered("work", account.oauth2, account, {})
    assert client.token_url == "https://login.microsoftonline.com/firm.example/oauth2/v2.0/token"
    assert client.scopes == (
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "offline_access",
    )
    assert client.redirect_host == "localhost"


def test_scopes_may_be_one_line_or_a_list(tmp_path: Path) -> None:
    for written in ("mail offline_access", "[mail, offline_access]"):
        account = loaded(
            tmp_path,
            "    oauth2: {client_id: abc, token_url: 'https://a.example/t', device_url:"
            f" 'https://a.example/d', scopes: {written}}}\n",
        )
        assert isinstance(account.oauth2, Client)
        assert account.oauth2.scopes == ("mail", "offline_access")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{provider: google, client_id: abc}", "`client_secret` is missing: Google wants it"),
        ("{client_id: abc}", "`provider` or `token_url` is missing"),
        ("{provider: microsoft}", "`accounts.work.oauth2.client_id` is missing"),
        ("{provider: gogle, client_id: a}", "must be google, microsoft or fastmail"),
        ("{provider: fastmail, client_id: a, tenant: b}", "belongs to `provider: microsoft`"),
        (
            "{provider: microsoft, client_id: a, grant: client-credentials}",
            "`tenant` is missing: name the organisation",
        ),
        (
            "{provider: google, client_id: a, grant: client-credentials, client_secret: {env: A}}",
            "Google has `service_account` instead",
        ),
        (
            "{client_id: a, token_url: 'http://a.example/t', scopes: mail}",
            "must be an address that begins with https://",
        ),
        (
            "{client_id: a, token_url: 'https://a.example/t', scopes: mail}",
            "say where one logs in",
        ),
        (
            "{provider: microsoft, client_id: a, redirect_url: 'https://elsewhere.example/'}",
            "must be an address of this machine",
        ),
        ("{provider: microsoft, client_id: a, refresh_token: b}", "`mailsync login` gets it"),
        ("{provider: microsoft, client_id: a, tennant: b}", "did you mean `tenant`?"),
        ("{service_account: nowhere.json}", "cannot be read"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, written: str, said: str) -> None:
    what = told(tmp_path, f"    oauth2: {written}\n")
    assert said in what
    assert what.startswith("mailsync.yaml:7: ")
    assert len(what.splitlines()) == 1


@pytest.mark.parametrize("key", ["client_secret", "token"])
def test_no_mistake_repeats_a_secret_that_was_written_in_the_wrong_way(
    tmp_path: Path, key: str
) -> None:
    what = told(tmp_path, f"    oauth2: {{client_id: a, {key}: {{hunter2: hunter2}}}}\n")
    assert "hunter2" not in what


def test_a_token_and_a_password_are_not_both_used(tmp_path: Path) -> None:
    what = told(tmp_path, "    password: {env: A}\n    oauth2: {token: {env: B}}\n")
    assert "a token takes the place of the password" in what
    what = told(tmp_path, "    authorization_id: bob\n    oauth2: {token: {env: B}}\n")
    assert "write whose mailbox it is as `username`" in what
