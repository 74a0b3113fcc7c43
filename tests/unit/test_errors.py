"""The exception tree is the one its module draws, and each error ends the process as promised."""

from __future__ import annotations

import inspect
import re

import pytest

from mailsync import errors, exit_codes
from mailsync.errors import (
    ConfigError,
    MailboxError,
    MailsyncError,
    Problem,
    StoreError,
    StoreUnavailable,
    Throttled,
)

ALL = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, MailsyncError)
]
DRAWN = dict(
    re.findall(
        r"^[│├└─ ]*([A-Z]\w+)(?:\([a-z]+\))? +(?:exit +)?([0-9]+)\b",
        errors.__doc__ or "",
        re.MULTILINE,
    )
)


def made(kind: type[MailsyncError]) -> MailsyncError:
    """Make an error of a kind, whatever its constructor asks for."""
    error = kind.__new__(kind)
    assert isinstance(error, MailsyncError)
    return error


@pytest.mark.parametrize("error", ALL)
def test_each_error_ends_the_process_as_its_module_draws(error: type[MailsyncError]) -> None:
    if error is StoreError:
        assert exit_codes.of_error(made(error)) == 1
    else:
        assert int(DRAWN[error.__name__]) == exit_codes.of_error(made(error))


@pytest.mark.parametrize("error", ALL)
def test_each_error_says_in_its_docstring_what_it_means(error: type[MailsyncError]) -> None:
    assert error.__doc__


def test_only_what_may_be_better_the_next_time_is_tried_again() -> None:
    retryable = {
        error.__name__ for error in ALL if issubclass(error, StoreUnavailable) and error.retryable
    }
    assert retryable == {"ConnectionLost", "ServerBusy", "Throttled"}


def test_a_configuration_shows_every_problem_in_its_place() -> None:
    error = ConfigError([Problem("mail.yaml:3", "no such key"), Problem("", "nothing to do")])
    assert str(error) == "mail.yaml:3: no such key\nnothing to do"
    assert len(error.problems) == 2
    assert str(ConfigError("cannot read it")) == "cannot read it"


def test_errors_of_a_store_name_the_account_and_what_else_is_known() -> None:
    assert MailboxError("home", ("A", "B"), "gone").mailbox == ("A", "B")
    assert (Throttled("home", "slow down", 30.0).wait, Throttled("home", "slow down").wait) == (
        30.0,
        None,
    )
    assert StoreError("home", "broken").account == "home"
    assert str(StoreError("home", "broken")) == "broken"
