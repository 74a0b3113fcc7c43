"""A record as a picture: bars of wall time, work by work; plain SVG, so that any browser and any
README shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from scripts.benchmark.record import FAR, OURS, TLS, WIRE, Comparison, Entry, Record

_WIDTH: Final = 760
_BAR: Final = (170, 460)  # where bars begin, and how long the longest is
_STEP: Final = 22
_COLOURS: Final = {OURS: "#1f6feb", WIRE: "#b8bec6"}
_OTHER: Final = "#8b7355"
_LINES: Final = {FAR: "200 ms away", TLS: "on this machine, TLS"}


def svg(record: Record) -> str:
    """Draw every work in which there is a peer: far away, or else over TLS on this machine; in each
    group the slowest fills the width.
    """
    parts: list[str] = []
    y = 34
    for one in record.comparisons:
        way = next((way for way in _LINES if one.best_peer(way)), None)
        if way is not None:
            entries = [entry for entry in one.entries if entry.seconds(way) is not None]
            parts += _group(one, way, entries, y)
            y += 38 + _STEP * len(entries)
    where = record.circumstances
    foot = (
        f"{where['processor']}, {where['cores']} cores, {where['kernel']}, {where['date']}."
        " Medians; thin lines: the least and the most."
    )
    parts.append(_text(20, y + 6, foot, size=11, colour="#57606a"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 22}"'
        ' font-family="system-ui, sans-serif" role="img" aria-label="Wall times of mailsync and'
        ' other programs">\n<rect width="100%" height="100%" rx="8" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _group(one: Comparison, way: str, entries: Sequence[Entry], y: int) -> Iterator[str]:
    yield _text(20, y, f"{one.work}, {one.size}: {_LINES[way]}", size=13, weight="600")
    longest = max(entry.spread(way)[1] for entry in entries)
    begin, length = _BAR
    for number, entry in enumerate(entries):
        top = y + 10 + _STEP * number
        seconds = entry.seconds(way) or 0
        least, most = (length * value / longest for value in entry.spread(way))
        colour = _COLOURS.get(entry.program, _OTHER)
        yield _text(
            begin - 8,
            top + 12,
            entry.program,
            anchor="end",
            weight="600" if entry.program == OURS else "400",
        )
        yield (
            f'<rect x="{begin}" y="{top}" width="{max(1, length * seconds / longest):.1f}"'
            f' height="15" rx="2" fill="{colour}"/>'
        )
        yield (
            f'<path d="M{begin + least:.1f} {top + 7.5}H{begin + most:.1f}" stroke="#24292f"'
            ' stroke-width="1"/>'
        )
        yield _text(
            begin + round(most) + 8,
            top + 12,
            f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s",
        )


def _text(
    x: int,
    y: float,
    words: str,
    *,
    size: int = 12,
    weight: str = "400",
    anchor: str = "start",
    colour: str = "#24292f",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
        f' fill="{colour}">{escape(words)}</text>'
    )
