from __future__ import annotations

import pytest

from mailsync.formats.quantities import messages, moment, octets, span


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
