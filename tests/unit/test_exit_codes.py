from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailsync import errors, exit_codes
from mailsync.cli.main import EPILOG

README = Path(__file__).parents[2] / "README.md"


def test_readme_shows_the_table() -> None:
    section = README.read_text().split("### Exit codes")[1].split("###")[0]
    shown = re.findall(r"^\| ([0-9]+) \| (.*) \|$", section, re.MULTILINE)
    assert shown == [(str(row.code), row.meaning) for row in exit_codes.TABLE]


def test_no_code_and_no_error_stands_in_two_rows() -> None:
    codes = [row.code for row in exit_codes.TABLE]
    kinds = [kind for row in exit_codes.TABLE for kind in row.errors]
    assert (len(codes), len(kinds)) == (len(set(codes)), len(set(kinds)))


def test_an_error_without_a_row_ends_as_the_kind_of_error_it_is() -> None:
    assert exit_codes.of_error(errors.ServerBusy("old", "later")) == 75
    assert exit_codes.of_error(errors.MailboxMissing("old", ("A",), "gone")) == 3
    assert exit_codes.of_error(errors.ArchiveError("unreadable")) == 1


@pytest.mark.parametrize(
    ("error", "complete", "code"),
    [
        (None, True, 0),
        (None, False, 3),
        (errors.DiskFull("full"), False, 74),
        (errors.DiskFull("full"), True, 74),
    ],
)
def test_what_stopped_a_run_says_more_than_whether_all_was_done(
    error: errors.MailsyncError | None, complete: bool, code: int
) -> None:
    assert exit_codes.of_run(error, complete=complete) == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([12, 12], 12),
        ([12, 0], 3),
        ([12, 75], 3),
        ([3, 0], 3),
        ([0, 13, 74], 13),
        ([0, 74, 12], 74),
        ([0, 5], 5),
        ([5, 3], 3),
        ([5, 12], 3),
    ],
)
def test_damage_and_a_full_disk_win_and_accounts_that_end_alike_end_like_that(
    codes: list[int], code: int
) -> None:
    assert exit_codes.of_accounts(codes) == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 12], 12),
        ([3, 75], 75),
        ([3, 0], 3),
        ([5, 3], 3),
        ([5, 12], 12),
        ([0, 0], 0),
        ([12, 75], 3),
    ],
)
def test_what_stopped_one_step_of_an_account_says_more_than_that_others_are_incomplete(
    codes: list[int], code: int
) -> None:
    assert exit_codes.of_steps(codes) == code


def test_the_help_names_codes_of_the_table_only() -> None:
    named = re.findall(r"\b([0-9]+) [a-z]", EPILOG.split("Exit codes:")[1], re.IGNORECASE)
    assert len(named) == 11
    assert {int(code) for code in named} <= {row.code for row in exit_codes.TABLE}
