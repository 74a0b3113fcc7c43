"""A record as Markdown: for reading, and for comparing two commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scripts.benchmark.record import FAR, OURS, WIRE, Comparison, Entry, Record

HOW: Final = """\
Wall times are medians, with the least and the most in brackets. Ratio, one for each wall time:
against the best other program that keeps as much; below 1 is shorter. Round trips: (seconds at
200 ms − seconds at 0 ms) / 0.2; with ~, the waits for an answer as the proxy counted them, of a
program that waits so often that it was not run far away. CPU: seconds of the program alone,
near. Wire: octets that crossed against octets of mail. Every run was proved afterwards: all
messages are there, and they are the same (mailsync: byte for byte)."""


def markdown(record: Record) -> str:
    """Tell everything: circumstances, then a table for each comparison."""
    return "\n\n".join([_circumstances(record), *map(_comparison, record.comparisons), HOW]) + "\n"


def _circumstances(record: Record) -> str:
    c = record.circumstances
    where = (
        f"{c['processor']}, {c['cores']} cores, {c['memory']}, {c['kernel']}, Python {c['python']}"
    )
    loads = f"load {c['load']} at the start, {c.get('load at the end', '?')} at the end"
    lines = [
        f"Measured on {c['date']}, commit {c['commit']}: {where}; {loads}.",
        "Versions: "
        + ", ".join(f"{name} {version}" for name, version in record.versions.items())
        + ".",
    ]
    if record.missing:
        lines.append(f"Not installed here, so not measured: {', '.join(record.missing)}.")
    return "\n".join(lines)


def _comparison(one: Comparison) -> str:
    ways = one.lines
    head = [
        "program",
        *(f"wall s, {way}" for way in ways),
        "ratio",
        "round trips",
        "CPU s",
        "peak MB",
        "wire / mail",
        "safe at its end",
    ]
    rows = [
        [entry.program, *(_wall(entry, way) for way in ways), *_figures(one, entry), entry.keeps]
        for entry in one.entries
    ]
    title = f"**{one.work}, {one.size}**" + (f" (to reach: {one.target})" if one.target else "")
    return "\n".join([title, "", *_table(head, rows), *(["", one.note] if one.note else [])])


def _figures(one: Comparison, entry: Entry) -> list[str]:
    ratios = [(way, one.ratio(entry, way)) for way in one.lines]
    trips = entry.round_trips
    waits = f"~{entry.turns}" if entry.turns is not None and FAR in one.lines else ""
    octets = entry.octets
    near = next(iter(entry.lines))
    return [
        (
            " · ".join(f"{ratio:.2f}" for _, ratio in ratios if ratio is not None)
            if entry.program != WIRE
            else ""
        ),
        waits if trips is None else f"{trips:.1f}",
        f"{entry.cpu(near) or 0:.2f}",
        f"{entry.peak_mb:.0f}",
        (
            f"{octets / one.mail:.3f}"
            if octets is not None and one.mail
            else ""
            if octets is None
            else f"{octets:,} octets"
        ),
    ]


def _wall(entry: Entry, way: str) -> str:
    seconds = entry.seconds(way)
    if seconds is None:
        return ""
    least, most = entry.spread(way)
    return f"{seconds:.2f}" if least == most else f"{seconds:.2f} ({least:.2f}–{most:.2f})"


def against(old: Record, new: Record) -> str:
    """Compare mailsync in two records of the same works: the change, and whether it is clear of the
    noise.
    """
    head = [
        "work",
        "line",
        "wall s",
        "change",
        "against the best peer",
        "CPU s",
        "round trips",
        "peak MB",
    ]
    rows: list[list[str]] = []
    for one in new.comparisons:
        before = old.find(one.work, one.size)
        was, now = before.entry(OURS) if before else None, one.entry(OURS)
        if before is None or was is None or now is None:
            rows.append([f"{one.work}, {one.size}", "", "not in the old record", *[""] * 5])
            continue
        rows += [
            _change(before, one, was, now, way)
            for way in one.lines
            if way in was.lines and way in now.lines
        ]
    told = (
        f"{old.circumstances['commit']} ({old.circumstances['date']}) →"
        f" {new.circumstances['commit']} ({new.circumstances['date']})"
    )
    alike = all(
        old.circumstances[key] == new.circumstances[key] for key in ("processor", "cores", "kernel")
    )
    warning = (
        ""
        if alike
        else (
            "\n\nThe machines differ: only round trips and the ratios to the best peer can be"
            " compared."
        )
    )
    return f"{told}{warning}\n\n" + "\n".join(_table(head, rows)) + "\n"


def _change(before: Comparison, after: Comparison, was: Entry, now: Entry, way: str) -> list[str]:
    (least, most), (low, high) = was.spread(way), now.spread(way)
    old, new = was.seconds(way) or 0, now.seconds(way) or 0
    clear = "" if low > most or high < least else " (within the spread)"
    return [
        f"{after.work}, {after.size}",
        way,
        _arrow(old, new, ".2f"),
        f"{(new / old - 1) * 100:+.0f} %{clear}",
        _arrow(before.ratio(was, way), after.ratio(now, way), ".2f"),
        _arrow(was.cpu(way), now.cpu(way), ".2f"),
        _arrow(was.round_trips, now.round_trips, ".1f"),
        _arrow(was.peak_mb, now.peak_mb, ".0f"),
    ]


def _arrow(old: float | None, new: float | None, form: str) -> str:
    return "" if old is None or new is None else f"{old:{form}} → {new:{form}}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
