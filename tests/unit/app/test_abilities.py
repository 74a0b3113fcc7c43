from __future__ import annotations

from mailsync.app.abilities import abilities


def test_an_imap_server_that_can_all_is_said_to_be_used_so() -> None:
    words = [
        "CONDSTORE",
        "QRESYNC",
        "LIST-STATUS",
        "SPECIAL-USE",
        "OBJECTID",
        "UIDPLUS",
        "MULTIAPPEND",
        "LITERAL+",
        "NAMESPACE",
    ]
    assert all(ability.offered for ability in abilities("imap", words))


def test_a_bare_imap_server_is_explained_without_a_gap() -> None:
    found = abilities("imap", ["IMAP4REV1"])
    assert not any(ability.offered for ability in found)
    assert all(ability.effect for ability in found)


def test_either_name_of_an_ability_will_do() -> None:
    found = {
        ability.name: ability
        for ability in abilities("imap", ["CONDSTORE", "X-GM-EXT-1", "UIDPLUS=x"])
    }
    assert found["CONDSTORE"].offered
    assert found["X-GM-EXT-1"].offered
    assert found["UIDPLUS"].offered


def test_small_literals_are_told_from_large_ones() -> None:
    effects = [ability.effect for ability in abilities("imap", ["LITERAL-"])]
    assert "small messages are sent without waiting in between" in effects
    assert "messages are sent without waiting in between" not in effects


def test_the_largest_message_a_server_takes_is_told() -> None:
    assert (
        abilities("imap", ["APPENDLIMIT=35651584"])[-1].effect
        == "messages above 35,651,584 bytes cannot be sent to it"
    )


def test_pipelining_switched_off_is_told_as_such() -> None:
    first = abilities("pop3", ["PIPELINING", "UIDL", "SASL PLAIN"], pipelining="off")[0]
    assert first.name == "PIPELINING"
    assert "pipelining: off" in first.effect
