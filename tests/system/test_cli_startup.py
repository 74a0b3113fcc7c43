"""What it costs to start, and what is not imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ["check", "pull", "push", "migrate", "verify", "status", "list", "show", "config"]
LITTLE = 30
"""Modules, each of which costs about half a millisecond."""
HEAVY = {
    "pydantic",
    "yaml",
    "sqlite3",
    "imapclient",
    "imaplib",
    "poplib",
    "ssl",
    "socket",
    "tqdm",
    "rich",
    "email",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailsync.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def loaded_by(program: str) -> set[str]:
    """Name the modules that are loaded when a program in Python has run."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


HELP = "from mailsync.cli import main; main.run(['--help'], main.Session({}))"


def test_help_imports_nothing_that_only_a_command_needs() -> None:
    loaded = loaded_by(HELP)
    assert not {name.partition(".")[0] for name in loaded} & HEAVY


def test_help_loads_little_beside_what_reads_the_command_line() -> None:
    assert len(loaded_by(HELP) - loaded_by("import click")) <= LITTLE


def test_help_names_every_command() -> None:
    done = run("--help")
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "config schema"])
def test_every_command_explains_itself(command: str) -> None:
    done = run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")


def test_every_command_line_of_help_fits_a_terminal() -> None:
    for command in [[], *[name.split() for name in COMMANDS]]:
        assert max(map(len, run(*command, "--help").stdout.splitlines())) <= 80


def test_the_version_is_told() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "mailsync")


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    done = run("pul")
    assert done.returncode == 2
    assert "did you mean 'pull'?" in done.stderr


def test_an_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    assert run("--config", str(tmp_path / "x.yaml"), "pull", "--delete-everything").returncode == 2
