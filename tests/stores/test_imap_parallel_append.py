"""Several connections at once, where each literal must wait for the server's consent: none is
needed more than another.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterable

import pytest

from mailsync.errors import ConnectionLost, OverQuota
from mailsync.model import INBOX, Appended, Parcel, Refused, Unanswered
from mailsync.progress import Silence
from tests import messages
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Command, Conversation, Scripted
from tests.stores.destination_contract import Answer, contents, parcel, stored
from tests.stores.imap_destination_servers import (
    ImapAccount,
    Receiver,
    Taken,
    destination,
    dovecot_keeps,
)

WAITING = "IMAP4rev1 AUTH=PLAIN SASL-IR NAMESPACE UIDPLUS"
RETRIES = 2


class Notes(Silence):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


def plain(count: int) -> list[Parcel]:
    return [parcel(messages.plain(number)) for number in range(count)]


def breaking(receiver: Receiver, *, when: int, logins: int) -> None:
    """Once three are in, let the connection break that brings the message number `when`, and then
    only so many log in.
    """
    broken, three_are_in = threading.Event(), threading.Event()
    before, after = itertools.count(1), itertools.count(1)

    def login(talk: Conversation, command: Command) -> bool:
        if broken.is_set():
            refused = next(after) > logins
        else:
            refused = False
            if next(before) == 3:
                three_are_in.set()
        if refused:
            talk.line(f"{command.tag} NO [LIMIT] too many connections")
        return refused

    def says(_: list[Taken]) -> str:
        if len(receiver.taken) < when or broken.is_set():
            return "OK done"
        assert three_are_in.wait(20)
        broken.set()
        return ""

    receiver.on["AUTHENTICATE"] = login
    receiver.says = says


def kinds(answers: list[Answer]) -> Counter[type]:
    return Counter(type(answer) for answer in answers)


def until_it_stops(answers: Iterable[Answer], into: list[Answer]) -> None:
    """Take answers as an engine does: those that come before an error count."""
    for answer in answers:
        into.append(answer)  # noqa: PERF402  extend() would lose what came before the error


def assert_each_has_one_answer(
    answers: list[Answer], parcels: list[Parcel], receiver: Receiver
) -> None:
    """Every parcel was told of once, and what was told to be there is there once."""
    assert Counter(id(answer.parcel) for answer in answers) == Counter(map(id, parcels))
    assert Counter(one.content for one in receiver.taken) == Counter(
        answer.parcel.content for answer in answers if isinstance(answer, Appended)
    )


@pytest.mark.parametrize("when", [20, 100, 180])
def test_a_connection_that_cannot_come_back_leaves_its_messages_to_the_others(when: int) -> None:
    receiver = Receiver(capability=WAITING)
    breaking(receiver, when=when, logins=0)
    parcels, notes = plain(400), Notes()
    with Scripted(receiver) as server:
        to = destination(server.port, connections=3, retries=RETRIES, progress=notes)
        answers = list(to.append(parcels))
        to.close()
    assert_each_has_one_answer(answers, parcels, receiver)
    assert kinds(answers)[Unanswered] in {1, 2}  # the next one may have been announced
    assert kinds(answers).keys() == {Appended, Unanswered}
    assert any(
        "going on with 2 of 3 connections" in note and "too many connections" in note
        for note in notes.heard
    )


def test_a_connection_that_comes_back_goes_on_as_before() -> None:
    receiver = Receiver(capability=WAITING)
    breaking(receiver, when=50, logins=1)
    parcels = plain(400)
    with Scripted(receiver) as server:
        to = destination(server.port, connections=3)
        answers = list(to.append(parcels))
        to.close()
        assert len(server.conversations) == 4
    assert_each_has_one_answer(answers, parcels, receiver)
    assert kinds(answers)[Unanswered] in {1, 2}  # the next one may have been announced
    assert kinds(answers).keys() == {Appended, Unanswered}


def test_the_last_connection_ends_the_push_after_all_answers_were_told(
    dovecot_plain_uid: Dovecot,
) -> None:
    server = dovecot_plain_uid
    account = ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)
    parcels = plain(400)
    with Cutter(server.imap_port, Cut(9_000, "to_server", None)) as line:
        to = destination(line.port, account.user, connections=3, retries=0)
        answers: list[Answer] = []
        with pytest.raises(ConnectionLost):
            until_it_stops(to.append(parcels), answers)
        to.close()
    told = Counter(answer.parcel.content for answer in answers)
    assert max(told.values()) == 1
    there = contents(account.arrived(INBOX))
    assert max(there.values()) == 1
    certain = {answer.parcel.content for answer in answers if isinstance(answer, Appended)}
    assert certain <= there.keys() <= told.keys()


def test_a_full_server_stops_all_connections_and_each_answer_counts() -> None:
    receiver = Receiver(capability=WAITING)
    receiver.says = lambda _: (
        "OK done" if len(receiver.taken) < 60 else "NO [OVERQUOTA] Quota exceeded"
    )
    answers: list[Answer] = []
    with Scripted(receiver) as server:
        to = destination(server.port, connections=4)
        with pytest.raises(OverQuota):
            until_it_stops(to.append(plain(1_000)), answers)
        to.close()
    assert kinds(answers)[Appended] == len(receiver.taken) == 60
    assert 1 <= kinds(answers)[Refused] <= 8  # on each connection two messages were on their way
    assert len(receiver.commands) <= 68


def test_a_message_is_announced_behind_the_one_before_it_not_behind_its_answer() -> None:
    receiver = Receiver(capability=WAITING)
    held: list[str] = []

    total = iter(range(20))

    def one_behind(talk: Conversation, command: Command) -> bool:
        last = next(total) == 19  # each answer goes out once the next message is here
        held.append(command.tag)
        ready = held[:] if last else held[:-1]
        if ready:
            talk.line(*(f"{tag} OK done" for tag in ready))
        del held[: len(ready)]
        return True

    receiver.on["APPEND"] = one_behind
    with Scripted(receiver) as server:
        to = destination(server.port, connections=1, retries=0)
        assert len(stored(to.append(plain(20)))) == 20
        to.close()
