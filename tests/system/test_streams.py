"""Standard streams that are closed or full: the work is done all the same, and what was lost is
told.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.scripted import Scripted
from tests.stores.pop3_source_servers import Drop
from tests.system.cli_home import MAILSYNC, Home

MESSAGES = [(b"u%d" % number, plain(number)) for number in range(1, 4)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Scripted(Drop(MESSAGES)) as server:
        home = Home(tmp_path)
        home.configure(
            old=f"protocol: pop3, host: 127.0.0.1, port: {server.port}, security: none,"
            " username: demo, password: {env: PASSWORD}"
        )
        yield home


def redirected(home: Home, streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `mailsync ARGUMENTS STREAMS` in a shell."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", *MAILSYNC, *arguments],
        cwd=home.directory,
        env=home.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "streams", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-", ">&- 2>/dev/full", "2>/dev/full"]
)
def test_a_pull_nobody_can_read_about_brings_everything(home: Home, streams: str) -> None:
    done = redirected(home, streams, "-v", "pull")
    assert done.returncode == 0
    assert home.archived("old") == [content for _, content in MESSAGES]
    assert "mistake" not in done.stderr
    assert not any(
        b"pulling" in file.read_bytes() for file in home.directory.rglob("*") if file.is_file()
    )


def test_a_pull_whose_report_is_lost_on_a_full_disk_brings_everything_and_says_so(
    home: Home,
) -> None:
    done = redirected(home, ">/dev/full", "pull")
    assert done.returncode == 74
    assert "standard output (No space left on device); what was done is done" in done.stderr
    assert home.archived("old") == [content for _, content in MESSAGES]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["status"], ["status", "--json"], ["list", "old"]]
)
def test_no_command_calls_lost_output_a_success(home: Home, arguments: list[str]) -> None:
    assert redirected(home, "", "pull").returncode == 0
    done = redirected(home, ">/dev/full", *arguments)
    assert done.returncode == 74
    assert done.stderr.count("\n") == 1


def test_what_failed_says_more_than_that_its_report_was_lost(home: Home) -> None:
    done = redirected(home, ">/dev/full", "pull", "nobody", "--json")
    assert done.returncode == 2
    assert "there is no account 'nobody'" in done.stderr
    assert "standard output" in done.stderr


def test_a_program_gets_its_report_whatever_becomes_of_standard_error(home: Home) -> None:
    done = redirected(home, "2>&-", "pull", "--json")
    assert json.loads(done.stdout)["complete"]
