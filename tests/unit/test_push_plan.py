"""A push's plan, carried out on a model of a destination: every wanted message is there exactly
once, and the next plan is empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.model import INBOX, ArchivedMessage, LedgerKey, LedgerLine, MailboxPath, SyncState
from mailsync.plan import (
    Evidence,
    Located,
    MailboxPlan,
    PushPlan,
    Sighting,
    compare,
    file_key,
    first_uid,
    plan_mailbox,
    plan_search,
    rivals,
)
from tests.unit.alike import LIKE

WORK: MailboxPath = ("Work",)
SOURCES = (INBOX, WORK)
SEEN = frozenset({"\\Seen"})
FATES = ("stranger", "sent", "untold", "pending", "lost", "renumbered")


def message(
    number: int, source: MailboxPath = INBOX, flags: frozenset[str] = SEEN, *, gone: bool = False
) -> ArchivedMessage:
    name = b"%d" % number
    return ArchivedMessage(
        source,
        name.rjust(32),
        b"identity " + name,
        10 + number,
        flags,
        0,
        message_id=f"<{number}>",
        presence=b"presence " + name,
        gone=gone,
    )


@dataclass
class Model:
    """One mailbox of a destination, and the ledger kept of it."""

    validity: int = 7
    uidnext: int = 1
    messages: dict[int, int] = field(default_factory=dict)
    """By UID, which message it is."""
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    ledger: dict[LedgerKey, LedgerLine] = field(default_factory=dict)

    def add(self, number: int, flags: frozenset[str] = SEEN) -> int:
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid], self.flags[uid] = number, flags
        return uid

    @property
    def state(self) -> SyncState:
        return SyncState(self.validity, self.uidnext, len(self.messages))

    def look(self, wanted: Sequence[ArchivedMessage], *, trusted: bool = True) -> MailboxPlan:
        """Plan as a push does; every header tells its message."""
        evidence = Evidence(dict(self.ledger), self.state, trusted=trusted)
        search = plan_search(wanted, self.ledger, self.validity, trusted=trusted)
        if search and self.messages:
            evidence = self._searched(wanted, evidence)
        return plan_mailbox(("There",), SOURCES, wanted, evidence)

    def _searched(self, wanted: Sequence[ArchivedMessage], evidence: Evidence) -> Evidence:
        search = plan_search(wanted, self.ledger, self.validity, trusted=evidence.trusted)
        unknown = {one.key for one in search.unknown}
        first = first_uid(search, self.ledger, self.validity)
        others = {key: line for key, line in self.ledger.items() if key not in unknown}
        held = [
            one
            for one in {one.key: one for one in wanted}.values()
            if one.key in others
            and not others[one.key].removed
            and (others[one.key].uid is None or others[one.key].uidvalidity != self.validity)
        ]
        also = rivals(held, search, first)
        taken = [
            line.uid for line in others.values() if line.uid and line.uidvalidity == self.validity
        ]
        sightings = self._sightings(1 if also else first)
        outcome = compare([*also, *search.unknown], sightings, LIKE, taken)
        assert not outcome.ambiguous
        located = [
            Located(
                one.key, uid, self.ledger[one.key].flags if one.key in self.ledger else one.flags
            )
            for one, uid in outcome.found
        ]
        missing = {one.key for one in outcome.missing}
        removed = [one for one in search.unlocated if one.key in missing]
        return replace(evidence, located=located, removed=removed)

    def _sightings(self, first: int) -> Iterable[Sighting]:
        return [
            Sighting(uid, b"presence %d" % number, f"<{number}>")
            for uid, number in self.messages.items()
            if uid >= first
        ]

    def carry_out(self, plan: MailboxPlan, wanted: Sequence[ArchivedMessage]) -> None:
        """Do what the plan says, the doubtful last: nothing of it arrives late any more."""
        for one in plan.located:
            self.ledger[one.key] = LedgerLine(self.validity, one.uid, one.flags)
        for gone in plan.removed:
            self.ledger[gone.key] = replace(self.ledger[gone.key], removed=True)
        for change in plan.flags:
            self.flags[change.uid] = self.flags[change.uid] - change.remove | change.add
            line = self.ledger[change.message.key]
            self.ledger[change.message.key] = replace(line, flags=change.message.flags)
        for source in plan.sources:
            for wish in wanted:
                if wish.mailbox == source.path and file_key(wish) in [
                    *source.append,
                    *source.doubtful,
                ]:
                    self._append(wish)

    def _append(self, one: ArchivedMessage) -> None:
        uid = self.add(int(one.identity.split()[1]), one.flags)
        self.ledger[one.key] = LedgerLine(self.validity, uid, one.flags)


messages = st.builds(
    message, st.integers(0, 8), st.sampled_from(SOURCES), st.sampled_from([SEEN, frozenset()])
)
one_a_file = st.lists(messages, max_size=12, unique_by=lambda one: (one.mailbox, one.digest))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Draw a destination, and a ledger that is true, or older than the last renumbering, or knows
    nothing; with intents of which some arrived.
    """
    model = Model()
    for number in draw(st.lists(st.integers(0, 10), max_size=8, unique=True)):
        key = message(number).key
        fate = draw(
            st.sampled_from(["stranger", "sent", "untold", "pending", "lost", "renumbered"])
        )
        uidnext = model.state.uidnext
        if fate == "lost":
            model.ledger[key] = LedgerLine(7, None, SEEN, pending=True, uidnext=uidnext)
            continue
        uid = model.add(number)
        lines = {
            "sent": LedgerLine(7, uid, SEEN),
            "untold": LedgerLine(7, None, SEEN),
            "pending": LedgerLine(7, None, SEEN, pending=True, uidnext=uidnext),
            "renumbered": LedgerLine(6, uid + 100, SEEN),
        }
        if fate in lines:
            model.ledger[key] = lines[fate]
    return model


