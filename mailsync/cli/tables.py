"""Tables as every command prints them: whole on a terminal of any width."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click

from mailsync.cli.lines import width_of

_BETWEEN: Final = 2
_LEAST: Final = 6
"""Columns that a text keeps where there is no room even for the columns that stay."""
_LINES: Final = "\n".join(["    ", "    ", " -  ", *["    "] * 5])
"""A dashed line under the headings, and none elsewhere."""
_NOTHING: Final = frozenset({"", "-"})


def table(
    rows: Sequence[Sequence[str]],
    headings: Sequence[str],
    align: str,
    *,
    drop: Sequence[str] = (),
    width: int = 0,
) -> str:
    """Return rows under their headings, in lines of at most `width` columns (0: as wide as standard
    output is); `align` has an l (text) or an r (a number) for each column.

    Where there is no room, headings are broken between words, then texts; then the columns of the
    headings in `drop` are left out, the first of them first, those that say nothing before all.
    """
    width = width or width_of(sys.stdout)
    found = [
        _Column(heading, side == "l", [row[number] for row in rows])
        for number, (heading, side) in enumerate(zip(headings, align, strict=True))
    ]
    for heading in sorted(drop, key=lambda one: any(c.says for c in found if c.heading == one)):
        if _room(found, width) >= 0:
            break
        found = [one for one in found if one.heading != heading]
    return _drawn(found, _widths(found, width))


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table: text may be broken into lines, a number may not."""

    heading: str
    text: bool
    cells: Sequence[str]

    @property
    def says(self) -> bool:
        """Whether any cell holds more than a dash."""
        return any(click.unstyle(cell) not in _NOTHING for cell in self.cells)

    @property
    def widest(self) -> int:
        """Return how wide its widest cell is."""
        return max((_columns(cell) for cell in self.cells), default=0)

    def least(self, width: int) -> int:
        """Return how narrow it can be in a table of `width`: a third of it is enough for a text."""
        widest = min(self.widest, width // 3) if self.text else self.widest
        return max(widest, *map(_columns, self.heading.split() or [""]))


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes, as rich counts them."""
    from rich.cells import cell_len  # noqa: PLC0415  a quiet run prints no table

    return cell_len(click.unstyle(text))


def _room(found: Sequence[_Column], width: int) -> int:
    """Return how much is left of `width` when no column is wider than it must be."""
    return width - sum(one.least(width) + _BETWEEN for one in found) + _BETWEEN


def _widths(found: Sequence[_Column], width: int) -> list[int]:
    """Share `width` out among the columns: what they must have, then whole texts, then headings."""
    widths = [one.least(width) for one in found]
    room = _room(found, width)
    if room < 0:
        texts = [number for number, one in enumerate(found) if one.text]
        for number in sorted(texts, key=widths.__getitem__, reverse=True):
            less = min(-room, max(0, widths[number] - _LEAST))
            widths[number] -= less
            room += less
    for text in (True, False):
        for number, one in enumerate(found):
            if one.text is text and room > 0:
                more = max(one.widest, _columns(one.heading)) - widths[number]
                widths[number] += min(more, room)
                room -= min(more, room)
    return widths


def _drawn(found: Sequence[_Column], widths: Sequence[int]) -> str:
    """Return the table as it is printed. A third of what tabulate takes to load is enough for
    rich, which also knows how to break cells.
    """
    from rich.box import Box  # noqa: PLC0415  a quiet run prints no table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(
        box=Box(_LINES, ascii=True),
        show_edge=False,
        pad_edge=False,
        padding=(0, _BETWEEN - 1, 0, 0),
        header_style="",
    )
    for one, width in zip(found, widths, strict=True):
        drawn.add_column(
            Text(one.heading),
            justify="left" if one.text else "right",
            width=width,
            overflow="fold",
        )
    for cells in zip(*(one.cells for one in found), strict=True):
        drawn.add_row(*map(Text.from_ansi, cells))
    console = Console(
        file=io.StringIO(),
        width=sum(widths) + _BETWEEN * len(widths),
        force_terminal=True,
        color_system="standard",
        markup=False,
    )
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
