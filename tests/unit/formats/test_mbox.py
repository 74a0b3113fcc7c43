"""mbox files as other programs write them; the expected answers were written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import mbox
from mailsync.formats.mbox import Dialect, Gap, Quoting, Span

DATED = b"From alice@example.org Thu Nov 25 10:11:12 2021\n"
HEAD = b"From: a@example.org\nSubject: one\n"


def messages_of(written: bytes) -> list[bytes]:
    dialect = Dialect()
    spans = list(mbox.split(reader(written), [(0, len(written))], len(written), dialect))
    return [
        mbox.message(written[span.start : span.end], mbox.quoting_of(span, dialect))[1]
        for span in spans
        if isinstance(span, Span)
    ]


def reader(written: bytes) -> mbox.Read:
    return lambda offset, length: written[offset : offset + length]


def test_a_message_ends_before_the_one_line_end_that_parts_it_from_the_next() -> None:
    written = DATED + HEAD + b"\nbody\n\n" + DATED + HEAD + b"\nbody\n\n\n"
    assert messages_of(written) == [HEAD + b"\nbody\n", HEAD + b"\nbody\n\n"]


def test_a_file_of_crlf_lines_loses_one_crlf() -> None:
    written = (DATED + HEAD + b"\nbody\n\n").replace(b"\n", b"\r\n") * 2
    assert messages_of(written) == [(HEAD + b"\nbody\n").replace(b"\n", b"\r\n")] * 2


def test_no_blank_line_is_needed_between_two_messages() -> None:
    assert messages_of((DATED + HEAD + b"\nbody\n") * 2) == [HEAD + b"\nbody\n"] * 2


def test_a_header_without_a_body_keeps_the_blank_line_that_ends_it() -> None:
    assert messages_of(DATED + HEAD + b"\n" + DATED + HEAD + b"\n\n") == [HEAD + b"\n"] * 2


@pytest.mark.parametrize(
    "line",
    [
        b"From - Mon Jan 01 00:00:00 1965\n",
        b"From \n",
        b"From 1234567890@xxx Sun Jan 04 12:00:00 +0000 2015\n",
        b"From someone with blanks in it Jan 4 2015 12:00\n",
        b"From a@b Thu Nov 25 10:11:12 2021\n>From b@example.org Thu Nov 25 2021 remote\n",
    ],
)
def test_whatever_stands_in_a_from_line_a_header_behind_it_begins_a_message(line: bytes) -> None:
    assert len(messages_of((line + HEAD + b"\nbody\n\n") * 3)) == 3


def test_a_sentence_that_begins_with_from_begins_no_message() -> None:
    body = b"\nHello,\n\nFrom here on it is easy:\nFrom 3 to 4\n\n"
    assert messages_of(DATED + HEAD + body) == [HEAD + body[:-1]]


def test_a_quoted_mail_whose_from_line_bears_no_date_begins_no_message() -> None:
    body = b"\nHe wrote:\n\nFrom John Smith\nTo: Bob\nSubject: lunch\n\nsee you\n"
    assert messages_of((DATED + HEAD + body + b"\n") * 2) == [HEAD + body] * 2


def with_length(body: bytes, more: int = 0) -> bytes:
    return DATED + HEAD + b"Content-Length: %d\n\n" % (len(body) + more) + body


def test_where_every_message_says_how_long_it_is_its_body_may_hold_anything() -> None:
    body = b"look:\n\n" + DATED + HEAD + b"\nforged\n"
    written = b"".join(with_length(body) + b"\n" for _ in range(3))
    assert [one.partition(b"\n\n")[2] for one in messages_of(written)] == [body] * 3


@pytest.mark.parametrize("more", [-3, 3, 10_000_000_000])
def test_a_length_that_does_not_fit_is_not_believed(more: int) -> None:
    written = with_length(b"one\n", more) + b"\n" + DATED + HEAD + b"\ntwo\n\n"
    assert len(messages_of(written)) == 2


def test_a_sender_who_says_that_his_message_is_the_rest_of_the_file_is_not_believed() -> None:
    rest = b"".join(DATED + HEAD + b"\n%d\n\n" % number for number in range(3))
    assert len(messages_of(with_length(b"mine\n", len(rest) + 1) + b"\n" + rest)) == 4
    first = DATED + HEAD + b"\nfirst\n\n"
    assert len(messages_of(first + with_length(b"mine\n", len(rest) + 1) + b"\n" + rest)) == 5


def test_a_header_may_begin_with_a_line_longer_than_what_is_looked_at() -> None:
    long = b"X-Long: " + b"y" * 5000 + b"\n" + HEAD + b"\nbody\n"
    assert messages_of((DATED + long + b"\n") * 3) == [long] * 3


@pytest.mark.parametrize("front", [b"\0" * 512, b"\xef\xbb\xbf", b"  \n", b"half of a line\n"])
def test_what_stands_in_front_of_the_first_message_hides_none(front: bytes) -> None:
    assert messages_of(front + DATED + HEAD + b"\nbody\n\n") == [HEAD + b"\nbody\n"]


def test_a_header_of_one_line_is_enough_behind_a_dated_line_and_a_blank_one() -> None:
    assert len(messages_of(DATED + HEAD + b"\nx\n\n" + DATED + b"Subject: y\n\nz\n")) == 2
    assert len(messages_of(DATED + HEAD + b"\nx\n\n" + DATED + b"\nonly a body\n")) == 2


def test_twice_quoted_lines_mean_that_each_quoting_can_be_undone() -> None:
    body = b"\n>From one\n>>From two\n>>>From three\n"
    assert messages_of(DATED + HEAD + body + b"\n") == [
        HEAD + b"\nFrom one\n>From two\n>>From three\n"
    ]


def test_once_quoted_lines_alone_are_unquoted() -> None:
    assert messages_of(DATED + HEAD + b"\n>From one\n\n") == [HEAD + b"\nFrom one\n"]


def test_where_the_writer_does_not_quote_nothing_is_unquoted() -> None:
    body = b"\nFrom here\n"
    quoted = b"\n>From one\n"
    written = DATED + HEAD + body + b"\n" + DATED + HEAD + quoted + b"\n"
    assert messages_of(written) == [HEAD + body, HEAD + quoted]


def test_a_file_of_two_writers_is_read_as_each_wrote() -> None:
    older, newer = b"\nFrom here\n>From there\n", b"\n>>From one\n"
    written = DATED + HEAD + older + b"\n" + DATED + HEAD + newer + b"\n"
    assert messages_of(written) == [HEAD + older, HEAD + b"\n>From one\n"]


def test_what_stands_in_front_of_the_first_message_is_a_gap() -> None:
    written = b"rubbish\n\n" + DATED + HEAD + b"\nbody\n"
    dialect = Dialect()
    spans = list(mbox.split(reader(written), [(0, len(written))], len(written), dialect))
    assert spans == [Gap(0, 9), Span(9, len(written))]


def test_only_lf_becomes_crlf_and_a_mixture_stays_what_it_is() -> None:
    assert mbox.with_crlf(b"a: b\n\nc\n") == b"a: b\r\n\r\nc\r\n"
    assert mbox.with_crlf(b"a: b\r\n\r\nc\n") == b"a: b\r\n\r\nc\n"


def test_the_date_of_a_from_line_is_read_with_and_without_a_zone() -> None:
    assert mbox.date_of(b"From - Sun Jan 04 12:00:00 2015") == 1420372800
    assert mbox.date_of(b"From 1@xxx Sun Jan 04 12:00:00 +0100 2015") == 1420369200
    assert mbox.date_of(b"From - someday") is None


@pytest.mark.parametrize("chunk", [7, 11, 64])
def test_a_line_that_is_cut_by_the_end_of_a_piece_is_found(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    written = (DATED + HEAD + b"\n>From a\n>>From b\nFromage\n\n") * 5
    whole = spans_of(written)
    monkeypatch.setattr(mbox, "CHUNK", chunk)
    assert spans_of(written) == whole
    assert len(whole[0]) == 5


def spans_of(written: bytes) -> tuple[Sequence[Span | Gap], Quoting]:
    dialect = Dialect()
    spans = list(mbox.split(reader(written), [(0, len(written))], len(written), dialect))
    return spans, dialect.quoting


PIECES = st.lists(
    st.sampled_from(
        [b"From ", b">", b"\n", b"\r\n", DATED, HEAD, b"\n\n", b"\0", b"x", b"\xff", b": "]
    ),
    max_size=40,
).map(b"".join)


@given(PIECES)
def test_every_octet_of_any_file_is_in_a_message_or_named(written: bytes) -> None:
    at = 0
    for span in spans_of(written)[0]:
        assert span.start == at < span.end
        at = span.end
    assert at == len(written)


@given(PIECES, st.sampled_from(list(Quoting)))
def test_any_octets_give_a_message_and_a_date_or_none(raw: bytes, quoting: Quoting) -> None:
    line, body = mbox.message(raw, quoting)
    assert len(line) + len(body) <= len(raw)
    mbox.date_of(line)


LINES = st.lists(
    st.sampled_from([b"From x", b">From y", b">>From ", b"text", b"", b"Subject: z"]), max_size=12
).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(st.lists(LINES, min_size=1, max_size=6))
def test_what_a_reversible_writer_wrote_comes_back(bodies: list[bytes]) -> None:
    written = b"".join(
        DATED + HEAD + b"\n" + b"".join(map(quoted, body.splitlines(keepends=True))) + b"\n"
        for body in bodies
    )
    assert messages_of(written) == [HEAD + b"\n" + body for body in bodies]


def quoted(line: bytes) -> bytes:
    return b">" + line if line.lstrip(b">").startswith(b"From ") else line
