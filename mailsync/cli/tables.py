"""Tables as every command prints them."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], headings: Sequence[str], align: str) -> str:
    """Return rows under their headings; `align` has an l or an r for each column."""
    from tabulate import tabulate  # noqa: PLC0415  a quiet run prints no table

    sides = ["left" if side == "l" else "right" for side in align]
    return tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=sides)
