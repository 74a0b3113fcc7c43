"""What a program gets that calls this floor itself, as far as no server is needed."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest

from mailsync.app import requests
from mailsync.app.accounts import Login
from mailsync.app.duplicates import duplicates
from mailsync.app.pull import pull
from mailsync.app.push import push
from mailsync.app.requests import (
    Choice,
    DuplicatesRequest,
    PullRequest,
    PushRequest,
    StatusRequest,
    VerifyRequest,
)
from mailsync.app.status import exit_code, status
from mailsync.app.verify import verify
from mailsync.archive import Archive
from mailsync.config.url import parse_url
from mailsync.errors import ArchiveNotFound, ConfigError
from mailsync.progress import Silence

REQUESTS = [
    kind
    for _, kind in inspect.getmembers(requests, inspect.isclass)
    if dataclasses.is_dataclass(kind)
]


def login(directory: Path, url: str = "imaps://alice@mx.example") -> Login:
    found = parse_url(url)
    return Login(found.name, found.settings, directory)


def made(directory: Path) -> Login:
    with Archive.open(directory):
        pass
    return login(directory)


def no_secret(account: Login) -> str:
    raise ConfigError(f"no password for {account.name}")


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_request_can_be_changed_once_it_is_made(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(kind)


def test_a_choice_is_of_whole_mailboxes_until_a_message_is_left_out() -> None:
    assert Choice(("Work/*",), include_gone=True).whole_mailboxes
    assert not Choice(since=1).whole_mailboxes
    assert not Choice(as_of=1).whole_mailboxes


def test_a_missing_password_stops_its_account_and_no_other(tmp_path: Path) -> None:
    accounts = [login(tmp_path / "a"), login(tmp_path / "b", "pop3s://bob@mx.example")]
    reports = pull(PullRequest(accounts), no_secret, Silence())
    assert [(str(report.error), report.exit_code) for report in reports] == [
        ("no password for imap://alice@mx.example", 2),
        ("no password for pop3://bob@mx.example", 2),
    ]
    assert not list(tmp_path.iterdir())


def test_a_push_from_an_archive_that_is_not_there_asks_no_server(tmp_path: Path) -> None:
    request = PushRequest(login(tmp_path / "a"), login(tmp_path / "b"))
    report = push(request, lambda _: "secret", Silence())
    assert isinstance(report.error, ArchiveNotFound)
    assert report.ended >= report.started > 0


def test_a_destination_must_be_imap(tmp_path: Path) -> None:
    request = PushRequest(made(tmp_path / "a"), login(tmp_path / "b", "pop3s://bob@mx.example"))
    with pytest.raises(ConfigError, match="a destination must be IMAP"):
        push(request, lambda _: "secret", Silence())


def test_a_verification_names_each_archive_once_and_also_those_that_are_not_there(
    tmp_path: Path,
) -> None:
    there = made(tmp_path / "a")
    missing = login(tmp_path / "b")
    found = verify(VerifyRequest([there, there, missing]), no_secret, Silence())
    assert [(proof.directory, proof.error is None) for proof in found.proofs] == [
        (there.directory, True),
        (missing.directory, False),
    ]
    assert found.exit_code == 3
    assert verify(VerifyRequest([missing]), no_secret, Silence()).exit_code == 10
    assert verify(VerifyRequest([there]), no_secret, Silence()).exit_code == 0


def test_an_archive_that_was_never_pulled_is_stale_where_an_age_is_asked_for(
    tmp_path: Path,
) -> None:
    accounts = [made(tmp_path / "a"), login(tmp_path / "b")]
    states = status(StatusRequest(accounts), 1000.0)
    assert ([state.stale for state in states], exit_code(states)) == ([False, False], 10)
    states = status(StatusRequest(accounts, max_age=60.0), 1000.0)
    assert ([state.stale for state in states], exit_code(states)) == ([True, True], 10)


def test_an_archive_of_another_account_is_refused_with_the_command_that_makes_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(ArchiveNotFound, match=r"mailsync pull imap://alice@mx\.example"):
        duplicates(DuplicatesRequest(made(tmp_path / "a")))
