from __future__ import annotations

import pytest

from mailsync.archive.catalogue import Sent
from mailsync.archive.same_destination import agree
from mailsync.model import INBOX, Mailbox, MailboxPath, SyncState

WORK: MailboxPath = ("Work",)
THEN = 1_700_000_000
SENT = [Sent(INBOX, THEN, 20), Sent(WORK, THEN + 9, 3)]


def listed(*states: tuple[MailboxPath, int, int]) -> list[Mailbox]:
    return [
        Mailbox(path, state=SyncState(validity, uidnext, 0)) for path, validity, uidnext in states
    ]


@pytest.mark.parametrize(
    ("states", "same"),
    [
        ([(INBOX, THEN, 21), (WORK, THEN + 9, 4)], True),
        ([(INBOX, THEN, 21)], True),
        ([(INBOX, THEN, 21), (("Other",), 5, 1)], True),
        ([(INBOX, THEN, 20), (WORK, THEN + 9, 4)], False),
        ([(INBOX, THEN, 21), (WORK, THEN + 8, 4)], False),
        ([(("Other",), THEN, 21)], False),
        ([], False),
    ],
)
def test_a_server_is_the_same_where_all_its_mailboxes_agree(
    states: list[tuple[MailboxPath, int, int]], same: bool
) -> None:
    assert agree(SENT, listed(*states)) is same


def test_numbers_that_every_server_counts_from_one_tell_nothing() -> None:
    assert not agree([Sent(INBOX, 1, 20)], listed((INBOX, 1, 21)))


def test_a_mailbox_that_was_made_anew_once_is_known_by_its_newest_number() -> None:
    sent = [Sent(INBOX, THEN, 900), Sent(INBOX, THEN + 50, 20)]
    assert agree(sent, listed((INBOX, THEN + 50, 21)))