def numbers(wanted: Iterable[ArchivedMessage]) -> set[int]:
    return {int(one.identity.split()[1]) for one in wanted}


def is_empty(plan: MailboxPlan) -> bool:
    whole = PushPlan((plan,))
    return not (plan.sends or plan.flags or plan.removed or whole.needed or whole.to_make)


@given(one_a_file, models())
def test_a_plan_carried_out_leaves_every_message_there_once_and_the_next_plan_is_empty(
    wanted: list[ArchivedMessage], model: Model
) -> None:
    before = Counter(model.messages.values())
    plan = model.look(wanted)
    assert {one.message.key for one in plan.flags} <= {one.key for one in wanted}
    model.carry_out(plan, wanted)
    after = Counter(model.messages.values())
    assert after - before == Counter(numbers(wanted) - before.keys())
    again = model.look(wanted)
    model.carry_out(again, wanted)
    assert not again.sends
    assert Counter(model.messages.values()) == after
    flags_of = {
        one.key: {other.flags for other in wanted if other.key == one.key} for one in wanted
    }
    if all(len(found) == 1 for found in flags_of.values()):
        assert is_empty(model.look(wanted))


@given(one_a_file, models())
def test_a_plan_that_trusts_no_ledger_sends_what_is_not_alive_there_and_nothing_else(
    wanted: list[ArchivedMessage], model: Model
) -> None:
    for uid in list(model.messages)[::2]:
        del model.messages[uid]
    before = Counter(model.messages.values())
    plan = model.look(wanted, trusted=False)
    model.carry_out(plan, wanted)
    assert Counter(model.messages.values()) - before == Counter(numbers(wanted) - before.keys())
    assert not model.look(wanted, trusted=False).sends
    assert plan.flags == ()


@given(one_a_file, models())
def test_the_numbers_of_a_plan_add_up(wanted: list[ArchivedMessage], model: Model) -> None:
    plan = model.look(wanted)
    for source in plan.sources:
        own = [one for one in wanted if one.mailbox == source.path]
        assert source.seen == len(own) == source.already + source.new
        assert source.new == len([*source.append, *source.doubtful])
        assert not set(source.append) & set(source.doubtful)
        chosen = [one.size for one in own if file_key(one) in [*source.append, *source.doubtful]]
        assert source.octets == sum(chosen)
    assert plan.octets == sum(PushPlan((plan,)).needed.values())


@given(one_a_file, models(), st.data())
def test_what_was_sent_ahead_is_neither_sent_again_nor_counted_as_there(
    wanted: list[ArchivedMessage], model: Model, data: st.DataObject
) -> None:
    keys = sorted({one.key for one in wanted})
    ahead = set(data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else [])
    plan = plan_mailbox(
        ("There",), SOURCES, wanted, Evidence(model.ledger, model.state, sent_ahead=ahead)
    )
    files = {file_key(one) for one in wanted if one.key in ahead}
    assert not any(files.intersection(source.append) for source in plan.sources)
    pending = {key for key, line in model.ledger.items() if line.pending} & ahead
    doubtful = {one.key for one in wanted if any(file_key(one) in s.doubtful for s in plan.sources)}
    assert pending <= doubtful
    assert sum(source.already + source.new for source in plan.sources) == sum(
        one.key not in ahead for one in wanted
    )


@pytest.mark.parametrize("usable", [True, False])
def test_a_mailbox_that_cannot_be_used_needs_no_room_and_sends_nothing(usable: bool) -> None:
    plan = plan_mailbox(("There",), SOURCES, [message(1)], Evidence(usable=usable))
    assert plan.sends is usable
    assert PushPlan((plan,)).to_make == ([("There",)] if usable else [])
    assert bool(PushPlan((plan,)).needed) is usable


def test_an_intent_says_from_which_uid_on_its_message_would_be() -> None:
    one, two = message(1), message(2)
    ledger: Mapping[LedgerKey, LedgerLine] = {
        one.key: LedgerLine(7, None, SEEN, pending=True, uidnext=50),
        two.key: LedgerLine(7, None, SEEN, pending=True, uidnext=40),
    }
    search = plan_search([one, two], ledger, 7)
    assert first_uid(search, ledger, 7) == 40
    assert first_uid(search, ledger, 8) == 1
    assert first_uid(plan_search([one, message(3)], ledger, 7), ledger, 7) == 1


def test_a_message_that_arrived_nobody_knows_where_is_looked_for_from_the_first_uid_on() -> None:
    asked, arrived = message(1), message(2)
    ledger: Mapping[LedgerKey, LedgerLine] = {
        asked.key: LedgerLine(7, None, SEEN, pending=True, uidnext=50),
        arrived.key: LedgerLine(7, None, frozenset()),
    }
    search = plan_search([asked, arrived], ledger, 7)
    assert (search.unknown, search.unlocated) == ((asked,), (arrived,))
    assert first_uid(search, ledger, 7) == 1


def test_only_messages_that_look_alike_are_rivals_where_a_part_is_looked_at() -> None:
    one, other = message(1), message(2)
    twin = replace(message(3), presence=one.presence)
    search = plan_search([one], {}, 7)
    assert rivals([other, twin], search, 40) == [twin]
    assert rivals([other, twin], search, 1) == [other, twin]
