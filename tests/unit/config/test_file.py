from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.config.amounts import duration
from mailsync.config.file import find, load
from mailsync.config.schema import schema
from mailsync.errors import ConfigError

EXAMPLES = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


def test_a_named_file_wins_over_everything(tmp_path: Path) -> None:
    (tmp_path / "mailsync.yaml").touch()
    assert find(Path("named.yaml"), {"MAILSYNC_CONFIG": "other.yaml"}, tmp_path, tmp_path) == Path(
        "named.yaml"
    )


def test_the_environment_variable_wins_over_the_usual_places(tmp_path: Path) -> None:
    (tmp_path / "mailsync.yaml").touch()
    assert find(None, {"MAILSYNC_CONFIG": "other.yaml"}, tmp_path, tmp_path) == Path("other.yaml")


def test_the_current_directory_comes_before_the_users_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    user = home / ".config" / "mailsync" / "mailsync.yaml"
    user.parent.mkdir(parents=True)
    user.touch()
    assert find(None, {}, tmp_path, home) == user
    (tmp_path / "mailsync.yaml").touch()
    assert find(None, {}, tmp_path, home) == tmp_path / "mailsync.yaml"


def test_the_xdg_directory_is_looked_at_when_it_is_absolute(tmp_path: Path) -> None:
    there = tmp_path / "xdg" / "mailsync" / "mailsync.yaml"
    there.parent.mkdir(parents=True)
    there.touch()
    assert find(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path, tmp_path) == there
    with pytest.raises(ConfigError):
        find(None, {"XDG_CONFIG_HOME": "xdg"}, tmp_path, tmp_path)


def test_where_it_looked_is_told_when_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find(None, {}, tmp_path, tmp_path / "home")
    assert str(tmp_path / "mailsync.yaml") in str(caught.value)
    assert str(tmp_path / "home/.config/mailsync/mailsync.yaml") in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_an_unknown_account_is_answered_with_those_there_are() -> None:
    config = load(EXAMPLES[0])
    with pytest.raises(ConfigError, match="there is: old, new"):
        config.account("older")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_configuration(path: Path) -> None:
    assert load(path).settings.accounts


def test_there_is_an_example_for_each_use() -> None:
    assert [path.stem for path in EXAMPLES] == ["migration", "nightly-backup", "oauth2", "restore"]


def test_the_schema_knows_every_key_and_no_other() -> None:
    definitions = schema()["$defs"]
    common = {
        "protocol",
        "host",
        "port",
        "security",
        "allow_plaintext",
        "username",
        "password",
        "authorization_id",
        "ca_file",
        "tls_name",
    }
    common |= {"timeout", "archive", "limits", "proxy", "oauth2"}
    assert set(definitions["Pop3Account"]["properties"]) == common | {"keep", "mark", "pipelining"}
    assert set(definitions["ImapAccount"]["properties"]) == common | {
        "mailboxes",
        "map",
        "connections",
        "repair",
        "backup",
    }
    assert all(
        definitions[name]["additionalProperties"] is False
        for name in ("Pop3Account", "ImapAccount", "ArchiveSettings")
    )


def test_every_key_of_the_schema_is_described() -> None:
    for definition in schema()["$defs"].values():
        for key, described in definition["properties"].items():
            assert described.get("description"), key


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("26h", 93600), ("30d", 2592000), ("2 w", 1209600), ("1.5H", 5400)],
)
def test_a_span_of_time_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1y", "\u0661h", "1h30m", "1e9d"])
def test_an_unclear_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number with a unit"):
        duration(text)
