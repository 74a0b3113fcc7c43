"""No text tells a secret, in whatever form it was repeated, and nothing else is lost from it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailsync.formats.redaction import Redactor
from mailsync.stores.credentials import Credentials
from mailsync.stores.server_words import shown
from tests.growth import LINEAR, growth
from tests.secret_echoes import FORMS, USER, passwords, repeats

words = st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode))


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.learn(secret)
    return redactor


@given(passwords, st.sampled_from(sorted(FORMS)), words, words)
@example("Qz7#", "in base64", b"x", b"x")
@example("?Qz7#", "as it is", b"", b"")
@example("Qz7#…", "as it is", b"x" * 296, b"")
def test_no_words_of_a_server_tell_a_password_whatever_its_form_and_place(
    password: str, form: str, before: bytes, after: bytes
) -> None:
    credentials = Credentials.fixed(USER, password)
    assert credentials.password() == password
    said = FORMS[form](password)
    assert not repeats(shown(before + said + after, credentials.redactor), password, said)


@given(passwords, st.integers(7000, 40_000))
@example("Qz7#" * 300, 8191)
@example("\\Qz7#\\", 7000)
def test_a_secret_where_a_long_text_is_cut_leaves_nothing_of_itself(
    password: str, before: int
) -> None:
    hidden = knowing(password).hide(b"-" * before + password.encode() * 50)
    assert b"Qz7" not in hidden


@pytest.mark.parametrize("end", ["", "…", "...", '"', "\r\n"])
def test_a_password_that_a_server_cut_is_hidden_too(end: str) -> None:
    assert knowing("correct horse").hide(f"bad: correct ho{end}".encode()).startswith(b"bad: ***")


def test_a_very_short_password_is_hidden_only_where_it_stands_alone() -> None:
    redactor = knowing("x")
    assert redactor.hidden("LOGIN alice x: mailbox in exclusive use") == (
        "LOGIN alice ***: mailbox in exclusive use"
    )
    assert redactor.hidden('LOGIN "alice" "x"') == 'LOGIN "alice" "***"'


def test_text_without_a_secret_stays_as_it_is() -> None:
    said = "[AUTHENTICATIONFAILED] Authentication failed (code 22.1). £ ✓ %41 QUxJQ0U="
    assert knowing("hunter2", "pässword").hidden(said) == said


def test_of_two_passwords_one_of_which_begins_the_other_nothing_is_left() -> None:
    assert knowing("pass", "password").hidden("it was password") == "it was ***"


def test_an_empty_password_hides_nothing() -> None:
    assert knowing("", "  ").hidden("a b  c") == "a b  c"


def test_a_redactor_tells_its_secrets_to_nobody() -> None:
    assert "hunter2" not in repr(knowing("hunter2"))
    credentials = Credentials.fixed(USER, "hunter2")
    credentials.password()
    assert "hunter2" not in repr(credentials)


@pytest.mark.parametrize("unit", ["\\", "?", "a\\", "%41", "A"])
@pytest.mark.parametrize("secret", ["\\" * 40 + "b", "é" * 40 + "b", "a\\" * 20 + "b"])
def test_hiding_takes_time_in_proportion_to_the_secret(secret: str, unit: str) -> None:
    redactor = knowing(secret)
    ratio = growth(lambda size: redactor.hide((unit * size)[:size].encode()), 4_000)
    assert ratio < LINEAR
