from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.app.accounts import Accounts
from mailsync.config.file import load
from mailsync.config.local import LocalFiles
from mailsync.config.proxy import parse_proxy, proxy_for
from mailsync.errors import ConfigError
from mailsync.stores.proxies import Proxy

CONFIG = """archive: {root: mail}
accounts:
  home: {protocol: imap, host: imap.example.org, username: alice, %s}
"""


def configured(tmp_path: Path, lines: str) -> Path:
    path = tmp_path / "mailsync.yaml"
    path.write_text(CONFIG % lines)
    return path


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("socks5://127.0.0.1:9050", Proxy("socks5", "127.0.0.1", 9050)),
        ("socks5h://tor", Proxy("socks5", "tor", 1080)),
        ("SOCKS5://[::1]:1", Proxy("socks5", "::1", 1)),
        ("http://u%40x:p%3Aw@proxy.example/", Proxy("http", "proxy.example", 8080, "u@x", "p:w")),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:8080",
        "https://proxy.example",
        "socks4://proxy.example",
        "socks5://",
        "socks5://u:hunter2@proxy.example:port",
        "socks5://u:hunter2@proxy.example:70000",
        "socks5://u:hunter2@[::1",
        "socks5://u:hunter2@proxy.example/path",
        "socks5://u:hünter2@proxy.example",
        "socks5://u:" + "hunter2" * 50 + "@proxy.example",
    ],
)
def test_what_is_no_proxy_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|has|names") as caught:
        parse_proxy(url)
    assert "nter2" not in str(caught.value)


def test_an_account_names_its_proxy(tmp_path: Path) -> None:
    path = configured(tmp_path, "proxy: 'socks5://alice:hunter2@tor.example'")
    account = load(path).account("home")
    assert account.proxy == Proxy("socks5", "tor.example", 1080, "alice", "hunter2")
    assert "hunter2" not in repr(account)


@pytest.mark.parametrize("written", ["'https://proxy.example'", "7", "{host: tor}"])
def test_an_impossible_proxy_is_told_with_its_line(written: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mailsync\.yaml:3: `accounts\.home\.proxy` must be"):
        load(configured(tmp_path, f"proxy: {written}"))


def test_no_password_goes_to_a_proxy_in_plain_text(tmp_path: Path) -> None:
    lines = "proxy: 'socks5://tor', security: none"
    with pytest.raises(ConfigError, match="would"):
        load(configured(tmp_path, lines))
    path = tmp_path / "mailsync.yaml"
    path.write_text((CONFIG % lines).replace("imap.example.org", "localhost"))
    with pytest.raises(ConfigError, match=r"`accounts\.home\.proxy` would see the password"):
        load(path)


def used(environ: dict[str, str], path: Path | None = None, name: str = "") -> object:
    accounts = Accounts(path, environ, Path("/"), Path("/"))
    settings = accounts.one(name or "imaps://alice@imap.example.org").settings
    assert not isinstance(settings, LocalFiles)
    return settings.proxy


def test_all_proxy_is_used_where_nothing_else_is_said(tmp_path: Path) -> None:
    environ = {"ALL_PROXY": "socks5://tor"}
    tor = Proxy("socks5", "tor", 1080)
    assert used(environ) == tor
    assert used({"all_proxy": "http://p:1", **environ}) == Proxy("http", "p", 1)
    assert used({"ALL_PROXY": ""}) is None
    path = configured(tmp_path, "backup: true")
    assert used(environ, path, "home") == tor
    path = configured(tmp_path, "proxy: 'http://p:1'")
    assert used(environ, path, "home") == Proxy("http", "p", 1)
    path = configured(tmp_path, "proxy: none")
    assert used(environ, path, "home") == "none"


@pytest.mark.parametrize(
    ("spared", "straight"),
    [
        ("imap.example.org", True),
        ("other.example, .Example.ORG", True),
        ("*.example.org", True),
        ("*", True),
        ("ample.org", False),
        ("", False),
    ],
)
def test_no_proxy_names_hosts_and_domains(spared: str, *, straight: bool) -> None:
    environ = {"ALL_PROXY": "socks5://tor", "NO_PROXY": spared}
    assert (proxy_for("imap.example.org", environ) is None) is straight


def test_this_machine_is_reached_without_all_proxy() -> None:
    assert proxy_for("localhost", {"ALL_PROXY": "socks5://tor"}) is None
    assert proxy_for("::1", {"ALL_PROXY": "nonsense"}) is None


def test_an_impossible_all_proxy_is_told() -> None:
    with pytest.raises(ConfigError, match="variable ALL_PROXY must be the URL of a SOCKS5 proxy"):
        proxy_for("imap.example.org", {"ALL_PROXY": "ftp://u:hunter2@x"})
