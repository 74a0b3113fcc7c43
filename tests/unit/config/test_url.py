from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.config.account import port_of
from mailsync.config.url import parse_url
from mailsync.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "protocol", "security", "port"),
    [
        ("pop3s://alice@old.example", "pop3", "tls", 995),
        ("imaps://alice@new.example", "imap", "tls", 993),
        ("pop3://alice@old.example", "pop3", "starttls", 110),
        ("imap://alice@new.example", "imap", "starttls", 143),
        ("imap://alice@localhost:2143", "imap", "none", 2143),
        ("pop3://alice@127.0.0.1:2110/", "pop3", "none", 2110),
        ("IMAPS://alice@new.example:", "imap", "tls", 993),
        ("imaps://alice@[2001:db8::1]:1993", "imap", "tls", 1993),
    ],
)
def test_a_url_tells_protocol_security_and_port(
    url: str, protocol: str, security: str, port: int
) -> None:
    settings = parse_url(url).settings
    assert (settings.protocol, settings.security, port_of(settings)) == (protocol, security, port)


def test_the_last_at_sign_parts_user_and_host() -> None:
    account = parse_url("imaps://alice@example.org@mx.example.net")
    assert (account.settings.username, account.settings.host) == (
        "alice@example.org",
        "mx.example.net",
    )
    assert account.directory == "alice@example.org@mx.example.net"


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
)
def test_any_user_name_survives_percent_encoding_and_gives_one_safe_directory(user: str) -> None:
    account = parse_url(f"imaps://{quote(user, safe='')}@mx.example")
    assert account.settings.username == user
    assert (Path("/top") / account.directory).parent == Path("/top")
    assert not account.directory.startswith((".", "-"))


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_a_refusal_in_words(text: str) -> None:
    refusal: ConfigError | None = None
    try:
        parse_url(text)
    except ConfigError as error:
        refusal = error
    assert refusal is None or len(str(refusal)) > 20


def test_one_user_on_one_host_has_one_archive_but_two_accounts_over_pop3_and_imap() -> None:
    pop3, imap = parse_url("pop3s://alice@mx.example"), parse_url("imaps://alice@mx.example")
    assert pop3.directory == imap.directory
    assert pop3.name != imap.name


def test_another_port_or_encryption_is_still_the_same_account() -> None:
    assert (
        parse_url("imaps://alice@mx.example").name == parse_url("imap://alice@mx.example:1143").name
    )


@pytest.mark.parametrize(
    "url",
    [
        "imaps://alice:hunter2@mx.example",
        "imaps://alice:hunter2",
        "imaps://alice:hunter/2@mx.example",
        "imaps://alice:hunter2@mx.example/x",
        "imap://:hunter2@mx.example",
        "imaps://alice:hunter2@mx.example:99999",
        "ftp://alice:hunter2@mx.example",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("imaps://alice:x@mx.example", "password inside a URL"),
        ("pop://alice@mx.example", "did you mean pop3"),
        ("imaps://mx.example", "names no user"),
        ("imaps://@mx.example", "names no user"),
        ("imaps://alice@", "no possible host"),
        ("imaps://alice@mx.example/INBOX", "--mailbox"),
        ("imaps://al/ice@mx.example", "%2F"),
        ("imaps://alice@mx.example:0", "at least 1"),
        ("imaps://alice@mx.example:x", "no possible host"),
        ("imaps://al%FFice@mx.example", "UTF-8"),
        ("imaps://al%00ice@mx.example", "control characters"),
        ("imaps://alice@two words", "host name"),
    ],
)
def test_an_impossible_url_is_refused_with_a_remedy(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert words in str(caught.value)
