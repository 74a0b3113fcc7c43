"""When a server is asked again, and after how long; no test here waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ServerBusy,
    StoreUnavailable,
    Throttled,
    Unreachable,
)
from mailsync.stores.retry import LONGEST_STATED, LONGEST_WAIT, Retry, backoff


def waits_of(*errors: StoreUnavailable, retries: int = 4, reached: bool = False) -> list[float]:
    """Return the seconds waited after each of these failures in a row."""
    waits: list[float] = []
    retry = Retry(note=lambda _: None, sleep=waits.append, jitter=lambda: 0.5, retries=retries)
    if reached:
        retry.reached()
    for error in errors:
        retry.wait(error)
    return waits


def test_each_failure_in_a_row_waits_twice_as_long() -> None:
    assert waits_of(*[ServerBusy("a", "later")] * 4) == [1, 2, 4, 8]


@given(st.integers(1, 1000), st.floats(0, 1))
def test_no_wait_of_our_choice_is_longer_than_the_bound_and_its_jitter(
    failures: int, jitter: float
) -> None:
    assert 0.5 <= backoff(failures, jitter) <= 1.5 * LONGEST_WAIT


def test_a_server_that_states_how_long_is_waited_for_so_long() -> None:
    assert waits_of(Throttled("a", "slow down", 299.5)) == [299.5]


def test_a_wait_nobody_would_sit_out_ends_the_run() -> None:
    with pytest.raises(Throttled):
        waits_of(Throttled("a", "slow down", LONGEST_STATED + 1))


def test_after_the_last_try_the_failure_is_told() -> None:
    last = ConnectionLost("a", "the third")
    with pytest.raises(ConnectionLost) as caught:
        waits_of(ServerBusy("a", "one"), ServerBusy("a", "two"), last, retries=2)
    assert caught.value is last


def test_what_came_in_between_gives_all_tries_back() -> None:
    waits: list[float] = []
    retry = Retry(note=lambda _: None, sleep=waits.append, jitter=lambda: 0.5, retries=1)
    for _ in range(3):
        retry.wait(ServerBusy("a", "later"))
        retry.progressed()
    assert waits == [1, 1, 1]


def test_a_wrong_password_is_not_tried_twice() -> None:
    with pytest.raises(AuthenticationFailed):
        waits_of(AuthenticationFailed("a", "no"), reached=True)


def test_a_server_that_cannot_be_reached_is_waited_for_only_if_it_was_there_before() -> None:
    with pytest.raises(Unreachable):
        waits_of(Unreachable("a", "refuses connections"))
    assert waits_of(Unreachable("a", "refuses connections"), reached=True) == [1]


def test_a_server_that_was_there_and_stays_away_is_a_lost_connection() -> None:
    gone = Unreachable("a", "refuses connections")
    with pytest.raises(ConnectionLost, match="cannot be reached since") as caught:
        waits_of(ConnectionLost("a", "broke"), gone, retries=1, reached=True)
    assert caught.value.__cause__ is gone


def test_a_person_is_told_whose_server_and_how_long() -> None:
    notes: list[str] = []
    retry = Retry(note=notes.append, sleep=lambda _: None, jitter=lambda: 0.5)
    retry.wait(Throttled("old", "slow down", 30))
    retry.wait(Throttled("old", "slow down", 0.2))
    assert notes == ["old: slow down; trying again in 30 s", "old: slow down; trying again"]
