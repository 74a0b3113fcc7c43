"""Plans are pure data: what a pull and a push decide, for any listing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.model import (
    INBOX,
    ArchivedMessage,
    Entry,
    Known,
    KnownMessage,
    LedgerLine,
    Mailbox,
    Scan,
    SyncState,
    UidlRef,
    UidRef,
)
from mailsync.plan import (
    Sighting,
    alarming,
    compare,
    flag_change,
    plan_pull,
    plan_search,
    stands_still,
    unlocated,
)
from tests.unit.alike import LIKE

BOX = Mailbox(INBOX)
flag_sets = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "work"]))


def entry(uid: int, size: int | None = 100, flags: frozenset[str] = frozenset()) -> Entry:
    return Entry(UidRef(INBOX, 7, uid), size, flags)


def state(uidnext: int, messages: int, validity: int = 7, modseq: int | None = None) -> SyncState:
    return SyncState(validity, uidnext, messages, modseq)


def message(
    name: str, *, presence: str | None = None, flags: frozenset[str] = frozenset()
) -> ArchivedMessage:
    return ArchivedMessage(
        INBOX,
        name.encode(),
        name.encode(),
        10,
        flags,
        0,
        message_id=f"<{name}>",
        presence=(presence or name).encode(),
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[int, frozenset[str]], Known]:
    """Draw what the server has and what the catalogue holds, with stable sizes."""
    there = draw(st.dictionaries(st.integers(1, 40), flag_sets))
    known = draw(
        st.dictionaries(st.integers(1, 40), st.tuples(flag_sets, st.booleans(), st.booleans()))
    )
    messages: dict[int | bytes, KnownMessage] = {
        uid: KnownMessage(100, flags, gone, damaged)
        for uid, (flags, gone, damaged) in known.items()
    }
    return there, Known(state(1, 0), messages, sum(not one.gone for one in messages.values()))


@given(pairs())
def test_a_full_scan_accounts_for_every_message_exactly_once(
    pair: tuple[dict[int, frozenset[str]], Known],
) -> None:
    there, known = pair
    plan = plan_pull(
        Scan(
            BOX,
            state(41, len(there)),
            tuple(entry(uid, flags=flags) for uid, flags in there.items()),
        ),
        known,
    )
    new, damaged, reflag = (
        {e.ref.uid for e in group if isinstance(e.ref, UidRef)}
        for group in (plan.new, plan.damaged, plan.reflag)
    )
    assert new == there.keys() - known.messages.keys()
    assert not new & damaged
    assert not damaged & reflag
    assert set(plan.gone) == {
        uid for uid, one in known.messages.items() if not one.gone and uid not in there
    }
    for uid in there.keys() & known.messages.keys():
        one = known.messages[uid]
        assert (uid in damaged) == one.damaged
        assert (uid in reflag) == (not one.damaged and (one.gone or one.flags != there[uid]))
    assert not plan.doubtful
    assert not plan.renewed


@given(pairs())
def test_a_delta_says_what_a_full_scan_says_or_calls_itself_doubtful(
    pair: tuple[dict[int, frozenset[str]], Known],
) -> None:
    there, known = pair
    full = plan_pull(
        Scan(
            BOX,
            state(41, len(there)),
            tuple(entry(uid, flags=flags) for uid, flags in there.items()),
        ),
        known,
    )
    changed = tuple(entry(uid, flags=flags) for uid, flags in there.items())
    vanished = tuple(range(uid, uid + 1) for uid in range(1, 41) if uid not in there)
    delta = plan_pull(
        Scan(BOX, state(41, len(there)), changed, since=state(1, 0), vanished=vanished), known
    )
    assert (delta.new, delta.damaged, delta.reflag, delta.gone) == (
        full.new,
        full.damaged,
        full.reflag,
        full.gone,
    )
    assert not delta.doubtful


def test_a_delta_that_does_not_add_up_is_doubtful() -> None:
    known = Known(state(3, 2), {1: KnownMessage(100, frozenset())}, 2)
    plan = plan_pull(Scan(BOX, state(4, 2), (entry(3),), since=state(3, 2)), known)
    assert plan.doubtful


def test_a_known_uid_with_another_size_means_every_message_is_another_one() -> None:
    known = Known(
        state(3, 2), {1: KnownMessage(100, frozenset()), 2: KnownMessage(100, frozenset())}, 2
    )
    scan = Scan(BOX, state(3, 2), (entry(1), entry(2, size=99)))
    assert plan_pull(scan, known).renewed
    assert plan_pull(scan, known).new == scan.entries


@pytest.mark.parametrize(
    ("apart", "renewed"), [(0, False), (3600, False), (-7200, False), (61, True), (86400 * 3, True)]
)
def test_a_known_uid_of_another_date_is_another_message_unless_time_zones_account_for_it(
    apart: int, *, renewed: bool
) -> None:
    message = KnownMessage(100, frozenset(), internaldate=1_400_000_000)
    known = Known(state(3, 2), {1: message, 2: message}, 2)
    there = [replace(entry(uid), internaldate=1_400_000_000) for uid in (1, 2)]
    there[0] = replace(entry(1), internaldate=1_400_000_000 + apart)
    assert plan_pull(Scan(BOX, state(3, 2), tuple(there)), known).renewed == renewed


def test_a_server_that_dates_every_message_anew_reuses_no_uids() -> None:
    message = KnownMessage(100, frozenset(), internaldate=1_400_000_000)
    known = Known(state(3, 2), {1: message, 2: message}, 2)
    there = tuple(replace(entry(uid), internaldate=1_500_000_061) for uid in (1, 2))
    assert not plan_pull(Scan(BOX, state(3, 2), there), known).renewed
    delta = Scan(BOX, state(3, 2), there, since=state(3, 2))
    assert plan_pull(delta, known).doubtful


def test_a_uid_of_which_only_a_part_came_is_the_same_message_and_fetched_again() -> None:
    known = Known(state(3, 1), {1: KnownMessage(-1, frozenset())}, 1)
    plan = plan_pull(Scan(BOX, state(3, 1), (entry(1),)), known)
    assert (plan.damaged, plan.new, plan.renewed) == ((entry(1),), (), False)


def test_a_listing_with_gaps_means_no_message_gone() -> None:
    known = Known(state(3, 1), {1: KnownMessage(100, frozenset())}, 1)
    assert plan_pull(Scan(BOX, state(3, 1), (), unlisted=("UID 1",)), known).gone == ()


def test_uidnext_going_backwards_means_every_message_is_another_one() -> None:
    known = Known(state(10, 2), {1: KnownMessage(100, frozenset())}, 1)
    assert plan_pull(Scan(BOX, state(5, 1), (entry(1),)), known).renewed


def test_a_reused_uid_in_a_delta_asks_for_a_full_scan() -> None:
    known = Known(state(3, 1), {1: KnownMessage(100, frozenset())}, 1)
    assert plan_pull(Scan(BOX, state(3, 1), (entry(1, size=5),), since=state(3, 1)), known).doubtful


def test_what_a_pop3_server_no_longer_lists_is_never_gone() -> None:
    known = Known(
        None, {b"a": KnownMessage(10, frozenset()), b"b": KnownMessage(10, frozenset())}, 2
    )
    plan = plan_pull(Scan(BOX, SyncState(0, 0, 1), (Entry(UidlRef(b"a", 1), 10),)), known)
    assert plan == plan_pull(Scan(BOX, SyncState(0, 0, 1), (Entry(UidlRef(b"a", 4), 10),)), known)
    assert plan.gone == ()
    assert plan.new == ()


def test_a_known_uidl_with_another_size_is_another_message() -> None:
    known = Known(None, {b"a": KnownMessage(10, frozenset())}, 1)
    assert (
        len(plan_pull(Scan(BOX, SyncState(0, 0, 1), (Entry(UidlRef(b"a", 1), 11),)), known).new)
        == 1
    )


def test_a_message_without_uidl_is_always_looked_at() -> None:
    assert (
        len(
            plan_pull(
                Scan(BOX, SyncState(0, 0, 1), (Entry(UidlRef(None, 1), 11),)), Known(None, {}, 0)
            ).new
        )
        == 1
    )


def test_many_messages_vanishing_at_once_is_alarming() -> None:
    assert not alarming(20, 0)
    assert alarming(21, 0)
    assert alarming(30, 110)
    assert not alarming(30, 120)


def test_only_equal_counters_with_a_modseq_mean_that_nothing_happened() -> None:
    told = state(5, 4, modseq=9)
    assert stands_still(Mailbox(INBOX, state=told), told)
    assert not stands_still(Mailbox(INBOX, state=state(5, 4)), state(5, 4))
    assert not stands_still(Mailbox(INBOX), told)
    assert not stands_still(Mailbox(INBOX, state=told), None)
    assert not stands_still(Mailbox(INBOX, state=state(5, 4, modseq=10)), told)


def test_each_message_seen_on_the_destination_serves_one_of_ours() -> None:
    twin, other = message("twin"), message("other")
    copy = ArchivedMessage(
        INBOX, b"twin", b"twin", 10, frozenset(), 0, copy=2, message_id="<twin>", presence=b"twin"
    )
    outcome = compare([twin, copy, other], [Sighting(4, b"twin", "<twin>")], LIKE)
    assert outcome.found == ((twin, 4),)
    assert outcome.missing == (copy, other)


def test_different_messages_with_one_header_are_told_apart_by_body_only() -> None:
    one, two = message("one", presence="same"), message("two", presence="same")
    outcome = compare([one, two], [Sighting(1, b"same", ""), Sighting(2, b"same", "")], LIKE)
    assert outcome.found == ()
    assert outcome.ambiguous == ((one, (1, 2)), (two, (1, 2)))


def test_a_message_id_under_another_header_is_ambiguous() -> None:
    ours = message("one")
    outcome = compare([ours], [Sighting(3, b"rewritten", "<one>")], LIKE)
    assert outcome.ambiguous == ((ours, (3,)),)


def test_a_message_without_a_message_id_is_believed_by_its_body_only() -> None:
    ours = ArchivedMessage(INBOX, b"one", b"one", 10, frozenset(), 0, presence=b"anybody's")
    assert compare([ours], [Sighting(3, b"anybody's", "")], LIKE).ambiguous == ((ours, (3,)),)
    assert compare([ours], [Sighting(3, b"other", "")], LIKE).missing == (ours,)


def test_what_says_that_it_is_a_repaired_copy_is_believed_by_its_body_only() -> None:
    ours = ArchivedMessage(INBOX, b"one", b"one", 10, frozenset(), 0, presence=b"anybody's")
    seen = Sighting(3, b"other", "", original=b"one")
    assert compare([ours], [seen], LIKE).ambiguous == ((ours, (3,)),)
    assert compare([ours], [seen], LIKE, told={ours.key: 3}).found == ((ours, 3),)


def test_a_repaired_copy_is_also_a_message_of_its_own() -> None:
    ours = message("one")
    seen = Sighting(3, ours.presence, "<one>", original=b"another's")
    assert compare([ours], [seen], LIKE).found == ((ours, 3),)


def test_an_arrived_message_is_unlocated_while_no_uid_of_now_is_known_of_it() -> None:
    assert unlocated(LedgerLine(7, None, frozenset()), 7)
    assert unlocated(LedgerLine(6, 5, frozenset()), 7)
    assert not unlocated(LedgerLine(7, 5, frozenset()), 7)
    assert not unlocated(LedgerLine(7, None, frozenset(), pending=True), 7)
    assert not unlocated(LedgerLine(7, None, frozenset(), removed=True), 7)


def test_what_the_ledger_assigned_serves_no_other_message() -> None:
    ours = message("one")
    assert compare([ours], [Sighting(3, b"one", "<one>")], LIKE, taken=[3]).missing == (ours,)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abcd")))
def test_no_sighting_is_used_twice_and_no_message_is_dropped(
    ours: list[str], theirs: list[str]
) -> None:
    messages = [
        ArchivedMessage(INBOX, n.encode(), n.encode(), 1, frozenset(), 0, i, f"<{n}>", n.encode())
        for i, n in enumerate(ours)
    ]
    sightings = [Sighting(i, n.encode(), "") for i, n in enumerate(theirs)]
    outcome = compare(messages, sightings, LIKE)
    uids = [uid for _, uid in outcome.found]
    assert len(uids) == len(set(uids))
    assert len(outcome.found) + len(outcome.missing) + len(outcome.ambiguous) == len(messages)
    assert len(outcome.missing) == sum(max(0, ours.count(n) - theirs.count(n)) for n in set(ours))


def test_flags_changed_at_the_source_travel_and_those_of_the_user_stay() -> None:
    line = LedgerLine(7, 5, frozenset({"\\Seen"}))
    change = flag_change(message("one", flags=frozenset({"\\Flagged"})), line, 7)
    assert change is not None
    assert (change.uid, change.add, change.remove) == (
        5,
        frozenset({"\\Flagged"}),
        frozenset({"\\Seen"}),
    )
    assert flag_change(message("one", flags=frozenset({"\\Seen"})), line, 7) is None
    assert flag_change(message("one"), line, 8) is None
    assert flag_change(message("one"), LedgerLine(7, None, frozenset({"\\Seen"})), 7) is None
    assert (
        flag_change(message("one"), LedgerLine(7, 5, frozenset({"\\Seen"}), removed=True), 7)
        is None
    )
    assert (
        flag_change(message("one"), LedgerLine(7, 5, frozenset({"\\Seen"}), pending=True), 7)
        is None
    )


def test_only_what_the_ledger_has_no_answer_for_is_looked_for() -> None:
    sent, asked, fresh, removed = (
        message("sent"),
        message("asked"),
        message("fresh"),
        message("removed"),
    )
    ledger = {
        (b"sent", 1): LedgerLine(7, 1, frozenset()),
        (b"asked", 1): LedgerLine(7, None, frozenset(), pending=True),
        (b"removed", 1): LedgerLine(7, 2, frozenset(), removed=True),
    }
    messages = [sent, asked, fresh, removed, fresh]
    assert plan_search(messages, ledger, 7).unknown == (asked, fresh)
    assert plan_search(messages, ledger, 7, trusted=False).unknown == (sent, asked, fresh, removed)


def test_a_message_that_was_found_is_no_candidate_for_another_one_with_its_message_id() -> None:
    found, other = message("one"), replace(message("two"), message_id="<one>")
    outcome = compare([found, other], [Sighting(5, b"one", "<one>")], LIKE)
    assert outcome.found == ((found, 5),)
    assert (outcome.ambiguous, outcome.missing) == ((), (other,))
