from __future__ import annotations

import errno
import json

import click
import pytest

from mailsync import errors
from mailsync.cli import exits
from mailsync.cli.session import Session

ACCOUNT_ERRORS = [
    (errors.AuthenticationFailed, 12),
    (errors.TlsError, 14),
    (errors.OverQuota, 15),
    (errors.ProtocolViolation, 16),
    (errors.Unreachable, 1),
    (errors.ConnectionLost, 75),
    (errors.ServerBusy, 75),
    (errors.Throttled, 75),
    (errors.BudgetReached, 75),
    (errors.MessageError, 3),
]
ARCHIVE_ERRORS = [
    (errors.ArchiveNotFound, 10),
    (errors.ArchiveLocked, 11),
    (errors.IntegrityError, 13),
    (errors.SchemaTooNew, 17),
    (errors.DiskFull, 74),
]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((kind("old", "what happened"), code) for kind, code in ACCOUNT_ERRORS),
        *((kind("what happened"), code) for kind, code in ARCHIVE_ERRORS),
        (errors.ConfigError("what happened"), 2),
        (errors.MailsyncError("what happened"), 1),
        (click.UsageError("what happened"), 2),
    ],
)
def test_every_failure_has_its_documented_exit_code_and_its_own_words(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.report(error, Session({})) == code
    shown = capsys.readouterr()
    assert "what happened" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupted_run_ends_with_130_and_tells_that_nothing_is_lost(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.report(error, Session({})) == 130
    assert "nothing is lost: run the same command again" in capsys.readouterr().err


def test_a_full_disk_is_told_as_such_wherever_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.report(OSError(errno.ENOSPC, "No space left on device", "/x"), Session({})) == 74
    assert "make room" in capsys.readouterr().err


def test_an_unexpected_mistake_shows_neither_a_traceback_nor_words_that_may_hold_a_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exits.report(ValueError("hunter2"), Session({})) == 1
    shown = capsys.readouterr()
    assert "ValueError" in shown.err
    assert "hunter2" not in shown.err
    assert "Traceback" not in shown.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    exits.report(errors.DiskFull("full"), Session({}, debug=True))
    assert "mailsync.errors.DiskFull: full" in capsys.readouterr().err


def test_every_problem_of_a_configuration_is_told_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problems = [errors.Problem("f.yaml:1", "one"), errors.Problem("f.yaml:2", "two \x1b[2J")]
    assert exits.report(errors.ConfigError(problems), Session({})) == 2
    assert capsys.readouterr().err.splitlines() == [
        "mailsync: f.yaml:1: one",
        "mailsync: f.yaml:2: two �[2J",
    ]


def test_a_program_that_asked_for_json_gets_it_also_when_things_fail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = Session({}, json=True, command="pull")
    assert exits.report(errors.ConfigError([errors.Problem("f.yaml:1", "one")]), session) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 2
    assert (answer["command"], answer["exit_code"], answer["complete"]) == ("pull", 2, False)
    assert answer["problems"] == [{"where": "f.yaml:1", "what": "one"}]
