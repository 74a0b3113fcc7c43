"""What every destination must do, whatever it speaks: inherit `DestinationContract` and give it an
`account`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import pytest

from mailsync.errors import MailboxError
from mailsync.formats.header import block
from mailsync.identity import original_of
from mailsync.model import (
    INBOX,
    Appended,
    ArchivedMessage,
    Mailbox,
    MailboxPath,
    Parcel,
    Refused,
    UidRef,
    Unanswered,
)
from mailsync.stores.base import Destination
from tests import messages

SENT: MailboxPath = ("Sent",)
DEEP: MailboxPath = ("Projects", "2024", "Jürgen & Söhne")
JAPANESE: MailboxPath = ("日本語",)
SEEN = frozenset({"\\Seen"})
AT = 1_400_000_000

Answer = Appended | Refused | Unanswered


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as the server delivers it to a client that is not ours, but for what the server
    `added` to it, in octets; `internaldate` in epoch seconds.
    """

    uid: int
    content: bytes
    flags: frozenset[str]
    internaldate: int
    added: int = 0


class Account(Protocol):
    """A server with one fresh, empty account."""

    @property
    def keywords(self) -> bool:
        """Whether its mailboxes take any keyword."""

    @property
    def strict(self) -> bool:
        """Whether it refuses some messages, which then come as repaired copies."""

    def destination(self, *, repair: bool = True) -> Destination:
        """Make a new destination for the account."""

    def shown(self, content: bytes) -> bytes:
        """Take off what the server adds to a message."""

    def kept(self, content: bytes) -> bytes:
        """Return what the server delivers for a message it took."""

    def arrived(self, mailbox: MailboxPath) -> list[Arrived]:
        """Read a mailbox by another client."""

    def subscribed(self) -> set[MailboxPath]:
        """Ask another client which mailboxes are subscribed."""


def parcel(
    content: bytes, mailbox: MailboxPath = INBOX, flags: Iterable[str] = (), internaldate: int = AT
) -> Parcel:
    return Parcel(
        ArchivedMessage(mailbox, b"", content[:64], len(content), frozenset(flags), internaldate),
        mailbox,
        content,
    )


def stored(answers: Iterable[Answer]) -> list[Appended]:
    """Require that every message was taken, verbatim."""
    found = list(answers)
    assert all(isinstance(one, Appended) and not one.repaired for one in found), [
        one for one in found if not isinstance(one, Appended)
    ]
    return [one for one in found if isinstance(one, Appended)]


def contents(arrived: Iterable[Arrived]) -> Counter[bytes]:
    return Counter(one.content for one in arrived)


