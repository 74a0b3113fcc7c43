"""What no one expects within one account is the report of that account alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from mailsync.cli.main import run
from mailsync.cli.session import Session
from mailsync.stores.pop3 import Pop3Source
from tests.messages import plain
from tests.servers.scripted import Scripted
from tests.stores.pop3_source_servers import Drop

UNEXPECTED = [OverflowError("hunter2"), MemoryError(), RecursionError("hunter2"), ValueError()]


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mailsync.yaml"
    with contextlib.ExitStack() as servers:
        lines = "".join(
            f"  {name}: {{protocol: pop3, host: 127.0.0.1, security: none, username: demo,"
            " password: {env: PASSWORD},"
            f" port: {servers.enter_context(Scripted(Drop([(b'u', plain(1))]))).port}}}\n"
            for name in ("one", "two", "three")
        )
        path.write_text(f"archive: {{root: mail}}\naccounts:\n{lines}")
        yield path


@contextlib.contextmanager
def failing(method: str, error: Exception) -> Iterator[None]:
    """Let a method of the second account's source fail."""
    whole = getattr(Pop3Source, method)

    def fail(self: Pop3Source, *arguments: object) -> object:
        if self.account == "two":
            raise error
        return whole(self, *arguments)

    with patch.object(Pop3Source, method, fail):
        yield


def command(config: Path, *arguments: str) -> int:
    return run(["--config", str(config), *arguments], Session({"PASSWORD": "secret"}))


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["mailboxes", "scan", "fetch"])
def test_a_mistake_in_one_account_ends_the_pull_of_no_other(
    method: str, error: Exception, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(method, error):
        code = command(config, "pull")
    shown = capsys.readouterr()
    assert code == 3
    assert f"two: a mistake in mailsync ({type(error).__name__}); please report" in shown.err
    assert "hunter2" not in shown.err
    for name in ("one", "three"):
        assert f"{name}: complete: 1 message" in shown.out
    assert command(config, "pull") == 0


def test_the_accounts_report_has_the_code_of_a_mistake_and_debug_tells_where_it_was(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing("scan", OverflowError("secret is too large")):
        assert command(config, "pull", "--json") == 3
        reports = json.loads(capsys.readouterr().out)["reports"]
        assert [report["exit_code"] for report in reports] == [0, 1, 0]
        assert command(config, "--debug", "pull", "two") == 1
    shown = capsys.readouterr().err
    assert "OverflowError: *** is too large" in shown
    assert "in fail" in shown


@pytest.mark.parametrize("arguments", [["check"], ["verify", "--remote"]])
def test_a_mistake_in_one_account_ends_no_look_at_another(
    arguments: list[str], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(config, "pull") == 0
    with failing("mailboxes", MemoryError()):
        assert command(config, *arguments) == 3
    shown = capsys.readouterr()
    assert "two: a mistake in mailsync (MemoryError)" in shown.err
    assert "three: " in shown.out


def test_an_interruption_is_no_mistake_and_ends_everything(config: Path) -> None:
    with patch.object(Pop3Source, "scan", side_effect=KeyboardInterrupt):
        assert command(config, "pull") == 130
