"""What is said of the age of a backup, and of a clock that was wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.app.accounts import Login
from mailsync.app.requests import StatusRequest
from mailsync.app.status import State, exit_code, status
from mailsync.config.url import parse_url
from tests.unit.engine.rig import ACCOUNT, Rig

DAY = 86_400.0


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive")


def seen(rig: Rig, after: float, max_age: float = 26 * 3600) -> tuple[State, int]:
    login = Login(ACCOUNT, parse_url("imaps://alice@mx.example").settings, rig.directory)
    states = status(StatusRequest([login], max_age), rig.clock.now + after)
    return states[0], exit_code(states)


def test_a_backup_is_stale_once_its_last_complete_pull_is_older_than_asked_for(rig: Rig) -> None:
    rig.pull()
    assert seen(rig, DAY)[1] == 0
    assert seen(rig, 2 * DAY)[1] == 3


def test_a_pull_that_ended_in_the_future_vouches_for_nothing(rig: Rig) -> None:
    rig.pull()
    assert seen(rig, -60)[1] == 0
    state, code = seen(rig, -400 * DAY)
    assert (state.stale, code) == (True, 3)


def test_the_last_complete_pull_is_the_one_that_ran_last_whatever_its_clock_said(
    rig: Rig,
) -> None:
    rig.clock.now += 400 * DAY
    rig.pull()
    rig.clock.now -= 400 * DAY
    rig.pull()
    assert seen(rig, 0)[1] == 0
    assert seen(rig, 30 * DAY)[1] == 3
