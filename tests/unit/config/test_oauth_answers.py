"""Whatever an authorization server says, it is tokens, a refusal in words, or a broken protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.config.oauth.answers import NoTokens, hint_of, refusal, tokens_of
from mailsync.config.oauth.endpoint import Answer
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import AuthenticationFailed, ProtocolViolation, ServerBusy
from mailsync.formats.redaction import Redactor

URL = "https://a.example/t"


def read(told: dict[str, object], refresh_token: str = "") -> TokenSet:
    answer = Answer(200, told)
    return tokens_of("work", URL, answer, Redactor(), now=1_000, refresh_token=refresh_token)


def test_a_refresh_token_stays_where_no_newer_one_is_given() -> None:
    told: dict[str, object] = {"access_token": "a", "token_type": "bearer", "expires_in": "3600"}
    assert read(told, "kept") == TokenSet("a", "kept", 1_000, 4_600)
    assert read({**told, "refresh_token": "newer"}, "kept").refresh_token == "newer"


@pytest.mark.parametrize("lifetime", [None, "soon", [], 1e400, "NaN", {}, "9" * 5000])
def test_a_lifetime_that_is_none_is_not_told(lifetime: object) -> None:
    assert read({"access_token": "a", "expires_in": lifetime}).ends is None


@pytest.mark.parametrize(("lifetime", "ends"), [(-5, 1_000), (0, 1_000), (10**30, 316_225_000)])
def test_a_lifetime_that_cannot_be_true_is_bounded(lifetime: int, ends: int) -> None:
    assert read({"access_token": "a", "expires_in": lifetime}).ends == ends


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_keys = st.sampled_from(
    ["access_token", "refresh_token", "token_type", "expires_in", "expires_at", "scope", "error"]
)


@given(st.dictionaries(_keys, _json))
def test_no_answer_is_taken_for_more_than_it_is(told: dict[str, object]) -> None:
    try:
        tokens = read(told)
    except (NoTokens, ProtocolViolation):
        return
    assert tokens.access_token == told["access_token"]
    json.dumps([tokens.access_token, tokens.refresh_token, tokens.ends])


@pytest.mark.parametrize("token", ["", "two words", "a\r\nb", "ü", "x" * 40_000, 5, None, ["a"]])
def test_what_no_server_could_take_is_no_token(token: object) -> None:
    with pytest.raises(ProtocolViolation):
        read({"access_token": token, "token_type": "Bearer"})
    with pytest.raises(ProtocolViolation):
        read({"access_token": "a", "token_type": "mac"})


@pytest.mark.parametrize(
    ("error", "description", "kind", "said"),
    [
        ("invalid_grant", "revoked", AuthenticationFailed, "has ended (a.example says: invalid"),
        ("temporarily_unavailable", "", ServerBusy, "now"),
        ("invalid_client", "", AuthenticationFailed, "check `client_id` and `client_secret`"),
        (
            "invalid_grant",
            "AADSTS700016: x",
            AuthenticationFailed,
            "check `client_id` and `tenant`",
        ),
        ("x\x1b[31m" * 500, "\u202e", AuthenticationFailed, "…"),
    ],
)
def test_a_refusal_says_what_to_do(
    error: str, description: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(NoTokens) as caught:
        read({"error": error, "error_description": description})
    told = refusal("work", URL, caught.value, "do this")
    assert isinstance(told, kind)
    assert said in str(told)
    assert "\x1b" not in str(told)
    assert "\u202e" not in str(told)


def test_words_that_nobody_knows_have_no_hint() -> None:
    assert hint_of("something else") == ""
