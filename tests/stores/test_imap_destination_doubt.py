"""What a destination lists of a mailbox is all that is in it, or the mailbox is named as one that
cannot be known; and no mailbox is open while messages are added.
"""

from __future__ import annotations

import pytest

from mailsync.errors import MailboxError, StoreError
from mailsync.model import INBOX, Appended, Mailbox, UidRef
from tests import messages
from tests.servers import liar
from tests.servers.liar import Lie, Mail
from tests.servers.lies import IMAP_LIES
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.destination_contract import parcel
from tests.stores.imap_destination_servers import Receiver, destination

COUNT = 7
BARE = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ NAMESPACE"


def lie_named(name: str) -> Lie:
    return next(lie for lie in IMAP_LIES if lie.name == name)


def listed(server: liar.Liar, first_uid: int = 1) -> list[int]:
    to = destination(server.port, liar.USER, liar.PASSWORD, retries=1)
    try:
        refs = [present.entry.ref for present in to.presence(INBOX, first_uid)]
        return [ref.uid for ref in refs if isinstance(ref, UidRef)]
    finally:
        to.close()


def filled() -> Mail:
    mail = Mail()
    for number in range(COUNT):
        mail.put(b"INBOX", messages.plain(number))
    return mail


ENDLESS = ("an answer to LIST never ends", "untagged OKs never end")
LISTING = [
    lie
    for lie in IMAP_LIES
    if lie.side != "source" and not lie.before and not lie.keep and lie.name not in ENDLESS
]


@pytest.mark.parametrize("lie", LISTING, ids=[lie.name for lie in LISTING])
@pytest.mark.parametrize("first_uid", [1, 4])
def test_no_lie_makes_a_message_look_absent(lie: Lie, first_uid: int) -> None:
    with liar.imap(filled()) as server:
        server.set(lie)
        try:
            found = listed(server, first_uid)
        except StoreError:
            return  # named, and nothing is sent
    assert set(found) >= set(range(first_uid, COUNT + 1))


@pytest.mark.parametrize("name", ["EXISTS is one too few", "EXISTS is missing"])
def test_a_wrong_count_is_looked_through(name: str) -> None:
    with liar.imap(filled()) as server:
        server.set(lie_named(name))
        assert listed(server) == list(range(1, COUNT + 1))


def test_a_header_without_a_uid_makes_its_mailbox_one_that_is_named() -> None:
    with liar.imap(filled()) as server:
        server.set(lie_named("a FETCH line has no UID"))
        with pytest.raises(MailboxError, match="does not show 7 messages that it lists in mailbox"):
            listed(server)


@pytest.mark.parametrize(("more", "leaves"), [(" UNSELECT", "UNSELECT"), ("", "CLOSE")])
def test_a_mailbox_open_for_reading_is_left_ahead_of_an_append_without_a_wait(
    more: str, leaves: str
) -> None:
    said: list[str] = []
    left: list[str] = []

    def examine(talk: Conversation, command: Command) -> bool:
        said.append("EXAMINE")
        talk.line("* 1 EXISTS", "* OK [UIDVALIDITY 7] v", "* OK [UIDNEXT 2] n")
        talk.line(f"{command.tag} OK [READ-ONLY] open")
        return True

    def fetch(talk: Conversation, command: Command) -> bool:
        talk.send(b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n")
        talk.line(f"{command.tag} OK done")
        return True

    def leave(_: Conversation, command: Command) -> bool:
        left.append(command.tag)  # answered only once the APPEND is here too
        said.append(command.name)
        return True

    def append(talk: Conversation, _: Command) -> bool:
        said.append("APPEND")
        talk.line(f"{left.pop()} OK left")
        return False

    on = {"EXAMINE": examine, "UID FETCH": fetch, "APPEND": append, "UNSELECT": leave}
    receiver = Receiver(capability=BARE + more, on={**on, "CLOSE": leave})
    with Scripted(receiver) as server:
        to = destination(server.port)
        assert list(to.bodies(INBOX, [1])) == [(1, b"abc")]
        (answer,) = to.append([parcel(messages.plain(1))])
        to.close()
    assert isinstance(answer, Appended)
    assert said == ["EXAMINE", leaves, "APPEND"]


def test_a_mailbox_open_for_writing_is_never_closed_for_that_expunges() -> None:
    receiver = Receiver(capability=BARE)
    said: list[str] = []

    def remember(_: Conversation, command: Command) -> bool:
        said.append(command.name)
        return False

    receiver.on = dict.fromkeys(("SELECT", "CLOSE", "UNSELECT", "APPEND"), remember)
    with Scripted(receiver) as server:
        to = destination(server.port)
        assert to.create([Mailbox(INBOX)]) == {INBOX: None}
        (answer,) = to.append([parcel(messages.plain(1))])
        to.close()
    assert isinstance(answer, Appended)
    assert said == ["SELECT", "APPEND"]
