"""Whether a clock can be believed that says how long something was kept. Pure.

A battery that ran out begins again in 1970, and a mistyped year is seventy of them: what was stored
an hour ago would then have been kept for as long as anybody asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

EARLIEST: Final = 1_577_836_800
"""2020: no run of mailsync was made before."""

LONGEST_STEP: Final = 366 * 86_400
"""Seconds that may pass without any run; more is a clock that was put forward, until later runs
have shown otherwise.
"""

SET_BACK: Final = 86_400
"""Seconds by which a clock may be set back without a reason to doubt it."""


def implausible(now: float, last_runs: Iterable[float], span: float) -> str:
    """Return why the clock cannot be believed when it says that `span` seconds passed until `now`,
    for a person to read; empty when nothing speaks against it.

    `last_runs` are the times at which runs began by the same clock, the last one first; only as
    many are drawn as the span needs. A doubt ends by itself once runs without one cover the span.
    Whoever deletes by age must ask this first, and delete nothing on a doubt.
    """
    later = now
    if now < EARLIEST:
        return f"the clock of this machine says {_day(now)}"
    for run in last_runs:
        if run < EARLIEST:
            return f"the clock of this machine said {_day(run)} in an earlier run"
        if run - later > SET_BACK:
            return f"the clock of this machine went back from {_day(run)} to {_day(later)}"
        if later - run > LONGEST_STEP:
            return (
                f"the clock of this machine went from {_day(run)} to {_day(later)} between two runs"
            )
        later = run
        if now - later >= span:
            break
    return ""


def _day(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))
    except (OverflowError, ValueError, OSError):
        return "a year that no calendar has"
