from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailsync.config.document import Document, parse
from mailsync.errors import ConfigError


def read(text: str) -> Document:
    document, problems = parse(text.encode(), "mailsync.yaml")
    assert problems == []
    return document


def refusal(raw: bytes | str) -> str:
    raw = raw.encode() if isinstance(raw, str) else raw
    try:
        _, problems = parse(raw, "mailsync.yaml")
    except ConfigError as error:
        problems = list(error.problems)
    assert problems
    return "\n".join(map(str, problems))


@pytest.mark.parametrize(
    "written",
    ["012345", "1e3", "0x1F", "off", "No", "12:30:45", "2024-01-01", "1_000", "3.10", ".inf", "="],
)
def test_a_plain_value_stays_exactly_what_was_written(written: str) -> None:
    assert read(f"password: {written}").value == {"password": written}


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL", "# nothing"])
def test_an_empty_value_is_none(written: str) -> None:
    assert read(f"key: {written}").value == {"key": None}


def test_the_quoted_word_null_is_text() -> None:
    assert read('key: "null"').value == {"key": "null"}


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    document = read("# a comment\r\na:\r\n  b: 1\r\n  c:\r\n    - x\r\n    - y\r\n")
    assert document.where(("a", "b")) == "mailsync.yaml:3"
    assert document.where(("a", "c", 1)) == "mailsync.yaml:6"


def test_a_missing_value_is_reported_where_it_should_have_been() -> None:
    assert read("x: 1\na:\n  b: 1\n").where(("a", "nothing", "there")) == "mailsync.yaml:2"


def test_a_file_without_a_mark_has_no_line_for_the_whole() -> None:
    assert read("").where(("a",)) == "mailsync.yaml"


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa: 1", "f")[0].value == {"a": "1"}


def test_every_duplicate_key_is_named_with_both_lines() -> None:
    said = refusal("a: 1\nb: 2\na: 3\nb: 4\n")
    assert "mailsync.yaml:3: `a` is given twice (first on line 1)" in said
    assert "mailsync.yaml:4: `b` is given twice (first on line 2)" in said


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1", 2, "indent with spaces"),
        ("a: 1\nmailboxes: [*, x]", 2, '"*" must stand in quotes'),
        ("a: *nothing", 1, '"*" must stand in quotes'),
        ("mailboxes: [a, !Spam]", 1, "begins with ! does not stand in quotes"),
        ("mailboxes:\n  - !Spam", 2, '"!" must stand in quotes'),
        ('a: "open\nb: 1\n', 3, "not closed"),
        ("a: [1, 2\nb: 3\n", 2, "comma is missing"),
        ("a: b: c", 1, "put the value in quotes"),
        ("a: @x", 1, "quotes"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a:\n   b: 1\n  c: 2\n", 3, "indentation"),
        ("a: 1\njust words\nb: 2", 3, "colon is missing"),
        ("? [a, b]\n: 1", 1, "plain text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", 3, "<<"),
        ("a: &x [*x]", 1, "back to itself"),
    ],
)
def test_broken_yaml_is_refused_with_its_line_and_a_remedy(
    text: str, line: int, words: str
) -> None:
    said = refusal(text)
    assert f"mailsync.yaml:{line}:" in said
    assert words in said


def test_text_that_is_not_utf_8_is_refused_with_its_line() -> None:
    assert (
        refusal("a: 1\nb: Jürgen".encode("latin-1"))
        == "mailsync.yaml:2: is not UTF-8 text; save the file with the encoding UTF-8"
    )


def test_a_control_character_is_refused_with_its_line() -> None:
    assert refusal("a: 1\nb: x\x07y").startswith("mailsync.yaml:2: a control character")


def test_nesting_without_end_is_refused() -> None:
    assert "nested too deeply" in refusal("[" * 100_000)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "far too many" in refusal("\n".join(lines))


def test_a_value_may_be_used_twice_by_an_alias() -> None:
    assert read("a: &p {env: X}\nb: *p").value == {"a": {"env": "X"}, "b": {"env": "X"}}


@given(st.binary(max_size=300))
@example(b"\xff")
def test_any_bytes_are_read_or_refused_with_the_files_name(raw: bytes) -> None:
    refused: ConfigError | None = None
    try:
        parse(raw, "f.yaml")
    except ConfigError as error:
        refused = error
    assert refused is None or all(
        problem.where.startswith("f.yaml") and problem.what for problem in refused.problems
    )


@given(
    st.sampled_from(
        [
            "{}",
            "*{}",
            "&{} &{}",
            "!{}",
            "!a!{} x",
            "%{}",
            "@{}",
            "[{}",
            '"{}',
            "{}: {}: {}",
            "a\n{}",
            "<<: {}",
            "{{{}: 1, {}: 2}}",
        ]
    )
)
def test_no_message_repeats_what_stands_in_the_file_since_it_may_be_a_password(form: str) -> None:
    text = (
        "account:\n  password:"
        f" {form.replace('{}', 'hunter2').replace('{{', '{').replace('}}', '}')}\n"
    )
    try:
        _, problems = parse(text.encode(), "f")
    except ConfigError as error:
        problems = list(error.problems)
    assert "hunter2" not in "\n".join(map(str, problems))
