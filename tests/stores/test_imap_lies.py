"""What a pull over IMAP makes of a server that lies: the mail comes, or the report names what is
wrong and nothing is concluded from it.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from mailsync.engine.report import Report
from mailsync.model import INBOX
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource
from tests import messages
from tests.servers import liar
from tests.servers.liar import Exchange, Lie, Mail
from tests.servers.lies import IMAP_LIES, QUOTES, TWO_WORDS
from tests.servers.scripted import Scripted
from tests.stores.imap_scripted_server import ArchivedMessage, Server
from tests.stores.imap_source_servers import endpoint
from tests.unit.engine.rig import Rig

WORK = ("Work",)
LIES = {lie.name: lie for lie in IMAP_LIES}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive")


def filled(*names: bytes) -> Mail:
    mail = Mail()
    for number, name in enumerate((b"INBOX", b"Work", *names)):
        for each in range(3):
            mail.put(name, messages.plain(10 * number + each))
    return mail


def pull(rig: Rig, mail: Mail, *lies: Lie, waits: list[float] | None = None) -> Report:
    with liar.imap(mail, *lies) as server:
        return pull_from(rig, server.port, waits)


def pull_from(rig: Rig, port: int, waits: list[float] | None = None) -> Report:
    slept: list[float] = [] if waits is None else waits
    credentials = Credentials.fixed(liar.USER, liar.PASSWORD)
    source = ImapSource("old", endpoint(port), credentials, sleep=slept.append, jitter=lambda: 0.5)
    with closing(source):
        return rig.pull(source=source)


def troubles(report: Report) -> list[tuple[str, str]]:
    return [(note.mailbox, note.text) for note in report.notes]


def saying(name: str, told: bytes, instead: bytes) -> Lie:
    """Tell a lie in the answers to one command: `instead` of every untagged response that
    begins like the pattern `told`."""

    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        if asked.name != name:
            return said
        return [instead if re.match(rb"\* " + told, one) else one for one in said]

    return Lie("what a test says", "as it says", "imap", "source", answer=answer)


# The list of mailboxes


@pytest.mark.parametrize(
    "lie", [lie for lie in IMAP_LIES if "in a LIST line" in lie.name], ids=lambda lie: lie.name
)
def test_mailboxes_listed_in_ways_that_other_programs_read_come_whole(rig: Rig, lie: Lie) -> None:
    mail = filled(TWO_WORDS, QUOTES)
    report = pull(rig, mail, lie)
    assert (report.total.new, report.exit_code, report.notes) == (12, 0, [])
    assert pull(rig, mail).total.new == 0


def test_a_mailbox_whose_line_cannot_be_read_is_named_and_no_mailbox_is_concluded_gone(
    rig: Rig,
) -> None:
    mail = filled()
    assert pull(rig, mail).exit_code == 0
    report = pull(rig, mail, saying("LIST", rb'LIST .*"Work"', b'* LIST () "/" "Work\r\n'))
    assert report.exit_code == 3
    assert ['"Work' in text for _, text in troubles(report)] == [True]
    assert not any(message.gone for message in rig.messages(WORK))
    assert pull(rig, mail).exit_code == 0


def test_a_mailbox_of_60000_levels_is_named_and_the_others_come(rig: Rig) -> None:
    report = pull(rig, filled(), LIES["LIST names a mailbox 60,000 levels deep"])
    assert (report.total.new, report.exit_code) == (6, 3)


@pytest.mark.parametrize(("others", "mailboxes"), [(2, 2), (3, 1)], ids=["other", "same"])
def test_inbox_in_two_spellings_is_two_mailboxes_unless_the_state_is_one(
    rig: Rig, others: int, mailboxes: int
) -> None:
    def box(count: int, first: int) -> list[ArchivedMessage]:
        return [ArchivedMessage(n + 1, messages.plain(first + n)) for n in range(count)]

    server = Server(boxes={"Inbox": box(others, 50), "INBOX": box(3, 10)})
    with Scripted(server) as scripted:
        report = pull_from(rig, scripted.port)
    assert (report.total.new, report.exit_code) == (3 + others * (mailboxes - 1), 0)
    assert rig.archived(INBOX) == [messages.plain(10 + n) for n in range(3)]
