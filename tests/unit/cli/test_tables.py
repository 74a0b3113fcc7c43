from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mailsync.cli.tables import table
from mailsync.formats.terminal import plain

HEADINGS = ["mailbox", "to", "at the source", "in the archive", "there already", "failed", "size"]
ROWS = [
    ["INBOX", "INBOX", "2,000", "1,990", "10", "-", "63.1 MB"],
    ["Work/Projects/2024/Invoices and receipts", "Arbeit", "2,000", "1", "-", "3", "63.1 MB"],
    ["日本語のメールボックス", "x", "1", "-", "-", "-", "-"],
]
DROP = ("at the source", "to", "there already")


def shown(width: int, rows: list[list[str]] = ROWS) -> list[str]:
    return table(rows, HEADINGS, "llrrrrr", drop=DROP, width=width).splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_is_whole_at_any_width(width: int) -> None:
    assert max(map(cell_len, shown(width))) <= width


def test_a_wide_terminal_shows_everything_in_a_line_each() -> None:
    lines = shown(120)
    assert lines[0].split() == " ".join(HEADINGS).split()
    assert lines[3].split("  ")[0] == "Work/Projects/2024/Invoices and receipts"
    assert len(lines) == 2 + len(ROWS)


def test_where_there_is_less_room_headings_are_broken_before_anything_is_left_out() -> None:
    text = " ".join(shown(80))
    assert all(word in text for word in " ".join(HEADINGS).split())


def test_a_narrow_terminal_keeps_what_matters_and_breaks_names() -> None:
    lines = shown(40)
    words = " ".join(lines).split()
    assert "failed" in words
    assert "3" in words
    assert "source" not in words
    assert [line[:14].strip() for line in lines[4:7]] == [
        "Work/Projects/",
        "2024/Invoices",
        "and receipts",
    ]


def test_a_column_that_says_nothing_goes_first() -> None:
    rows = [["INBOX" * 3, "-", "2,000", "1,990", "10", "-", "63.1 MB"]]
    assert "to" not in shown(60, rows)[1].split()
    assert "source" in " ".join(shown(60, rows))


def test_a_table_is_whole_also_where_nothing_more_may_be_left_out() -> None:
    rows = [["Work/Projects/2024/Invoices", "40,000", "40,000", "40,000"]]
    headings = ["mailbox", "source", "destination", "removed"]
    lines = table(rows, headings, "lrrr", width=40).splitlines()
    assert max(map(cell_len, lines)) <= 40
    assert "".join(line[:10].strip() for line in lines[2:]) == "Work/Projects/2024/Invoices"


def test_colours_take_no_room_and_stay() -> None:
    rows = [["INBOX", "INBOX", "1", "1", "-", click.style("3", fg="red"), "1 B"]]
    lines = shown(80, rows)
    assert "\x1b[31m3\x1b[0m" in lines[-1]
    assert cell_len(click.unstyle(lines[-1])) <= 80


@given(st.lists(st.text().map(plain), min_size=1, max_size=5), st.sampled_from([40, 80]))
def test_no_name_makes_a_line_too_long(names: list[str], width: int) -> None:
    rows = [[name, "7"] for name in names]
    lines = table(rows, ["mailbox", "messages"], "lr", width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert " ".join(lines).split().count("7") >= len(names)


@given(st.text("ab /", min_size=1, max_size=200))
def test_no_part_of_a_name_is_lost(name: str) -> None:
    lines = table([[name, "7"]], ["mailbox", "messages"], "lr", width=40).splitlines()[2:]
    assert "".join("".join(lines).replace("7", "", 1).split()) == "".join(name.split())
