from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from mailsync.formats.quantities import messages, moment, octets, span
from mailsync.formats.terminal import padded, plain, short


@given(st.text())
def test_no_foreign_text_can_steer_a_terminal_or_break_the_output(text: str) -> None:
    shown = plain(text)
    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs"}]
    shown.encode()


def test_a_text_cannot_turn_the_direction_of_what_follows() -> None:
    assert plain("invoice\u202efdp.exe") == "invoice�fdp.exe"


def test_ordinary_text_of_any_language_stays() -> None:
    assert plain("Grüße, こんにちは, مرحبا 👋") == "Grüße, こんにちは, مرحبا 👋"


@given(st.text(), st.integers(1, 80))
def test_a_shortened_text_is_one_line_that_fits(text: str, width: int) -> None:
    assert len(short(text, width)) <= width
    assert "\n" not in short(text, width)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (63_100_000, "63.1 MB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_500_000_000_000, "2.5 TB"),
        (4_000_000_000_000_000, "4,000.0 TB"),
    ],
)
def test_a_size_has_the_digits_that_matter(count: int, words: str) -> None:
    assert octets(count) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 messages"), (1, "1 message"), (2000, "2,000 messages")]
)
def test_messages_are_counted(count: int, words: str) -> None:
    assert messages(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (600, "10 min"), (93_600, "26 h"), (864_000, "10 days")]
)
def test_a_length_of_time_is_rough(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize("epoch", [10**18, -(10**18)])
def test_an_impossible_time_is_no_reason_to_fail(epoch: int) -> None:
    assert moment(epoch) == "?"


@pytest.mark.parametrize("text", ["Bob", "手紙", "e\u0301a", "🙂 x"])
def test_columns_stay_straight_with_wide_and_combining_characters(text: str) -> None:
    assert wcswidth(padded(text, 20)) == 20
