"""A header vouches for a body only where the size fits and the way is the same."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import assume, given
from hypothesis import strategies as st

from mailsync.formats import header
from mailsync.plan import same_way, size_fits, sizes, traits_of

HEAD = b"Received: by a; 1\r\nSubject: x\r\n\r\n"
bodies = st.lists(
    st.sampled_from([b"a", b"word ", b"\r\n", b"\n", b"\r", b"\0", b"\xe4", b".\r\n"])
)
rewritten = st.sampled_from(
    [
        lambda content: content,
        lambda content: content.replace(b"\r\n", b"\n"),
        lambda content: re.sub(rb"\r*\n", b"\r\n", content),
        lambda content: content.replace(b"\r", b"").replace(b"\n", b"\r\n"),
        lambda content: re.sub(rb"\r(?!\n)|(?<!\r)\n", b"\r\n", content),
        lambda content: content.replace(b"\0", b""),
        lambda content: content + b"\r\n",
        lambda content: content.removesuffix(b"\r\n"),
        lambda content: b"Return-Path: <>\r\nX-Added: 1\r\n" + content,
    ]
)


@given(bodies, rewritten)
def test_whatever_a_server_does_to_line_ends_the_size_still_fits(
    parts: list[bytes], change: Callable[[bytes], bytes]
) -> None:
    content = HEAD + b"".join(parts)
    assume(not re.search(rb"\r\r+\n|\r+\Z", content))
    theirs = change(content)
    block = header.block(theirs)
    assume(block.endswith((b"\n\n", b"\n\r\n")))
    assert size_fits(content, len(theirs), traits_of(block))


@given(st.binary(min_size=40), st.integers(0, 20))
def test_a_body_that_was_cut_or_grew_by_more_than_its_line_ends_does_not_fit(
    body: bytes, left: int
) -> None:
    loose = 2 * (body.count(b"\n") + body.count(b"\r")) + body.count(b"\0") + 2
    assume(len(body) - left > loose)
    seen = traits_of(HEAD)
    assert not size_fits(HEAD + body, len(HEAD) + left, seen)
    assert not size_fits(HEAD + body, len(HEAD) + len(body) + loose + 1, seen)


def test_without_a_size_or_a_body_nothing_is_vouched_for() -> None:
    assert not size_fits(HEAD + b"body", None, traits_of(HEAD))
    assert not size_fits(b"Subject: x\r\n", 12, traits_of(b"Subject: x\r\n"))


def test_a_size_counted_with_short_line_ends_fits_a_header_sent_with_long_ones() -> None:
    content = HEAD + b"one\r\ntwo\r\n"
    assert size_fits(content, len(content.replace(b"\r\n", b"\n")), traits_of(HEAD))


def test_the_newest_received_line_of_ours_must_be_among_theirs() -> None:
    ours = traits_of(b"Received: by b; 2\r\nReceived: by a; 1\r\n\r\n")
    assert same_way(ours, traits_of(b"Received: by c\r\nReceived: by\r\n b; 2\r\n\r\n"))
    assert not same_way(ours, traits_of(b"Received: by c; 3\r\nReceived: by a; 1\r\n\r\n"))
    assert same_way(traits_of(b"Subject: x\r\n\r\n"), ours)


@given(st.binary())
def test_a_length_is_always_one_of_the_sizes(octets: bytes) -> None:
    assert len(octets) in sizes(octets)


def test_a_body_longer_by_as_many_octets_as_the_header_has_lines_does_not_fit() -> None:
    head = b"Received: from a by b\r\nFrom: a@example.org\r\nSubject: s\r\n\r\n"
    body = b"one\r\ntwo\r\n" * 40
    seen = traits_of(head)
    assert size_fits(head + body, len(head + body), seen)
    assert size_fits(head + body, len((head + body).replace(b"\r\n", b"\n")), seen)
    assert not size_fits(head + body, len(head + body) + 20, seen)
    assert not size_fits(head + body, len(head + body) - seen.lines, seen)
