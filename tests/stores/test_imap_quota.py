"""How much room a server says there is: read from Dovecot and from any answers at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailsync.model import INBOX, MailboxPath, Room
from mailsync.stores.imap.quota import roots_of, storage_of
from mailsync.stores.imap.response import Answer
from tests import messages
from tests.servers import dovecot as dovecots
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.destination_contract import parcel, stored
from tests.stores.imap_destination_servers import Receiver, destination

QUOTA = (
    "mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\n"
    "plugin {\n  quota = count:User quota\n  quota_rule = *:storage=600K\n  quota_vsizes = yes\n}\n"
)
CAPABLE = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ NAMESPACE UIDPLUS QUOTA QUOTA=RES-STORAGE"


def rooms_told(
    told: dict[str, list[str]], paths: list[MailboxPath], capability: str = CAPABLE
) -> tuple[set[Room], list[bytes]]:
    """Ask a server that tells `told` of each mailbox (NO of any other); returns also what it
    heard."""

    def answer(talk: Conversation, command: Command) -> bool:
        name = command.text.split(b'"')[1].decode()
        lines = told.get(name)
        talk.line(
            *(lines or []),
            f"{command.tag} {'OK done' if lines is not None else 'NO no such mailbox'}",
        )
        return True

    with Scripted(Receiver(capability=capability, on={"GETQUOTAROOT": answer})) as server:
        to = destination(server.port)
        found = set(to.rooms(paths))
        to.close()
        return found, server.heard


def test_dovecot_tells_one_room_for_all_mailboxes_there_or_not_and_it_shrinks() -> None:
    with dovecots.start(extra=QUOTA) as server:
        to = destination(server.imap_port, server.user())
        paths = [INBOX, ("Sent",), ("Not there yet", "日本語")]
        assert to.rooms(paths) == [Room(frozenset(paths), 600 * 1024)]
        stored(to.append(parcel(messages.plain(number) + b"x" * 20_000) for number in range(10)))
        (room,) = to.rooms([INBOX])
        assert 380 * 1024 < room.octets < 410 * 1024
        to.close()


def test_a_server_without_quotas_is_not_asked_and_bounds_nothing(dovecot: Dovecot) -> None:
    to = destination(dovecot.imap_port, dovecot.user())
    assert to.rooms([INBOX]) == []
    to.close()
    found, heard = rooms_told({}, [INBOX], "IMAP4rev1 AUTH=PLAIN SASL-IR NAMESPACE")
    assert found == set()
    assert not any(b"QUOTA" in line for line in heard)


def test_mailboxes_that_share_a_bound_are_named_together_and_some_have_two() -> None:
    told = {
        "INBOX": [
            '* QUOTAROOT INBOX "User quota"',
            '* QUOTA "User quota" (MESSAGE 5 100 STORAGE 400 500)',
        ],
        "Work": [
            '* quotaroot Work "User quota" small',
            "* quota small (storage 90 100)",
            '* QUOTA "User quota" (STORAGE 400 500)',
        ],
    }
    found, _ = rooms_told(told, [INBOX, ("Work",)])
    assert found == {
        Room(frozenset({INBOX, ("Work",)}), 102_400),
        Room(frozenset({("Work",)}), 10_240),
    }


@pytest.mark.parametrize(
    "lines",
    [
        None,
        ["* QUOTAROOT INBOX"],
        ['* QUOTAROOT INBOX ""', '* QUOTA "" ()'],
        ['* QUOTAROOT INBOX ""', '* QUOTA "" (MESSAGE 5 100)'],
        ['* QUOTAROOT INBOX ""', '* QUOTA "" (STORAGE 5 0)'],
        ['* QUOTAROOT INBOX ""', '* QUOTA "other" (STORAGE 5 10)'],
    ],
)
def test_what_is_not_said_is_no_bound(lines: list[str] | None) -> None:
    told = {} if lines is None else {"INBOX": lines}
    assert rooms_told(told, [INBOX])[0] == set()


def test_a_mailbox_over_its_quota_has_no_room() -> None:
    found, _ = rooms_told(
        {"INBOX": ['* QUOTAROOT INBOX ""', '* QUOTA "" (STORAGE 120 100)']}, [INBOX]
    )
    assert found == {Room(frozenset({INBOX}), 0)}


def test_a_root_may_be_named_by_a_literal_or_hold_quotes() -> None:
    assert roots_of(Answer((b"QUOTAROOT {2}", b'a"', b" {3}", b"b c", b' "d\\"e" ""'))) == [
        b"b c",
        b'd"e',
        b"",
    ]
    assert storage_of(Answer((b"QUOTA {3}", b"b c", b" (STORAGE 1 3)"))) == (b"b c", 2048)
    assert storage_of(Answer((b'QUOTA "d\\"e" (STORAGE 1 3)',))) == (b'd"e', 2048)


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    st.sampled_from([b"QUOTA ", b"QUOTAROOT ", b""]),
)
@example([b"(STORAGE 1 2)"], b"QUOTA ")
def test_answers_of_any_octets_are_read_or_left(parts: list[bytes], word: bytes) -> None:
    answer = Answer([word + parts[0], *parts[1:]])
    assert all(isinstance(root, bytes) for root in roots_of(answer))
    told = storage_of(answer)
    assert told is None or told[1] >= 0


def test_many_mailboxes_are_asked_about_in_one_flight() -> None:
    paths = [(f"Box {number}",) for number in range(2_000)]
    lines = {
        path[0]: [f'* QUOTAROOT "{path[0]}" ""', '* QUOTA "" (STORAGE 0 10)'] for path in paths
    }
    found, _ = rooms_told(lines, list(paths))
    assert found == {Room(frozenset(paths), 10_240)}
