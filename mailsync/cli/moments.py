"""Options whose values are days, times and spans, as epoch seconds and seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mailsync.formats.dates import Stretch


def begin(_: click.Context, parameter: click.Parameter, written: str | None) -> int | None:
    """Read a time; a day is its beginning."""
    found = _stretch(parameter, written)
    return found.begin if found else None


def end(_: click.Context, parameter: click.Parameter, written: str | None) -> int | None:
    """Read a time; a day is its end."""
    found = _stretch(parameter, written)
    return max(found.begin, found.end - 1) if found else None


def seconds(_: click.Context, parameter: click.Parameter, written: str | None) -> float | None:
    """Read how long to wait, or how old something may be; a number alone is seconds to wait, and
    10m are minutes, as in the configuration.
    """
    from mailsync.config.amounts import duration  # noqa: PLC0415  not needed to list the options

    if written is None:
        return None
    try:
        if written.replace(".", "", 1).isdecimal() and parameter.name == "wait":
            return float(written)
        return duration(written)
    except ValueError:
        return _age(written)


def age(_: click.Context, __: click.Parameter, written: str | None) -> float | None:
    """Read how long ago something must have been at least; what could be minutes or months is
    refused.
    """
    return None if written is None else _age(written)


def _age(written: str) -> float:
    from datetime import datetime  # noqa: PLC0415  not needed to list the options

    from mailsync.formats.dates import age as age_of  # noqa: PLC0415

    try:
        return age_of(written, datetime.now().astimezone())
    except ValueError as error:
        raise click.BadParameter(f"{written!r} {error}") from None


def _stretch(parameter: click.Parameter, written: str | None) -> Stretch | None:
    """Read it, unless it lies ahead where only the past makes sense."""
    from datetime import datetime  # noqa: PLC0415  not needed to list the options

    from mailsync.formats.dates import stretch  # noqa: PLC0415

    if written is None:
        return None
    now = datetime.now().astimezone()
    try:
        found = stretch(written, now)
    except ValueError as error:
        raise click.BadParameter(f"{written!r} {error}") from None
    if found.begin > now.timestamp() and parameter.name != "before":
        raise click.BadParameter(f"{written!r} lies in the future")
    return found
