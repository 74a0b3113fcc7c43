from __future__ import annotations

from collections import Counter

import pytest

from mailsync.config.providers import (
    SIGN_IN_WORDS,
    named,
    of_domain,
    of_exchanger,
    providers,
    sign_in_hint,
)
from mailsync.config.values import checked_host
from mailsync.formats.servers import PORTS, read_server


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("imap.gmail.com", "an app password, made for this program alone (https://myaccount."),
        ("Outlook.Office365.com", "run `mailsync login`"),
        ("imap.gmx.net", ""),
        ("nowhere.example", ""),
    ],
)
def test_where_a_password_is_refused_it_is_told_what_the_provider_wants(
    host: str, said: str
) -> None:
    hint = sign_in_hint(host)
    assert said in hint
    assert bool(said) == bool(hint)


def test_a_domain_belongs_to_one_provider() -> None:
    counted = Counter(domain for one in providers() for domain in one.domains)
    assert [domain for domain, count in counted.items() if count > 1] == []


def test_names_and_short_names_mean_one_provider() -> None:
    words = Counter(word for one in providers() for word in {one.key, one.short} - {""})
    assert [word for word, count in words.items() if count > 1] == []


def test_every_server_is_encrypted_and_can_be_configured() -> None:
    for one in providers():
        assert one.sign_in in SIGN_IN_WORDS
        for server in one.servers:
            filled = server.filled(f"alice@{one.domains[0]}")
            assert checked_host(filled.host) == filled.host
            assert filled.port == PORTS[filled.protocol, filled.security]
            assert filled.username in {"alice", f"alice@{one.domains[0]}"}
            assert read_server(server.url, server.username) == server


def test_whoever_offers_no_server_says_why() -> None:
    assert [one.key for one in providers() if not one.servers and not one.notes] == []


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("gmail", "googlemail.com"),
        ("alice@GMAIL.com", "googlemail.com"),
        ("me.com", "me.com"),
        ("fastmail", "messagingengine.com"),
        ("fastmail.fm", "messagingengine.com"),
        ("outlook", "hotmail.com"),
        ("mail.com", "mail.com"),
        ("Posteo", "posteo.de"),
    ],
)
def test_a_provider_is_found_by_what_people_call_it(word: str, key: str) -> None:
    assert [one.key for one in named(word)] == [key]


def test_a_word_that_means_several_finds_them_all() -> None:
    assert {"ionos.de", "ionos.com", "ionos.fr"} <= {one.key for one in named("IONOS")}
    assert named("no-such-provider") == []
    assert named("") == []
    assert named("alice@") == []


def test_a_domain_that_only_looks_like_one_is_nobodys() -> None:
    assert of_domain("notgmail.com") is None
    assert of_domain("gmail.com.example.org") is None
    assert of_domain("mail.gmail.com") is None


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("aspmx.l.google.com.", "googlemail.com"),
        ("ALT1.ASPMX.L.GOOGLE.COM", "googlemail.com"),
        ("firm-example.mail.protection.outlook.com", "office365.com"),
        ("outlook-com.olc.protection.outlook.com", "hotmail.com"),
        ("in1-smtp.messagingengine.com", "messagingengine.com"),
        ("mx00.kundenserver.de", "ionos.de"),
        ("mx-aol.mail.gm0.yahoodns.net", "aol.com"),
        ("mta5.am0.yahoodns.net", "yahoo.com"),
        ("mail.protonmail.ch", "proton.me"),
    ],
)
def test_a_mail_exchanger_tells_who_runs_it(host: str, key: str) -> None:
    found = of_exchanger(host)
    assert found is not None
    assert found.key == key


def test_a_mail_exchanger_of_ones_own_is_nobodys() -> None:
    assert of_exchanger("mx.example.org") is None
    assert of_exchanger("notgoogle.com") is None
    assert of_exchanger("") is None
