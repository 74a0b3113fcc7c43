"""Mailboxes that a server makes under names of its own, makes only below INBOX, or makes only once
it has time.
"""

from __future__ import annotations

import pytest

from mailsync.errors import Throttled
from mailsync.model import INBOX, Mailbox, MailboxPath
from tests import messages
from tests.servers import liar
from tests.servers.cutter import Cutter
from tests.servers.liar import Mail
from tests.servers.lies import IMAP_LIES
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.imap_destination_servers import Receiver, destination

ACCENTED: MailboxPath = ("Cafe\u0301 ",)


def lying(server: liar.Liar, name: str) -> None:
    server.set(next(lie for lie in IMAP_LIES if lie.name == name))


@pytest.mark.parametrize(
    ("name", "wanted", "there"),
    [
        ("CREATE trims blanks", ACCENTED, ("Cafe\u0301",)),
        ("CREATE composes accents", ACCENTED, ("Caf\u00e9 ",)),
        ("CREATE makes names lower case", ("Work", "Old"), ("work", "old")),
    ],
)
def test_a_mailbox_that_is_made_under_another_name_is_found_under_it(
    name: str, wanted: MailboxPath, there: MailboxPath
) -> None:
    with liar.imap(Mail()) as server:
        lying(server, name)
        for _ in range(2):
            to = destination(server.port, liar.USER, liar.PASSWORD)
            to.mailboxes()
            assert to.create([Mailbox(wanted), Mailbox(INBOX)]) == {wanted: None, INBOX: None}
            assert to.instead() == {wanted: there}
            state = to.opened(there)
            assert state is not None
            assert state.messages == 0
            to.close()
        assert len(server.mail.boxes) == 2


def test_two_names_that_a_server_takes_for_one_get_mailboxes_of_their_own() -> None:
    wanted = [Mailbox(("Work",)), Mailbox(("work",))]
    with liar.imap(Mail()) as server:
        lying(server, "CREATE makes names lower case")
        to = destination(server.port, liar.USER, liar.PASSWORD)
        to.mailboxes()
        assert set(to.create(wanted).values()) == {None}
        places = {to.instead().get(mailbox.path, mailbox.path) for mailbox in wanted}
        to.close()
    assert len(places) == 2


def test_what_a_mailbox_holds_when_it_is_opened_is_known_though_the_list_left_it_out() -> None:
    mail = Mail()
    for number in range(3):
        mail.put(b"INBOX", messages.plain(number))
    with liar.imap(mail) as server:
        lying(server, "LIST leaves out INBOX")
        to = destination(server.port, liar.USER, liar.PASSWORD)
        to.mailboxes()
        assert to.create([Mailbox(INBOX)]) == {INBOX: None}
        opened = to.opened(INBOX)
        to.close()
    assert opened is not None
    assert opened.messages == 3


def test_a_server_that_makes_mailboxes_only_below_inbox_is_understood_without_namespace() -> None:
    made: list[bytes] = []

    def create(talk: Conversation, command: Command) -> bool:
        name = command.text.split(b'"')[1]
        if not name.startswith(b"INBOX."):
            talk.line(f"{command.tag} NO Permission denied")
        else:
            made.append(name)
            talk.line(f"{command.tag} OK made")
        return True

    def select(talk: Conversation, command: Command) -> bool:
        if command.text.split(b'"')[1] in {*made, b"INBOX"}:
            return False
        talk.line(f"{command.tag} NO no such mailbox")
        return True

    def list_(talk: Conversation, command: Command) -> bool:
        if b'"*"' not in command.text:
            talk.line('* LIST (\\Noselect) "." ""')
        else:
            for name in [b"INBOX", *made]:
                talk.line(f'* LIST () "." "{name.decode()}"')
        talk.line(f"{command.tag} OK done")
        return True

    receiver = Receiver(
        capability="IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+",
        on={"CREATE": create, "SELECT": select, "LIST": list_},
    )
    wanted = [Mailbox((f"Box {number}", "Sub")) for number in range(20)]
    with Scripted(receiver) as server, Cutter(server.port) as line:
        to = destination(line.port)
        to.mailboxes()
        assert set(to.create([Mailbox(INBOX), *wanted]).values()) == {None}
        assert to.instead() == {box.path: ("INBOX", *box.path) for box in wanted}
        to.close()
        said = [command.split(b" ")[1] for command in line.dialogues[0].commands]
    assert made == [b"INBOX.Box %d.Sub" % number for number in range(20)]
    assert said.count(b"CREATE") == 1 + 2 * len(wanted)


def test_a_throttled_create_waits_on_the_same_connection_and_what_was_made_stays_made() -> None:
    waits: list[float] = []
    wanted = [Mailbox((f"Box {number}",)) for number in range(5)]
    with liar.imap(Mail()) as server, Cutter(server.port) as line:
        lying(server, "the server throttles the first two CREATE")
        to = destination(line.port, liar.USER, liar.PASSWORD, sleep=waits.append)
        to.mailboxes()
        assert to.create(wanted) == {box.path: None for box in wanted}
        assert to.instead() == {}
        to.close()
        (dialogue,) = line.dialogues
        said = [command.split(b" ")[1] for command in dialogue.commands]
    assert len(waits) == 1
    assert said.count(b"CREATE") == len(wanted) + 2


def test_a_create_that_is_throttled_for_ever_is_no_refused_name() -> None:
    with liar.imap(Mail()) as server:
        lying(server, "the server throttles CREATE for ever")
        to = destination(server.port, liar.USER, liar.PASSWORD)
        to.mailboxes()
        with pytest.raises(Throttled, match="slows us down while making a mailbox"):
            to.create([Mailbox(("Work",))])
        to.close()
