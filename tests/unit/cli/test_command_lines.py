"""Where switches may stand, and how the command line explains itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailsync.cli import main
from mailsync.cli.session import Session

CONFIGURATION = """
archive: {root: mail}
accounts:
  home: {protocol: imap, host: imap.example.org, username: alice, password: {env: P}}
"""


def commands(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            for under, inner in commands(command, ctx):
                yield f"{name} {under}", inner
        else:
            yield name, command


COMMANDS = dict(commands(main.cli, click.Context(main.cli)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(CONFIGURATION)
    return file


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.run(list(arguments), Session({}))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_common_switches_behind_its_name(name: str) -> None:
    flags = {flag for parameter in COMMANDS[name].params for flag in parameter.opts}
    assert {"--config", "-v", "--verbose", "-q", "--quiet", "--json", "--debug"} <= flags


def test_switches_may_stand_before_the_command_and_behind_it(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    config = ["--config", str(file)]
    before = called(capsys, *config, "--json", "status", "home")
    behind = called(capsys, "status", "home", "--json", *config)
    both = called(capsys, *config, "status", "--json", "home")
    assert before == behind == both
    assert json.loads(before[1])["command"] == "status"
    assert json.loads(before[1])["accounts"][0]["account"] == "home"


def test_of_two_configurations_the_one_behind_the_command_holds(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    said = called(capsys, "--config", "/nowhere.yaml", "status", "--json", "--config", str(file))
    assert json.loads(said[1])["accounts"][0]["account"] == "home"


def test_what_is_said_before_the_command_holds_behind_it_too(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    assert called(capsys, "-q", "--config", str(file), "status", "home")[1] == ""


def test_a_command_without_its_name_explains_itself_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, code in (([], 2), (["config"], 2), (["help"], 0)):
        ended, out, err = called(capsys, *arguments)
        assert ended == code
        assert (out + err).count("Usage:") == 1
        assert (out + err).count("Commands:") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_a_command_as_the_command_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(capsys, "help", *name.split()) == called(capsys, *name.split(), "--help")


def test_help_knows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = called(capsys, "help", "pul")
    assert (code, "did you mean 'pull'?" in err) == (2, True)
    code, _, err = called(capsys, "help", "config", "nothing")
    assert (code, "nothing" in err) == (2, True)
    code, _, err = called(capsys, "help", "pull", "more")
    assert (code, "mailsync pull has no command 'more'" in err) == (2, True)


def test_an_option_of_a_command_before_it_is_told_where_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = called(capsys, "--dry-run", "pull")
    assert code == 2
    assert "`mailsync pull --dry-run`" in err


def test_a_program_hears_of_mistakes_in_the_command_line_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments in (["pul", "--json"], ["--json"], ["pull", "--nothing", "--json"]):
        code, out, _ = called(capsys, *arguments)
        assert json.loads(out)["exit_code"] == code == 2


@pytest.mark.parametrize("name", ["", *COMMANDS])
@pytest.mark.parametrize("width", [40, 80])
def test_help_fits_the_terminal(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = called(capsys, *name.split(), "--help")[1].splitlines()
    wide = [line.strip() for line in lines if len(line) > width]
    # What is typed is not broken: an example, the name of an option.
    assert not [line for line in wide if width == 80 or not line.startswith(TYPED)]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["list", "home", "--since", "03/04/2026"], "write the year first"),
        (["list", "home", "--since", "2062-03-01"], "'2062-03-01' lies in the future"),
        (["restore", "home", "--gone-since", "3m"], "could be minutes or months"),
        (["push", "home", "new", "--before", "soon"], "'soon' must be a day or a time (2026-03-01"),
        (["restore", "home", "--as-of", "2026-02-30"], "is no day of the calendar"),
        (["prune", "home", "--gone-for", "6m", "--yes"], "could be minutes or months"),
        (["prune", "home", "--gone-for", "2026-01-01"], "must be a number with a unit"),
        (["status", "--max-age", "old"], "must be a number with a unit"),
        (["pull", "--wait", "a while"], "must be a number with a unit"),
    ],
)
def test_a_date_that_may_be_misread_is_a_mistake_in_words(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = called(capsys, *arguments)
    assert code == 2
    assert why in err
    assert arguments[-2 if arguments[-1] != "--yes" else -3] in err


@pytest.mark.parametrize("written", ["yesterday", "1y", "2 weeks", "3mo", "14d", "2026", "today"])
def test_a_date_may_be_written_as_people_do(
    written: str, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    for option in ("--since", "--before", "--gone-since", "--as-of"):
        # 10: what was written is understood, and there is no archive yet.
        assert called(capsys, "list", "home", option, written, "--config", str(file))[0] == 10


def test_minutes_stay_minutes_where_they_always_were(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    said = called(capsys, "status", "home", "--max-age", "10m", "--json", "--config", str(file))
    assert json.loads(said[1])["accounts"][0]["stale"]


TYPED = ("mailsync ", "# yaml", "--", "pop3", "imap")
