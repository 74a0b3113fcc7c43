"""What the size in LIST says of what came."""

from __future__ import annotations

import pytest

from mailsync.formats.boundary import is_closed
from mailsync.stores.pop3.size import Fit, fit, is_most

CONTENT = b"Subject: a\r\n\r\none\r\n.two\r\nthree\r\n"
SIZE = len(CONTENT)


@pytest.mark.parametrize(
    ("announced", "found"),
    [
        (SIZE, Fit.EXACT),
        (SIZE - 2, Fit.EXACT),  # a last line end was added
        (SIZE + 1, Fit.NEAR),  # the doubled dot was counted
        (SIZE - 5, Fit.NEAR),  # line ends were counted as LF
        (None, Fit.NEAR),
        (SIZE + 4, Fit.SHORT),
        (SIZE * 20, Fit.SHORT),
        (1, Fit.LONG),
    ],
)
def test_a_size_fits_as_servers_count(announced: int | None, found: Fit) -> None:
    assert fit(announced, CONTENT) is found


@pytest.mark.parametrize(
    ("content", "closed"),
    [
        (
            b'Content-Type: multipart/mixed; boundary="a b"\r\n\r\n--a b\r\n\r\nx\r\n--a b--\r\n',
            True,
        ),
        (b"Content-Type: multipart/mixed;\r\n boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--", True),
        (b"Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n", False),
        (CONTENT, False),
    ],
)
def test_a_multipart_shows_its_own_end(content: bytes, *, closed: bool) -> None:
    assert bool(is_closed(content)) is closed


def test_three_quarters_are_most_of_a_message() -> None:
    assert is_most(100, b"x" * 75)
    assert not is_most(100, b"x" * 74)
    assert is_most(None, b"")
