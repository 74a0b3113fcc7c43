"""Days, times and spans before now, as people write them on a command line.

What could be read in two ways is refused: a wrong day chooses other mail without anybody noticing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

FORMS: Final = (
    "a day or a time (2026-03-01, 2026-03-01T18:30, 2026-03, today, yesterday), or a span before"
    " now (14d, 36h, 2 weeks, 3 months, 1y)"
)
_UNITS: Final = {
    "seconds": ("s", "sec", "secs", "second"),
    "minutes": ("min", "mins", "minute"),
    "hours": ("h", "hr", "hrs", "hour"),
    "days": ("d", "day"),
    "weeks": ("w", "wk", "wks", "week"),
    "months": ("mo", "mon", "month"),
    "years": ("y", "yr", "yrs", "year"),
}
_UNIT: Final = {name: unit for unit, names in _UNITS.items() for name in (unit, *names)}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([a-z]+)")
_SPAN: Final = re.compile(rf"{_PART.pattern}(?:(?: ?,? ?| and ){_PART.pattern})*(?: ago)?")
_TO_THE_MINUTE: Final = re.compile(r"[t ][0-9]{1,2}:[0-9]{2}(?:z|[+-][0-9:]+)?$")
_YEAR_LAST: Final = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1([0-9]{4}|[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time that a day or a time names, in epoch seconds; a moment has no length.

    `end` does not belong to it.
    """

    begin: int
    end: int


def stretch(written: str, now: datetime) -> Stretch:
    """Read a day, a month, a year, a time, or a span before `now`, in the zone of this machine.

    Raises ValueError, with words for the person who wrote it.
    """
    text = " ".join(written.lower().split())
    now = now.astimezone()
    try:
        days = _days(text, now.date())
        if days is not None:
            first, after = (datetime.combine(day, time.min).timestamp() for day in days)
            return Stretch(int(first), int(after))
        at = int(_moment(written.strip(), text, now))
        if _TO_THE_MINUTE.search(text):
            return Stretch(at, at + 60)
    except (OverflowError, OSError):
        raise ValueError("lies further away than a calendar reaches") from None
    return Stretch(at, at)


def age(written: str, now: datetime) -> float:
    """Read a span, such as `36h`, `2 weeks` or `1y`, as seconds before `now`.

    Raises ValueError, with words for the person who wrote it.
    """
    try:
        before = _span(" ".join(written.lower().split()), now.astimezone())
    except (OverflowError, OSError):
        raise ValueError("lies further away than a calendar reaches") from None
    if before is None:
        raise ValueError("must be a number with a unit: 90s, 10min, 26h, 30d, 2w, 3mo or 1y")
    return now.timestamp() - before


def _days(text: str, today: date) -> tuple[date, date] | None:
    """Return the first day of what is a day, a month or a year, and the first one after it."""
    if text in {"today", "yesterday"}:
        first = today - timedelta(days=text == "yesterday")
        return first, first + timedelta(days=1)
    try:
        if re.fullmatch(r"[0-9]{4}", text):
            return date(int(text), 1, 1), date(int(text) + 1, 1, 1)
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
            first = date.fromisoformat(f"{text}-01")
            return first, (first + timedelta(days=31)).replace(day=1)
        first = date.fromisoformat(text.upper())
    except ValueError:
        return None
    return first, first + timedelta(days=1)


def _moment(written: str, text: str, now: datetime) -> float:
    """Return a time in epoch seconds."""
    before = _span(text, now)
    if before is not None:
        return before
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        pass
    if _YEAR_LAST.fullmatch(text):
        raise ValueError("could be read in two ways: write the year first, such as 2026-03-01")
    if re.fullmatch(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", text):
        raise ValueError("is no day of the calendar: write it like 2026-03-01")
    raise ValueError(f"must be {FORMS}")


def _span(text: str, now: datetime) -> float | None:
    """Return the time so long before `now`, or None where the text is no span."""
    if not _SPAN.fullmatch(text):
        return None
    parts: dict[str, float] = {}
    for number, name in _PART.findall(text):
        if name == "m":
            raise ValueError("could be minutes or months: write min or mo, such as 10min or 3mo")
        unit = _UNIT.get(name)
        if unit is None or unit in parts:
            return None
        if unit in {"months", "years"} and "." in number:
            raise ValueError(f"has no whole number of {unit}, which differ in length")
        parts[unit] = float(number)
    months = 12 * int(parts.pop("years", 0)) + int(parts.pop("months", 0))
    # Hours and days are as long as they are, also where clocks were put back.
    return _months_before(months, now) - timedelta(**parts).total_seconds()


def _months_before(months: int, now: datetime) -> float:
    """Return the same time of the same day of an earlier month, or of its last day."""
    if not months:
        return now.timestamp()
    from dateutil.relativedelta import relativedelta  # noqa: PLC0415  seldom needed

    try:
        return (now.replace(tzinfo=None) - relativedelta(months=months)).timestamp()
    except ValueError:
        raise OverflowError from None
