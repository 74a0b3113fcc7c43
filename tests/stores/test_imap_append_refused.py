"""A server that says no to what it stores, or sends other bodies than it lists, gets nothing twice:
in no other form, and not because it was to come later.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mailsync.engine.report import Report
from mailsync.model import INBOX
from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Exchange, Lie, Mail, Says
from tests.servers.lies import named
from tests.stores.imap_destination_servers import destination
from tests.unit.engine.rig import Rig

ODD = plain(5) + b"a NUL: \0\r\n"
MESSAGES = [*map(plain, range(4)), ODD, plain(6)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "archive")
    for content in MESSAGES:
        rig.old.deliver(INBOX, content, "work")
    rig.pull()
    return rig


def pushed(rig: Rig, mail: Mail, lie: Lie) -> Report:
    with (
        liar.imap(mail, lie) as server,
        closing(destination(server.port, liar.USER, liar.PASSWORD)) as to,
    ):
        return rig.push(store=to)


@pytest.mark.parametrize("words", [b"no reason", b"[THROTTLED] later", b"[INUSE] later"])
def test_what_was_refused_and_stored_is_found_there_and_not_said_again(
    rig: Rig, words: bytes
) -> None:
    def refused(asked: Exchange, said: list[bytes]) -> list[bytes]:
        return [asked.tag + b" NO " + words + b"\r\n"] if asked.name == "APPEND" else said

    mail = Mail()
    report = pushed(rig, mail, Lie("refused and done", "NO", "imap", answer=refused))

    assert sorted(content for _, content in mail.contents().elements()) == sorted(MESSAGES)
    assert (report.total.new, report.exit_code) == (len(MESSAGES), 0)


def test_a_group_of_which_the_server_kept_the_beginning_is_not_sent_again(rig: Rig) -> None:
    """MULTIAPPEND is all or nothing (RFC 3502), as servers say."""

    def one_by_one(asked: Exchange) -> Says | None:
        if asked.name != "APPEND":
            return None
        box = asked.mail.box(b"INBOX")
        first = box.uidnext
        for content in asked.literals:
            if b"\0" in content:
                return [asked.tag + b" NO message contains NUL\r\n"]
            asked.mail.put(b"INBOX", content)
        told = (box.validity, first, box.uidnext - 1)
        return [asked.tag + b" OK [APPENDUID %d %d:%d] done\r\n" % told]

    mail = Mail()
    lie = Lie("not at once", "NO", "imap", instead=one_by_one, also=("MULTIAPPEND",))
    report = pushed(rig, mail, lie)

    there = [content for _, content in mail.contents().elements()]
    assert len(there) == len(MESSAGES)
    assert set(MESSAGES) - {ODD} < set(there)
    assert report.total.repaired == 1


@pytest.mark.parametrize(
    "name",
    [
        "each body comes under its neighbour's UID",
        "a body is empty",
        "a body is cut to its half, and so is its literal",
        "a body is NIL",
    ],
)
def test_what_a_server_lists_and_does_not_send_so_is_not_sent_again(rig: Rig, name: str) -> None:
    """The repertoire tells these lies where mail is read from."""
    mail = Mail()
    for content in MESSAGES:
        mail.put(b"INBOX", content)

    report = pushed(rig, mail, named(name))

    assert (report.total.new, report.exit_code) == (0, 3)
    assert sum(mail.contents().values()) == len(MESSAGES)
