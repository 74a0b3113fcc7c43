"""What such a page consists of, and how it becomes HTML; knows nothing of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mailsync import __version__
from mailsync.formats.quantities import moment
from mailsync.formats.terminal import plain

MARK: Final = "<!-- a report of mailsync -->"
"""By this a page is known as ours, and may be replaced by the next one."""

NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first `texts` columns are words, the others numbers. A `last` row is the
    sum of the others.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1
    last: Sequence[str] = ()
    told: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One run, or one archive: how it ended (`good` or not) in a sentence, facts, and tables."""

    heading: str
    good: bool
    ended: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]


def render(
    title: str, sections: Sequence[Section], now: float | None = None, summary: str = ""
) -> str:
    """Return the whole page; `summary` says at its head what matters most, if all is well."""
    good = all(section.good for section in sections)
    if not good:
        summary = "Not everything asked for is done, or something needs a look: see what is red."
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_harmless, trim_blocks=True
    )
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return environment.from_string(template).render(
        mark=Markup(MARK),  # noqa: S704  our own words
        title=title,
        good=good,
        summary=summary or "Everything asked for is done.",
        sections=sections,
        made=moment(int(time.time() if now is None else now)),
        zone=time.strftime("%Z", time.localtime(now)),
        version=__version__,
    )


def number(count: int) -> str:
    """Return a count, and a dash for none."""
    return f"{count:,}" if count else NOTHING


def _harmless(value: object) -> object:
    """Take from a text what could deceive its reader; it is escaped all the same."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
