from __future__ import annotations

import pytest

from mailsync.app.check import _imap_places
from mailsync.config.account import Pop3Account
from mailsync.config.url import parse_url


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("pop3s://alice@mx.example", [(993, "tls")]),
        ("pop3s://alice@mx.example:1995", [(993, "tls"), (1993, "tls")]),
        ("pop3://alice@mx.example", [(993, "tls"), (143, "starttls")]),
        (
            "pop3://alice@mx.example:2110",
            [(993, "tls"), (2108, "tls"), (143, "starttls"), (2108, "starttls")],
        ),
        ("pop3://alice@localhost", [(993, "tls"), (143, "none")]),
    ],
)
def test_imap_is_looked_for_never_with_less_security_than_the_pop3_account_has(
    url: str, places: list[tuple[int, str]]
) -> None:
    settings = parse_url(url).settings
    assert isinstance(settings, Pop3Account)
    assert list(_imap_places(settings)) == places
