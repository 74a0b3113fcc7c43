from __future__ import annotations

import io
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.cli.lines import WIDE, complain, say, width_of, wrapped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_broken_between_words_and_goes_on_indented() -> None:
    assert wrapped("! INBOX: the server sent nonsense", 20).splitlines() == [
        "! INBOX: the server",
        "  sent nonsense",
    ]


def test_a_line_that_is_indented_stays_so() -> None:
    assert wrapped("  one two three", 8).splitlines() == ["  one", "    two", "    three"]


def test_a_command_in_backquotes_is_not_broken() -> None:
    lines = wrapped("run `mailsync restore home --to new`, and look again", 24).splitlines()
    assert lines == ["run", "  `mailsync restore home --to new`,", "  and look again"]


def test_an_amount_stays_with_its_unit() -> None:
    lines = wrapped("would send 70 messages, 1.2 MB; done", 26).splitlines()
    assert lines == ["would send 70 messages,", "  1.2 MB; done"]
    assert wrapped("took 5 seconds", 8).splitlines() == ["took 5", "  seconds"]


def test_colours_take_no_room() -> None:
    line = f"{click.style('!', fg='red')} four words in all"
    assert wrapped(line, len("! four words in all")) == line


def test_wide_characters_take_two_columns() -> None:
    assert wrapped("日本語 日本語", 10).splitlines() == ["日本語", "  日本語"]


@given(st.text(), st.integers(1, 100))
def test_no_word_is_lost(text: str, width: int) -> None:
    line = " ".join(text.split())
    assert wrapped(line, width).split() == line.split()


def test_where_there_is_no_terminal_a_line_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    say("word " * 50 + "end")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_on_a_terminal_no_line_is_longer_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    complain("word " * 50 + "end")
    assert max(map(len, click.unstyle(terminal.getvalue()).splitlines())) <= 40


@pytest.mark.parametrize(("said", "width"), [("", WIDE), ("0", WIDE), ("x", WIDE), ("52", 52)])
def test_columns_are_taken_for_eighty_unless_somebody_knows(
    said: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert width_of(io.StringIO()) == width