class DestinationContract:
    """Inherit, and define the fixture `account`.

    `spoilt` names ugly messages that the server says it takes and makes something else of.
    """

    spoilt: frozenset[str] = frozenset()

    @pytest.fixture
    def account(self) -> Account:
        raise NotImplementedError

    @pytest.fixture
    def make(self, account: Account) -> Iterator[Callable[..., Destination]]:
        """A function that makes destinations and closes them at the end."""
        made: list[Destination] = []

        def one(*, repair: bool = True) -> Destination:
            made.append(account.destination(repair=repair))
            return made[-1]

        yield one
        for destination in made:
            destination.close()

    @pytest.fixture
    def destination(self, make: Callable[..., Destination]) -> Destination:
        """A destination with the mailboxes the tests use."""
        made = make()
        made.mailboxes()
        assert set(
            made.create(
                [Mailbox(path, subscribed=True) for path in (INBOX, SENT, DEEP, JAPANESE)]
            ).values()
        ) == {None}
        return made

    def test_ugly_messages_arrive_byte_for_byte(
        self, account: Account, destination: Destination
    ) -> None:
        ugly = [
            content
            for name, content in messages.ugly().items()
            if content and name not in self.spoilt
        ]
        answers = list(destination.append(parcel(content) for content in ugly))
        if not account.strict:
            stored(answers)
        assert len(answers) == len(ugly)
        taken = [answer for answer in answers if isinstance(answer, Appended)]
        assert len(taken) == len(ugly)
        verbatim = [one.parcel.content for one in taken if not one.repaired]
        copies = {sha256(one.parcel.content).digest() for one in taken if one.repaired}
        there = contents(account.arrived(INBOX))
        whole = Counter(content for content in there.elements() if not original_of(content))
        assert whole == Counter(map(account.kept, verbatim))
        assert {original_of(content) for content in there} - {b""} == copies

    def test_varied_messages_arrive_in_several_mailboxes_with_flags_and_dates(
        self, account: Account, destination: Destination
    ) -> None:
        flags = [
            (),
            ("\\Seen",),
            ("\\Seen", "\\Answered"),
            ("\\Flagged", "work"),
            ("\\Draft", "\\Deleted"),
            ("$Forwarded",),
        ]
        places = [INBOX, SENT, DEEP, JAPANESE]
        sent = [
            parcel(content, places[number // 30], flags[number % 6], AT + 86_400 * number)
            for number, content in enumerate(messages.varied(120, 3, with_ugly=False))
        ]
        answers = stored(destination.append(sent))
        assert {id(answer.parcel) for answer in answers} == {id(one) for one in sent}
        for place in places:
            expected = {
                (
                    account.kept(answer.parcel.content),
                    answer.flags,
                    answer.parcel.message.internaldate,
                )
                for answer in answers
                if answer.parcel.mailbox == place
            }
            assert {
                (one.content, one.flags, one.internaldate) for one in account.arrived(place)
            } == expected
        assert any("work" in answer.flags for answer in answers) == account.keywords

    def test_the_uids_told_are_those_of_the_messages(
        self, account: Account, destination: Destination
    ) -> None:
        answers = stored(
            destination.append(parcel(messages.plain(number), SENT) for number in range(50))
        )
        there = {one.uid: one.content for one in account.arrived(SENT)}
        told = {answer.uid: answer.parcel.content for answer in answers if answer.uid is not None}
        assert told in ({}, there)
        if told:
            assert {answer.uidvalidity for answer in answers} == {
                destination.state(SENT).uidvalidity
            }

    def test_an_empty_message_does_not_harm_the_others(
        self, account: Account, destination: Destination
    ) -> None:
        sent = [messages.plain(1), b"", messages.plain(2), b"", messages.plain(3)]
        answers = list(destination.append(map(parcel, sent)))
        assert len(answers) == 5
        good = {
            answer.parcel.content
            for answer in answers
            if isinstance(answer, Appended) and not answer.repaired
        }
        assert good >= {messages.plain(number) for number in (1, 2, 3)}
        assert set(contents(account.arrived(INBOX))) >= {
            messages.plain(number) for number in (1, 2, 3)
        }

    def test_an_empty_message_is_repaired_and_said_so_or_refused_where_repairs_are_off(
        self, make: Callable[..., Destination]
    ) -> None:
        (mended,) = make().append([parcel(b"", flags=SEEN)])
        (refused,) = make(repair=False).append([parcel(b"")])
        assert isinstance(mended, Appended)
        if mended.repaired:
            assert "it was empty" in mended.repaired
            assert mended.flags == SEEN
            assert isinstance(refused, Refused)
            assert refused.why

    def test_messages_for_a_mailbox_that_is_not_there_are_refused_and_the_others_arrive(
        self, account: Account, destination: Destination
    ) -> None:
        places = [INBOX, ("Nowhere",), SENT]
        answers = list(
            destination.append(
                parcel(messages.plain(number), places[number // 10]) for number in range(30)
            )
        )
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        assert [answer.parcel.mailbox for answer in refused] == [("Nowhere",)] * 10
        assert all(answer.why for answer in refused)
        assert (
            len(stored(answer for answer in answers if answer.parcel.mailbox != ("Nowhere",))) == 20
        )
        assert len(account.arrived(INBOX)) == len(account.arrived(SENT)) == 10

    def test_nothing_to_append_is_nothing_done(
        self, account: Account, destination: Destination
    ) -> None:
        assert list(destination.append([])) == []
        assert account.arrived(INBOX) == []

    def test_messages_that_were_there_stay_as_they_are(
        self, account: Account, destination: Destination
    ) -> None:
        stored(
            destination.append(
                parcel(messages.plain(number), flags=["\\Flagged"]) for number in range(5)
            )
        )
        before = account.arrived(INBOX)
        stored(
            destination.append(
                parcel(messages.plain(number), flags=SEEN) for number in range(5, 10)
            )
        )
        list(destination.presence(INBOX))
        list(destination.bodies(INBOX, [before[0].uid]))
        assert account.arrived(INBOX)[:5] == before

    def test_content_is_read_as_it_is_sent_not_ahead(self, destination: Destination) -> None:
        drawn = answered = ahead = 0

        def lazily() -> Iterator[Parcel]:
            nonlocal drawn, ahead
            for number in range(60):
                drawn += 1
                ahead = max(ahead, drawn - answered)
                yield parcel(messages.plain(number) + b"x" * 70 * 10_000)

        for _ in destination.append(lazily()):
            answered += 1
        assert answered == 60
        assert ahead * 700_000 < 24 << 20

    def test_mailboxes_are_made_with_their_parents_and_subscribed(
        self, account: Account, destination: Destination
    ) -> None:
        there = {box.path: box for box in destination.mailboxes()}
        assert set(there) >= {INBOX, SENT, DEEP, JAPANESE}
        assert all(there[path].selectable for path in (INBOX, SENT, DEEP, JAPANESE))
        assert account.subscribed() >= {SENT, DEEP, JAPANESE}

    def test_making_what_is_there_is_success(
        self, make: Callable[..., Destination], destination: Destination
    ) -> None:
        wanted = [Mailbox(path) for path in (INBOX, SENT, DEEP)]
        assert destination.create(wanted) == {box.path: None for box in wanted}
        assert make().create(wanted) == {box.path: None for box in wanted}

    def test_the_state_counts_what_came(self, destination: Destination) -> None:
        before = destination.state(INBOX)
        stored(destination.append(parcel(messages.plain(number)) for number in range(7)))
        after = destination.state(INBOX)
        assert after.uidvalidity == before.uidvalidity > 0
        assert (after.messages, after.uidnext) == (before.messages + 7, before.uidnext + 7)

    def test_a_mailbox_that_is_not_there_is_an_error_of_that_mailbox(
        self, destination: Destination
    ) -> None:
        asked: Sequence[Callable[[], object]] = (
            lambda: destination.state(("Nowhere",)),
            lambda: list(destination.presence(("Nowhere",))),
            lambda: list(destination.bodies(("Nowhere",), [1])),
            lambda: destination.set_flags(("Nowhere",), {1: (SEEN, frozenset())}),
        )
        for ask in asked:
            with pytest.raises(MailboxError) as caught:
                ask()
            assert caught.value.mailbox == ("Nowhere",)
        assert destination.state(INBOX).uidvalidity

    def test_presence_shows_headers_sizes_flags_and_dates(
        self, account: Account, destination: Destination
    ) -> None:
        sent = [messages.plain(number) for number in range(20)]
        stored(
            destination.append(
                parcel(content, DEEP, SEEN, AT + number) for number, content in enumerate(sent)
            )
        )
        there = {one.uid: one for one in account.arrived(DEEP)}
        found = list(destination.presence(DEEP))
        assert len(found) == 20
        for present in found:
            assert isinstance(present.entry.ref, UidRef)
            message = there[present.entry.ref.uid]
            assert account.shown(present.header) == block(message.content)
            assert (present.entry.size, present.entry.flags, present.entry.internaldate) == (
                len(message.content) + message.added,
                SEEN,
                message.internaldate,
            )

    def test_presence_of_the_new_begins_at_a_uid(self, destination: Destination) -> None:
        stored(destination.append(parcel(messages.plain(number)) for number in range(10)))
        first = destination.state(INBOX).uidnext
        assert list(destination.presence(INBOX, first)) == []
        stored(destination.append(parcel(messages.plain(number)) for number in range(10, 13)))
        refs = [present.entry.ref for present in destination.presence(INBOX, first)]
        assert [ref.uid for ref in refs if isinstance(ref, UidRef)] == [first, first + 1, first + 2]

    def test_a_body_comes_whole_and_a_lost_one_is_none(
        self, account: Account, destination: Destination
    ) -> None:
        stored(destination.append([parcel(messages.plain(4))]))
        (message,) = account.arrived(INBOX)
        kept = [(message.uid, account.kept(messages.plain(4)))]
        brought = destination.bodies(INBOX, [message.uid, message.uid + 100])
        assert [(uid, account.shown(content)) for uid, content in brought] == kept

    def test_flags_are_added_and_removed_and_other_flags_stay(
        self, account: Account, destination: Destination
    ) -> None:
        stored(
            destination.append(
                parcel(messages.plain(number), SENT, ["\\Flagged", "\\Seen"]) for number in range(4)
            )
        )
        uids = [one.uid for one in account.arrived(SENT)]
        nothing: frozenset[str] = frozenset()
        changes = {
            uids[0]: (frozenset({"\\Answered"}), SEEN),
            uids[1]: (frozenset({"\\Answered"}), nothing),
            uids[2]: (nothing, nothing),
            uids[3] + 50: (SEEN, nothing),
        }
        assert sorted(destination.set_flags(SENT, changes)) == uids[:3]
        assert [one.flags for one in account.arrived(SENT)] == [
            {"\\Flagged", "\\Answered"},
            {"\\Flagged", "\\Seen", "\\Answered"},
            {"\\Flagged", "\\Seen"},
            {"\\Flagged", "\\Seen"},
        ]

    def test_a_destination_has_a_key_without_a_secret_and_may_be_closed_twice(
        self, make: Callable[..., Destination]
    ) -> None:
        destination = make()
        destination.close()
        destination.mailboxes()
        assert destination.key.startswith("imap://")
        assert "secret" not in destination.key + repr(destination)
        assert "demopass" not in destination.key
        destination.close()
        destination.close()
