from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats.html_text import read
from tests.growth import LINEAR, growth


@pytest.mark.parametrize(
    ("html", "lines"),
    [
        ("<p>One &amp; <b>two</b></p><p>three", ["One & two", "", "three"]),
        ("One<br>two<br><br>three", ["One", "two", "", "three"]),
        (
            "<table><tr><th>Item<th>Price<tr><td>Bread<td>2&nbsp;EUR</table>",
            ["Item | Price", "Bread | 2 EUR"],
        ),
        ("<table><tr><td><p>Bread</p></td><td><div>2</div></td></tr></table>", ["Bread | 2"]),
        ("<table><tr><td>a<br>b</td><td>c</td></tr></table>", ["a", "b | c"]),
        ("<ul><li>one<li><p>two</p></ul>", ["- one", "- two"]),
        ("<title>x</title><style>p{}</style><script>x()</script>said", ["said"]),
        ("<pre>a\n b</pre>", ["a", "b"]),
        ("<img alt='Logo' src=x>", ["Logo"]),
        ("<!-- <p>hidden -->seen", ["seen"]),
        ("", []),
    ],
)
def test_html_is_read_as_a_page_shows_it(html: str, lines: list[str]) -> None:
    assert read(f"<html><head></head><body>{html}</body>").lines == lines


def test_words_that_lead_elsewhere_than_they_say_are_marked_with_where() -> None:
    found = read(
        "<a href='https://evil.example/?q=1'>https://bank.example</a> <a href='http://www.a.example/'>"
        "a.example</a> <a href='mailto:b@a.example'>b@a.example</a> <a href='#top'>top</a>"
        "<a href='https://evil.example/?q=1'>again</a><a href='https://c.example'><img></a>"
    )
    assert found.links == ["https://evil.example/?q=1"]
    assert found.lines == ["https://bank.example [1] a.example b@a.example topagain [1]"]


def test_links_of_a_second_text_go_on_counting() -> None:
    found = read("<a href=https://a.example>here</a>", first=3)
    assert (found.lines, found.links) == (["here [3]"], ["https://a.example"])


@given(st.text(alphabet="<>/atdrpe =\"'&;#!-[x\n", max_size=200))
def test_any_text_is_read(html: str) -> None:
    found = read(html)
    assert all("\n" not in line for line in found.lines)
    assert not found.lines or (found.lines[0] and found.lines[-1])


@pytest.mark.parametrize("piece", ["<td>", "<p>", "<a href=x>", "</tr>", "<pre>\n", "<ul><li>x"])
def test_rubbish_takes_no_more_time_than_its_size(piece: str) -> None:
    assert growth(lambda size: read(piece * size), 2_000) < LINEAR
