"""A clock that jumped must not make anything look as if it had been kept for long."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mailsync.plan.clock import EARLIEST, LONGEST_STEP, SET_BACK, implausible

DAY = 86_400
NOW = 1_790_000_000.0


def daily(days: int, end: float = NOW) -> list[float]:
    return [end - DAY * day for day in range(1, days + 1)]


def test_a_clock_that_only_went_on_is_believed() -> None:
    assert implausible(NOW, daily(60), 14 * DAY) == ""
    assert implausible(NOW, [], 14 * DAY) == ""


def test_a_clock_that_jumped_seventy_years_forward_is_not() -> None:
    later = NOW + 70 * 365 * DAY
    assert "went from 2026-09-2" in implausible(later, daily(60), 14 * DAY)
    # Nor in the next runs, until they cover the span without the jump.
    after = [later - DAY, *daily(60)]
    assert implausible(later, after, 14 * DAY) != ""
    assert implausible(later, [*daily(20, later), *daily(60)], 14 * DAY) == ""


def test_a_first_run_in_1970_makes_nothing_old() -> None:
    assert "1970" in implausible(NOW, [3600.0], 14 * DAY)
    assert implausible(NOW, [*daily(15), 3600.0], 14 * DAY) == ""
    assert "1970" in implausible(NOW, [*daily(13), 3600.0], 14 * DAY)


def test_a_clock_that_stands_in_1970_now_is_not_believed() -> None:
    assert "says 1970-01-01" in implausible(0.0, [], DAY)
    assert "calendar" in implausible(-1e30, [], DAY)


def test_a_clock_that_was_set_back_by_more_than_a_day_is_not_believed() -> None:
    assert implausible(NOW, [NOW + SET_BACK, *daily(3)], DAY) == ""
    assert "went back" in implausible(NOW, [NOW + SET_BACK + 1, *daily(3)], DAY)


@given(
    st.lists(st.integers(min_value=-SET_BACK, max_value=LONGEST_STEP), max_size=8),
    st.integers(min_value=1, max_value=5 * LONGEST_STEP),
    st.integers(min_value=LONGEST_STEP + 1, max_value=200 * LONGEST_STEP),
)
def test_what_is_believed_was_covered_by_runs_without_a_jump(
    steps: list[int], span: int, jump: int
) -> None:
    """Behind any runs, a jump within the span that is asked for is found."""
    now = float(EARLIEST + 400 * LONGEST_STEP)
    times = list(itertools.accumulate([0, *(-step for step in steps)]))
    runs = [now + moment for moment in times]
    covered = any(now - run >= span for run in runs)
    doubt = implausible(now, [*runs, runs[-1] - jump], span)
    assert (doubt == "") == covered
