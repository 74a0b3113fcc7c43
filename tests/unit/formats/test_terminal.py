from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from mailsync.formats.terminal import padded, plain, short


@given(st.text())
def test_no_foreign_text_can_steer_a_terminal_or_break_the_output(text: str) -> None:
    shown = plain(text)
    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs"}]
    shown.encode()


def test_a_text_cannot_turn_the_direction_of_what_follows() -> None:
    assert plain("invoice\u202efdp.exe") == "invoice�fdp.exe"


@pytest.mark.parametrize(
    "foreign",
    [
        "\x1b",  # an escape, which begins an ANSI sequence
        "\x9b",  # the same in one character (C1)
        "\x07\x00",
        "\x7f",
        "\r\n\t",
        "\u2028\u2029",
        "\u061c\u200e\u202e\u2066",  # direction
        "\u200b\u2060\ufeff",  # no width
        "\ud800",  # a lone surrogate
        "\ufffe",
    ],
)
def test_each_run_of_what_is_unsafe_becomes_one_sign(foreign: str) -> None:
    assert plain(f"a{foreign}b") == "a�b"
    assert plain(f"a{foreign}b", "?") == "a?b"


def test_ordinary_text_of_any_language_stays() -> None:
    assert plain("Grüße, こんにちは, مرحبا 👋") == "Grüße, こんにちは, مرحبا 👋"


@given(st.text(), st.integers(1, 80))
def test_a_shortened_text_is_one_line_that_fits(text: str, width: int) -> None:
    assert len(short(text, width)) <= width
    assert "\n" not in short(text, width)


@pytest.mark.parametrize("text", ["Bob", "手紙", "e\u0301a", "🙂 x"])
def test_columns_stay_straight_with_wide_and_combining_characters(text: str) -> None:
    assert wcswidth(padded(text, 20)) == 20
