from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats.dates import age, stretch

HOUR = 3600


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def local(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute).astimezone()


def now() -> datetime:
    return local(2026, 11, 25, 17, 30)


def shown(epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M", time.localtime(epoch))


@pytest.mark.parametrize(
    ("written", "begin", "end"),
    [
        ("2026-03-01", "2026-03-01T00:00", "2026-03-02T00:00"),
        (" 2026-03-01 ", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("20260301", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("2026-12-31", "2026-12-31T00:00", "2027-01-01T00:00"),
        ("2026-02", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2025", "2025-01-01T00:00", "2026-01-01T00:00"),
        ("today", "2026-11-25T00:00", "2026-11-26T00:00"),
        ("Yesterday", "2026-11-24T00:00", "2026-11-25T00:00"),
        ("2026-03-01T18:30", "2026-03-01T18:30", "2026-03-01T18:31"),
        ("2026-03-01T18:30:00", "2026-03-01T18:30", "2026-03-01T18:30"),
        ("2026-03-01 18:30", "2026-03-01T18:30", "2026-03-01T18:31"),
        ("2026-03-01T18:30Z", "2026-03-01T19:30", "2026-03-01T19:31"),
        ("2026-03-01T18:30+05:00", "2026-03-01T14:30", "2026-03-01T14:31"),
        ("14d", "2026-11-11T17:30", "2026-11-11T17:30"),
        ("14 D", "2026-11-11T17:30", "2026-11-11T17:30"),
        ("2 weeks", "2026-11-11T17:30", "2026-11-11T17:30"),
        ("2 weeks ago", "2026-11-11T17:30", "2026-11-11T17:30"),
        ("1.5h", "2026-11-25T16:00", "2026-11-25T16:00"),
        ("90 minutes", "2026-11-25T16:00", "2026-11-25T16:00"),
        ("9 months", "2026-02-25T17:30", "2026-02-25T17:30"),
        ("3mo", "2026-08-25T17:30", "2026-08-25T17:30"),
        ("1y", "2025-11-25T17:30", "2025-11-25T17:30"),
        ("1 year 2 months", "2025-09-25T17:30", "2025-09-25T17:30"),
        ("1 year, 2 months and 1 day", "2025-09-24T17:30", "2025-09-24T17:30"),
        ("1y2mo", "2025-09-25T17:30", "2025-09-25T17:30"),
    ],
)
def test_what_people_write_is_understood(written: str, begin: str, end: str) -> None:
    found = stretch(written, now())
    assert (shown(found.begin), shown(found.end)) == (begin, end)


def test_a_month_ends_where_the_calendar_says() -> None:
    assert shown(stretch("1 month", local(2026, 3, 31, 12)).begin) == "2026-02-28T12:00"
    assert shown(stretch("1y", local(2028, 2, 29, 12)).begin) == "2027-02-28T12:00"


def test_days_are_as_long_as_they_are_where_clocks_were_put_back() -> None:
    noon = local(2026, 10, 25, 12)  # from 3:00 clocks went back to 2:00
    assert noon.timestamp() - stretch("1d", noon).begin == 24 * HOUR
    assert stretch("today", noon).end - stretch("today", noon).begin == 25 * HOUR


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("03/04/2026", "in two ways"),
        ("01.03.2026", "in two ways"),
        ("1-3-26", "in two ways"),
        ("3m", "minutes or months"),
        ("1y 3m", "minutes or months"),
        ("2026-02-30", "no day of the calendar"),
        ("2026-13-01", "no day of the calendar"),
        ("2026-3-1", "no day of the calendar"),
        ("1.5 years", "no whole number of years"),
        ("99999 years", "further away"),
        ("999999999 weeks", "further away"),
        ("0000", "must be a day"),
        ("2026-00", "must be a day"),
        ("10", "must be a day"),
        ("", "must be a day"),
        ("d", "must be a day"),
        ("14d14", "must be a day"),
        ("2 days 2 days", "must be a day"),
        ("1 2 weeks", "must be a day"),
        ("2 weeks 2026-03-01", "must be a day"),
        ("2 wekes", "must be a day"),
        ("yestrday", "must be a day"),
        ("-1d", "must be a day"),
        ("in 2 weeks", "must be a day"),
        ("since yesterday", "must be a day"),
        ("18:30", "must be a day"),
        ("٣d", "must be a day"),
    ],
)
def test_what_could_be_read_in_two_ways_or_in_none_is_refused(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stretch(written, now())


@pytest.mark.parametrize(
    ("written", "seconds"), [("26h", 26 * HOUR), ("2 weeks", 14 * 24 * HOUR), ("0d", 0)]
)
def test_an_age_is_a_span(written: str, seconds: int) -> None:
    assert age(written, now()) == seconds


@pytest.mark.parametrize("written", ["2026-03-01", "yesterday", "6m", "365", ""])
def test_an_age_is_no_day_and_never_a_guess(written: str) -> None:
    with pytest.raises(ValueError, match=r"must be a number with a unit|minutes or months"):
        age(written, now())


@given(st.text())
def test_any_text_is_read_or_refused_in_words(written: str) -> None:
    with contextlib.suppress(ValueError):
        found = stretch(written, now())
        assert found.begin <= found.end


@given(st.integers(0, 2**31))
def test_a_time_is_read_as_it_is_written(epoch: int) -> None:
    written = datetime.fromtimestamp(epoch, UTC).isoformat()
    assert stretch(written, now()).begin == epoch
