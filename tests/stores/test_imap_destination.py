"""What can go wrong while messages are sent: refusals, full and busy servers, broken lines, and
servers that can do little.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mailsync.errors import ConnectionLost, OverQuota, ServerBusy, Throttled
from mailsync.model import INBOX, Appended, Mailbox, Parcel, Refused, Unanswered
from mailsync.progress import Silence
from mailsync.stores.imap.append_batches import BATCH_MESSAGES
from mailsync.stores.imap.destination import ImapDestination
from mailsync.stores.imap.pipelined_append import WINDOW_OCTETS
from tests import messages
from tests.servers import dovecot as dovecots
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
    messages_in,
)

PLUS = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ NAMESPACE UIDPLUS"
WAITING = "IMAP4rev1 AUTH=PLAIN SASL-IR NAMESPACE UIDPLUS"
SENT = ("Sent",)


def plain(count: int, start: int = 0) -> list[Parcel]:
    return [parcel(messages.plain(number)) for number in range(start, start + count)]


def refusing(
    bad: Callable[[Taken], bool], words: str = "NO cannot take this"
) -> Callable[[list[Taken]], str]:
    return lambda taken: words if any(map(bad, taken)) else "OK done"


def sent_to(receiver: Receiver, parcels: list[Parcel], **options: Any) -> list[Answer]:
    with Scripted(receiver) as server:
        to = destination(server.port, **options)
        answers = list(to.append(parcels))
        to.close()
    return answers


def until_it_stops(answers: Iterable[Answer], into: list[Answer]) -> None:
    """Take answers as an engine does: those that come before an error count."""
    for answer in answers:
        into.append(answer)  # noqa: PERF402  extend() would lose what came before the error


class Notes(Silence):
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


def test_one_refused_message_in_a_batch_costs_few_commands_and_no_other_message() -> None:
    receiver = Receiver(refusing(lambda message: b"number 77\r\n" in message.content))
    answers = sent_to(receiver, plain(200))
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [answer.parcel.content for answer in refused] == [messages.plain(77)]
    assert "cannot take this" in refused[0].why
    assert len(stored(answer for answer in answers if not isinstance(answer, Refused))) == 199
    assert Counter(message.content for message in receiver.taken) == Counter(
        messages.plain(n) for n in range(200) if n != 77
    )
    assert len(receiver.commands) <= 2 * 8 + 2


def test_a_strict_server_gets_odd_messages_alone_once_it_was_found_out() -> None:
    receiver = Receiver(
        refusing(lambda message: b"\0" in message.content, "NO message contains NUL characters")
    )
    parcels = [
        parcel(messages.plain(n) + b"some text\r\n" * 2_500 + (b"\0\r\n" if n % 50 == 7 else b""))
        for n in range(1000)
    ]
    answers = sent_to(receiver, parcels)
    repaired = [answer for answer in answers if isinstance(answer, Appended) and answer.repaired]
    assert len(repaired) == 20
    assert all(
        "the server had said: message contains NUL characters" in answer.repaired
        for answer in repaired
    )
    assert len(answers) == len(receiver.taken) == 1000
    window = WINDOW_OCTETS // len(parcels[0].content)
    assert sum(receiver.commands) <= 1000 + window + BATCH_MESSAGES + 2 * 20


def test_a_strict_server_does_not_make_us_hold_what_it_refused() -> None:
    receiver = Receiver(refusing(lambda message: b"bad" in message.content))
    drawn = answered = ahead = 0

    def lazily() -> Iterator[Parcel]:
        nonlocal drawn, ahead
        for number in range(120):
            drawn += 1
            ahead = max(ahead, drawn - answered)
            yield parcel(
                b"Subject: %s\r\n\r\n" % (b"bad" if number % 10 == 0 else b"good")
                + b"x" * 70 * 10_000
            )

    with Scripted(receiver) as server:
        to = destination(server.port, repair=False)
        for _ in to.append(lazily()):
            answered += 1
        to.close()
    assert answered == 120
    assert ahead * 700_000 < WINDOW_OCTETS + (12 << 20)


def test_refused_content_is_sent_verbatim_first_and_then_as_a_repaired_copy() -> None:
    receiver = Receiver(
        refusing(
            lambda message: b"\n" in message.content.replace(b"\r\n", b""),
            "NO Message contains bare newlines",
        )
    )
    original = b"Subject: old\n\nText\n"
    (answer,) = sent_to(receiver, [parcel(original, flags=["\\Seen", "work"])])
    assert isinstance(answer, Appended)
    assert "line ends were made CRLF" in answer.repaired
    assert answer.flags == {"\\Seen", "work"}
    assert receiver.taken[0].content.endswith(b"\r\n\r\nText\r\n")
    assert receiver.taken[0].flags == {"\\Seen", "work"}


def test_without_repairs_a_refused_message_is_told_in_the_servers_words() -> None:
    receiver = Receiver(
        refusing(lambda message: b"\0" in message.content, "NO Message contains NUL")
    )
    (answer,) = sent_to(receiver, [parcel(b"Subject: x\r\n\r\n\0")], repair=False)
    assert isinstance(answer, Refused)
    assert answer.why == "the server refused it: Message contains NUL"
    assert receiver.taken == []


def test_keywords_that_make_a_server_refuse_are_left_out_and_the_message_stays_verbatim() -> None:
    receiver = Receiver(refusing(lambda message: "$NotJunk" in message.flags, "NO Invalid flag"))
    (answer,) = sent_to(receiver, [parcel(messages.plain(1), flags=["\\Seen", "$NotJunk"])])
    assert isinstance(answer, Appended)
    assert (answer.flags, answer.repaired) == (frozenset({"\\Seen"}), "")
    assert [(one.content, one.flags) for one in receiver.taken] == [
        (messages.plain(1), frozenset({"\\Seen"}))
    ]


def test_flags_a_mailbox_does_not_keep_are_not_sent_at_all() -> None:
    receiver = Receiver(permanent="\\Seen work")
    with Scripted(receiver) as server:
        to = destination(server.port)
        to.create([Mailbox(INBOX)])
        (answer,) = to.append(
            [parcel(messages.plain(1), flags=["\\Seen", "\\Flagged", "work", "$Junk", "\\Recent"])]
        )
        to.close()
    assert isinstance(answer, Appended)
    assert answer.flags == receiver.taken[0].flags == {"\\Seen", "work"}


@pytest.mark.parametrize(
    "words",
    [
        "NO [TOOBIG] Message too large",
        "NO [LIMIT] Mail size is larger than the maximum size allowed",
    ],
)
def test_a_message_too_big_is_refused_with_its_size_and_the_others_arrive(words: str) -> None:
    receiver = Receiver(refusing(lambda message: len(message.content) > 5_000, words))
    answers = sent_to(
        receiver, [*plain(20), parcel(b"Subject: big\r\n\r\n" + b"x" * 60_000), *plain(20, 20)]
    )
    (refused,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert "60,016 octets" in refused.why
    assert len(receiver.taken) == 40


def test_a_message_above_the_announced_limit_is_not_even_sent() -> None:
    receiver = Receiver(
        capability="IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ MULTIAPPEND UIDPLUS APPENDLIMIT=10000"
    )
    answers = sent_to(receiver, [*plain(30), parcel(b"x" * 10_001)])
    (refused,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert refused.why == "the server takes messages of at most 10,000 octets; this one has 10,001"
    assert len(receiver.taken) == sum(receiver.commands) == 30
    assert max(receiver.commands) * len(messages.plain(1)) <= 10_000


def test_a_mailbox_that_went_away_costs_one_command_not_one_a_message() -> None:
    receiver = Receiver(
        refusing(lambda message: message.mailbox == "Sent", "NO [TRYCREATE] no such mailbox")
    )
    answers = sent_to(receiver, [parcel(messages.plain(n), SENT) for n in range(500)] + plain(10))
    assert len(stored(answer for answer in answers if answer.parcel.mailbox == INBOX)) == 10
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 500
    assert {answer.why for answer in refused} == {
        "the server takes nothing for mailbox Sent: no such mailbox"
    }
    assert len(receiver.commands) <= 4


@pytest.mark.parametrize("capability", [Receiver().capability, PLUS, WAITING])
def test_a_full_server_is_filled_as_far_as_it_goes_and_then_said_to_be_full(
    capability: str,
) -> None:
    receiver = Receiver(capability=capability)
    room = 130
    receiver.says = lambda taken: (
        "OK done" if len(receiver.taken) + len(taken) <= room else "NO [OVERQUOTA] Quota exceeded"
    )
    answers: list[Answer] = []
    with Scripted(receiver) as server:
        to = destination(server.port, connections=2)
        with pytest.raises(OverQuota, match="Quota exceeded"):
            until_it_stops(to.append(plain(400)), answers)
        to.close()
    assert len(receiver.taken) == room
    told = Counter(answer.parcel.content for answer in answers if isinstance(answer, Appended))
    assert told == Counter(message.content for message in receiver.taken)
    assert not any(isinstance(answer, Unanswered) for answer in answers)


def test_a_real_quota_stops_the_push_and_loses_no_answer() -> None:
    quota = (
        "mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\nplugin {\n "
        " quota = count:User quota\n  quota_rule = *:storage=600K\n  quota_vsizes = yes\n "
        " quota_grace = 0\n}\n"
    )
    with dovecots.start(extra=quota) as server:
        account = ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)
        to = account.destination()
        answers: list[Answer] = []
        with pytest.raises(OverQuota):
            until_it_stops(
                to.append(parcel(messages.plain(n) + b"x" * 10_000) for n in range(200)), answers
            )
        to.close()
        there = contents(account.arrived(INBOX))
    assert there == Counter(
        answer.parcel.content for answer in answers if isinstance(answer, Appended)
    )
    assert 30 <= len(there) <= 60


@pytest.mark.parametrize("capability", [Receiver().capability, PLUS, WAITING])
def test_a_throttled_window_waits_once_as_long_as_stated_and_loses_nothing(capability: str) -> None:
    receiver = Receiver(capability=capability)
    waits: list[float] = []
    receiver.says = lambda _: (
        "OK done" if waits else "NO [THROTTLED] Suggested Backoff Time: 29961 milliseconds"
    )
    parcels = [parcel(messages.plain(number) + b"x" * 50_000) for number in range(300)]
    answers = sent_to(receiver, parcels, sleep=waits.append, connections=1)
    assert len(stored(answers)) == len(receiver.taken) == 300
    assert waits == [pytest.approx(29.961)]


def test_a_server_that_stays_busy_is_given_up_after_the_retries_with_growing_waits() -> None:
    receiver = Receiver(lambda _: "NO [UNAVAILABLE] backend is down")
    waits: list[float] = []
    answers: list[Answer] = []
    with Scripted(receiver) as server:
        to = destination(server.port, sleep=waits.append, retries=4)
        with pytest.raises(ServerBusy):
            answers += to.append(plain(10))
        to.close()
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert receiver.taken == []


def test_a_bye_with_a_stated_wait_is_honoured_and_the_rest_goes_on() -> None:
    receiver = Receiver(capability=PLUS)
    waits: list[float] = []

    def stop_at_ten(talk: Conversation, _: Command) -> bool:
        if len(receiver.taken) == 10 and not waits:
            talk.line("* BYE [THROTTLED] come back in 90 seconds")
            talk.silence()  # a line that is closed while we still send may lose those words
        return False

    receiver.on["APPEND"] = stop_at_ten
    answers = sent_to(receiver, plain(500), sleep=waits.append)
    kinds = Counter(type(answer) for answer in answers)
    assert waits == [90.0]
    assert kinds[Appended] + kinds[Unanswered] == 500
    assert kinds[Appended] == len(receiver.taken)


def test_a_message_that_breaks_connections_takes_few_others_with_it_the_second_time() -> None:
    receiver = Receiver(capability=PLUS)
    others_on_their_way = threading.Event()

    def says(taken: list[Taken]) -> str:
        if b"poison" not in taken[0].content:
            return "OK done"
        others_on_their_way.wait(60)
        return ""

    def drawn() -> Iterator[Parcel]:
        yield from parcels
        others_on_their_way.set()

    receiver.says = says
    parcels = [parcel(b"Subject: poison\r\n\r\n"), *plain(200)]
    with Scripted(receiver) as server:
        to = destination(server.port)
        doubtful = [
            answer.parcel for answer in to.append(drawn()) if isinstance(answer, Unanswered)
        ]
        again = list(
            to.append(
                [one for one in doubtful if one is parcels[0]]
                + [one for one in doubtful if one is not parcels[0]]
            )
        )
        to.close()
    assert len(doubtful) > 1
    assert [answer.parcel for answer in again if isinstance(answer, Unanswered)] == [parcels[0]]
    assert len(receiver.taken) == 200


@pytest.mark.parametrize("direction", ["to_server", "from_server"])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("mask", ["dovecot", "dovecot_plain_uid"])
def test_a_cut_line_leaves_no_message_lost_or_doubled(
    mask: str, how: str, direction: str, request: pytest.FixtureRequest, long: bool
) -> None:
    server: Dovecot = request.getfixturevalue(mask)
    sent = [messages.plain(number) + b"x" * 3_000 + b"\r\n" for number in range(120)]
    rng = random.Random(f"{mask} {how} {direction}")
    for _ in range(25 if long else 4):
        after = rng.randrange(400, 380_000 if direction == "to_server" else 3_000)
        account = ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)
        with Cutter(server.imap_port, Cut(after, direction, 1, how)) as line:  # type: ignore[arg-type]
            to = destination(line.port, account.user)
            answers = list(to.append(map(parcel, sent)))
            to.close()
        there = contents(account.arrived(INBOX))
        assert Counter(answer.parcel.content for answer in answers) == Counter(sent), after
        told = {answer.parcel.content for answer in answers if isinstance(answer, Appended)}
        doubtful = {answer.parcel.content for answer in answers if isinstance(answer, Unanswered)}
        assert told <= set(there) <= told | doubtful, after
        assert max(there.values(), default=1) == 1, after


def test_a_line_that_breaks_again_and_again_is_given_up_after_all_answers_were_told(
    dovecot: Dovecot,
) -> None:
    user = dovecot.user()
    with Cutter(dovecot.imap_port, Cut(20_000, "to_server", None)) as line:
        to = destination(line.port, user, retries=2)
        answers: list[Answer] = []
        with pytest.raises(ConnectionLost):
            until_it_stops(
                to.append(parcel(messages.plain(n) + b"x" * 30_000) for n in range(200)), answers
            )
        to.close()
    assert [type(answer) for answer in answers] == [Unanswered] * len(answers)
    assert answers


def test_a_server_with_literal_minus_gets_only_small_literals_unasked() -> None:
    receiver = Receiver(capability="IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL- UIDPLUS NAMESPACE")
    sizes = [10, 4_095, 4_096, 4_097, 9_000]
    for connections in (1, 4):
        receiver.taken.clear()
        answers = sent_to(
            receiver, [parcel(b"x" * size) for size in sizes], connections=connections
        )
        assert len(stored(answers)) == 5
        assert {len(one.content): one.literal for one in receiver.taken} == {
            10: "{10+}",
            4_095: "{4095+}",
            4_096: "{4096+}",
            4_097: "{4097}",
            9_000: "{9000}",
        }


def test_a_server_without_literal_plus_is_served_by_several_connections() -> None:
    receiver = Receiver(capability=WAITING)
    with Scripted(receiver) as server:
        to = destination(server.port, connections=3)
        assert len(stored(to.append(plain(60)))) == 60
        to.close()
        assert len(server.conversations) == 3
    assert not any(one.literal.endswith("+}") for one in receiver.taken)
    assert Counter(one.content for one in receiver.taken) == Counter(
        messages.plain(n) for n in range(60)
    )


def test_a_server_that_allows_fewer_connections_gets_fewer_and_every_message() -> None:
    with dovecots.start(
        imap_capability=dovecots.POOR, extra="mail_max_userip_connections = 3\n"
    ) as server:
        account = ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)
        to = destination(server.imap_port, account.user, connections=4)
        with account.client(), account.client():
            to.mailboxes()
            assert len(stored(to.append(plain(40)))) == 40
        to.close()
        assert contents(account.arrived(INBOX)) == Counter(messages.plain(n) for n in range(40))


def test_a_role_the_server_will_not_give_does_not_keep_the_mailbox_from_being_made() -> None:
    made: list[bytes] = []

    def create(talk: Conversation, command: Command) -> bool:
        refused = b"(USE" in command.text
        if not refused:
            made.append(command.text)
        talk.line(f"{command.tag} NO [USEATTR] not that" if refused else f"{command.tag} OK made")
        return True

    def select(talk: Conversation, command: Command) -> bool:
        if not made:
            talk.line(f"{command.tag} NO no such mailbox")
        return not made

    receiver = Receiver(
        capability=PLUS + " CREATE-SPECIAL-USE", on={"CREATE": create, "SELECT": select}
    )
    with Scripted(receiver) as server:
        to = destination(server.port)
        assert to.create([Mailbox(SENT, frozenset({"\\Sent"}))]) == {SENT: None}
        to.close()
        assert any(b'CREATE "Sent" (USE (\\Sent))' in line for line in server.heard)


def test_a_name_the_server_refuses_is_told_with_its_words_and_what_to_do() -> None:
    def refuse(talk: Conversation, command: Command) -> bool:
        if b"Bad" in command.text:
            talk.line(f"{command.tag} NO Invalid mailbox name")
        return b"Bad" in command.text

    with Scripted(Receiver(on={"CREATE": refuse, "SELECT": refuse})) as server:
        to = destination(server.port)
        found = to.create([Mailbox(("Bad",)), Mailbox(("Good",))])
        to.close()
    assert found["Good",] is None
    assert "Invalid mailbox name" in str(found["Bad",])
    assert "`map:`" in str(found["Bad",])


def test_making_mailboxes_takes_one_flight(dovecot: Dovecot) -> None:
    with Cutter(dovecot.imap_port) as line:
        to = destination(line.port, dovecot.user())
        to.mailboxes()
        before = len(line.dialogues[0].commands)
        to.create([Mailbox((f"Box {number}",), subscribed=True) for number in range(20)])
        said = line.dialogues[0].commands[before:]
        to.close()
    assert Counter(command.split(b" ")[1] for command in said) == {
        b"CREATE": 20,
        b"SUBSCRIBE": 20,
        b"SELECT": 20,
        b"UID": 20,  # UID SEARCH: what a list leaves out may be there, and hold something
        b"UNSELECT": 1,
        b"LIST": 1,
    }


def test_a_keyword_that_cannot_be_changed_does_not_hinder_the_other_flags() -> None:
    stores: list[bytes] = []

    def store(talk: Conversation, command: Command) -> bool:
        refused = b"$Strange" in command.text
        stores.append(command.text.partition(b"FLAGS")[2])
        talk.line(f"{command.tag} NO too many keywords" if refused else f"{command.tag} OK done")
        return True

    def search(talk: Conversation, command: Command) -> bool:
        talk.line("* SEARCH 4", f"{command.tag} OK done")
        return True

    with Scripted(Receiver(on={"UID STORE": store, "UID SEARCH": search})) as server:
        to = destination(server.port)
        assert to.set_flags(
            INBOX,
            {4: (frozenset({"\\Seen", "$Strange"}), frozenset()), 5: (frozenset(), frozenset())},
        ) == [4]
        to.close()
    assert stores == [b".SILENT ($Strange \\Seen)", b".SILENT (\\Seen)"]


def test_a_broken_line_while_looking_shows_each_message_once(dovecot: Dovecot) -> None:
    user = dovecot.user()
    with Cutter(dovecot.imap_port, Cut(60_000, "from_server", 2)) as line:
        first = destination(line.port, user)
        stored(first.append(plain(1_200)))
        first.close()
        to = destination(line.port, user)
        uids = [present.entry.ref.uid for present in to.presence(INBOX)]  # type: ignore[union-attr]
        to.close()
        assert len(line.dialogues) == 3
    assert sorted(uids) == list(range(1, 1_201))


def test_nothing_that_deletes_or_overwrites_is_ever_said(dovecot: Dovecot) -> None:
    user = dovecot.user()
    with Cutter(dovecot.imap_port) as line:
        to = destination(line.port, user)
        to.mailboxes()
        to.create([Mailbox(SENT, subscribed=True)])
        stored(to.append(plain(10)))
        uids = [present.entry.ref.uid for present in to.presence(INBOX)]  # type: ignore[union-attr]
        list(to.bodies(INBOX, [uids[0]]))
        to.set_flags(INBOX, {uid: (frozenset({"\\Seen"}), frozenset()) for uid in uids})
        to.close()
        said = {
            re.sub(rb"^UID ", b"", command.partition(b" ")[2])[:12].split(b" ")[0].upper()
            for command in line.dialogues[0].commands
        }
    assert not said & {
        b"DELETE",
        b"EXPUNGE",
        b"CLOSE",
        b"RENAME",
        b"MOVE",
        b"UNSUBSCRIBE",
        b"SETACL",
    }


def test_messages_under_way_while_the_server_talks_back_at_length_do_not_block(
    dovecot: Dovecot,
) -> None:
    # In a selected mailbox each append is answered with EXISTS and RECENT too; nobody may wait for
    # the other to read.
    user = dovecot.user()
    to: ImapDestination = destination(dovecot.imap_port, user)
    to.create([Mailbox(INBOX)])
    assert (
        len(stored(to.append(parcel(messages.plain(n) + b"x" * 20_000) for n in range(1_500))))
        == 1_500
    )
    to.close()


def test_a_wait_nobody_would_sit_out_ends_the_push_at_once() -> None:
    receiver = Receiver(lambda _: "NO [THROTTLED] try again in 900 minutes")
    with Scripted(receiver) as server:
        to = destination(server.port)
        with pytest.raises(Throttled, match="900 minutes"):
            list(to.append(plain(3)))
        to.close()


@pytest.mark.parametrize("capability", [Receiver().capability, PLUS])
def test_messages_for_several_mailboxes_are_all_on_their_way_before_the_first_answer(
    capability: str,
) -> None:
    receiver = Receiver(capability=capability)
    tags: list[str] = []
    messages_seen = 0

    def hold_back(talk: Conversation, command: Command) -> bool:
        nonlocal messages_seen
        tags.append(command.tag)
        messages_seen += len(messages_in(command))
        if messages_seen == 200:
            talk.line(*(f"{tag} OK done" for tag in tags))
        return True

    receiver.on["APPEND"] = hold_back
    places = [INBOX, SENT, ("Archive",), ("Lists", "dev")]
    answers = sent_to(
        receiver, [parcel(messages.plain(n), places[n // 50]) for n in range(200)], retries=0
    )
    assert len(stored(answers)) == 200
    assert len(tags) == (4 if "MULTIAPPEND" in capability else 200)
