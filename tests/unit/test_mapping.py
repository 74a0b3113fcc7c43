"""Which mailbox of a destination is which of ours, and how people write their names."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailsync.mapping import (
    MappingPlan,
    MappingRules,
    archive_of,
    destination_path,
    is_named,
    matches,
    parse_name,
    plan_mapping,
    show,
    spelled_there,
)
from mailsync.model import INBOX, VIEWS, Mailbox, MailboxPath
from tests.growth import LINEAR, growth

NO_RULES = MappingRules()


def box(name: str, *attributes: str) -> Mailbox:
    return Mailbox(parse_name(name), frozenset(attributes))


def boxes(*names: str) -> list[Mailbox]:
    """`Sent=\\Sent` returns a mailbox its role."""
    return [
        box(name, *attributes.split())
        for name, _, attributes in (name.partition("=") for name in names)
    ]


def goes(
    name: str, ours: list[Mailbox], theirs: list[Mailbox], rules: MappingRules = NO_RULES
) -> str | None:
    mailbox = next(mailbox for mailbox in ours if show(mailbox.path) == name)
    path = destination_path(mailbox, ours, theirs, rules)
    return None if path is None else show(path)


def explicit(into: str = "", **names: str) -> MappingRules:
    rules = {parse_name(ours): parse_name(theirs) for ours, theirs in names.items()}
    return MappingRules(rules, parse_name(into) if into else ())


PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["INBOX", "inbox", "a/b", "\\", "/", "", "Sent", "*"]
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(tuple)
ROLES = st.sampled_from(
    [
        "\\Sent",
        "\\Drafts",
        "\\Trash",
        "\\Junk",
        "\\Archive",
        "\\All",
        "\\Flagged",
        "\\Important",
        "\\Noselect",
    ]
)
BOXES = st.lists(
    st.builds(Mailbox, PATHS, st.frozensets(ROLES, max_size=2)),
    max_size=6,
    unique_by=lambda mailbox: mailbox.path,
)


# Roles


@pytest.mark.parametrize(
    ("ours", "theirs", "where"),
    [
        (["Sent=\\Sent"], ["Gesendet=\\Sent"], "Gesendet"),
        (["Gesendet=\\Sent"], ["INBOX/Sent=\\Sent"], "INBOX/Sent"),
        (["Gesendet=\\Sent"], ["Sent Items"], "Sent Items"),
        (["Gesendet=\\Sent"], ["SENT ITEMS"], "SENT ITEMS"),
        (["Gesendet=\\Sent"], ["Sent=\\Trash"], "Gesendet"),
        (["Gesendet=\\Sent"], ["Old/Sent"], "Gesendet"),
        (["Gesendet=\\Sent"], [], "Gesendet"),
        (["Papierkorb=\\Trash"], ["Trash=\\Trash"], "Trash"),
        (["Spam=\\Junk"], ["Junk E-mail=\\Junk", "Spam"], "Junk E-mail"),
        (["Sent"], ["Gesendet=\\Sent"], "Sent"),
        (["inbox"], ["INBOX"], "INBOX"),
        (["INBOX"], [], "INBOX"),
        (["work"], ["Work"], "Work"),
        (["work", "Work"], ["work", "Work"], "work"),
    ],
)
def test_a_role_is_followed_and_else_the_name(
    ours: list[str], theirs: list[str], where: str
) -> None:
    mailboxes = boxes(*ours)
    assert goes(show(mailboxes[0].path), mailboxes, boxes(*theirs)) == where


def test_the_folders_below_a_mailbox_with_a_role_follow_it() -> None:
    ours = boxes("Sent=\\Sent", "Sent/2024", "Sent/2024/May", "Sentinel")
    theirs = boxes("INBOX/Gesendet=\\Sent", "INBOX/Gesendet/2024/may")
    assert goes("Sent/2024", ours, theirs) == "INBOX/Gesendet/2024"
    assert goes("Sent/2024/May", ours, theirs) == "INBOX/Gesendet/2024/may"
    assert goes("Sentinel", ours, theirs) == "Sentinel"


def test_a_role_leads_there_and_back() -> None:
    one, other = (
        boxes("Sent=\\Sent", "Sent/a", "Bin=\\Trash"),
        boxes("Gesendet=\\Sent", "Gesendet/a", "Papierkorb=\\Trash"),
    )
    for name in ("Sent", "Sent/a", "Bin"):
        there = goes(name, one, other)
        assert there is not None
        assert goes(there, other, one) == name


def test_of_two_roles_always_the_same_one_is_followed() -> None:
    ours = boxes("Both=\\Trash \\Sent \\Junk")
    assert {goes("Both", ours, boxes("T=\\Trash", "S=\\Sent", "J=\\Junk")) for _ in range(20)} == {
        "S"
    }


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_is_not_pushed_unless_the_user_says_where(view: str) -> None:
    ours = [box("All", view)]
    assert goes("All", ours, boxes("All")) is None
    assert goes("All", ours, [], explicit(into="Old")) is None
    assert goes("All", ours, [], explicit(All="Everything")) == "Everything"


def test_messages_that_only_a_view_shows_go_to_the_archive() -> None:
    assert archive_of(boxes("Archiv=\\Archive"), NO_RULES) == ("Archiv",)
    assert archive_of(boxes("archives"), NO_RULES) == ("archives",)
    assert archive_of([], NO_RULES) == ("Archive",)
    assert archive_of([], explicit(into="Old/Mail")) == ("Old", "Mail", "Archive")


# What the user says


def test_a_rule_moves_a_mailbox_and_all_below_it_and_the_nearest_rule_counts() -> None:
    ours = boxes("A", "A/B", "A/B/C", "A/D", "AB")
    rules = MappingRules({("A",): ("X",), ("A", "B"): ("Y", "Z")})
    found = {show(mailbox.path): goes(show(mailbox.path), ours, [], rules) for mailbox in ours}
    assert found == {"A": "X", "A/B": "Y/Z", "A/B/C": "Y/Z/C", "A/D": "X/D", "AB": "AB"}


def test_a_rule_outweighs_a_role_and_is_taken_literally() -> None:
    ours = boxes("Sent=\\Sent", "INBOX")
    assert goes("Sent", ours, boxes("Gesendet=\\Sent", "sent"), explicit(Sent="Sent")) == "Sent"
    assert goes("INBOX", ours, [], explicit(INBOX="Old/Inbox")) == "Old/Inbox"


def test_everything_goes_below_the_mailbox_named() -> None:
    ours = boxes("INBOX", "Sent=\\Sent", "A", "Work")
    theirs = boxes("INBOX", "Gesendet=\\Sent", "old", "Old/work")
    rules = explicit(into="Old", A="B")
    found = [goes(show(mailbox.path), ours, theirs, rules) for mailbox in ours]
    assert found == ["Old/INBOX", "Old/Sent", "Old/B", "Old/work"]


# All at once


def test_of_two_that_meet_by_role_the_second_keeps_its_own_name() -> None:
    ours = boxes("Sent Items=\\Sent", "Sent Messages=\\Sent", "INBOX")
    plan = plan_mapping(ours, boxes("Sent=\\Sent"), NO_RULES)
    assert [move.theirs for move in plan.moves] == [("Sent",), ("Sent Messages",), INBOX]
    assert plan.collisions == {}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["Sent Items=\\Sent", "Sent"], ["Sent=\\Sent"]),
        (["Sent", "Sent Items=\\Sent"], ["Sent=\\Sent"]),
        (["Work", "work"], ["work"]),
        (["work", "Work"], ["work"]),
    ],
)
def test_the_mailbox_of_that_very_name_keeps_the_place_in_any_order(
    ours: list[str], theirs: list[str]
) -> None:
    mailboxes = boxes(*ours)
    plan = plan_mapping(mailboxes, boxes(*theirs), NO_RULES)
    assert [move.theirs for move in plan.moves] == [mailbox.path for mailbox in mailboxes]
    assert plan.collisions == {}


def test_two_that_must_meet_are_told() -> None:
    ours = boxes("Trash Can=\\Trash", "Sent Mail=\\Sent", "Bin=\\Sent")
    plan = plan_mapping(ours, boxes("Sent=\\Sent", "Bin=\\Trash"), NO_RULES)
    assert [move.theirs for move in plan.moves] == [("Bin",), ("Sent",), ("Sent",)]
    assert plan.collisions == {("Sent",): (("Sent Mail",), ("Bin",))}


def test_a_place_the_user_gave_away_is_kept_for_whom_it_was_given_to() -> None:
    plan = plan_mapping(boxes("Old=\\Sent", "A"), boxes("B=\\Sent"), MappingRules({("A",): ("B",)}))
    assert [move.theirs for move in plan.moves] == [("Old",), ("B",)]
    assert plan.collisions == {}


def test_mapping_thousands_of_mailboxes_costs_no_more_than_their_number_says() -> None:
    def plan(count: int) -> MappingPlan:
        ours, theirs = (
            [Mailbox((sent, f"{word} {number}", "mail"), frozenset()) for number in range(count)]
            + boxes(f"{sent}=\\Sent")
            for sent, word in (("Sent", "Project"), ("Gesendet", "project"))
        )
        return plan_mapping(ours, theirs, NO_RULES)

    assert growth(plan, 4_000) < LINEAR
    assert plan(10).moves[7].theirs == ("Gesendet", "project 7", "mail")


def test_a_meeting_that_the_user_asked_for_is_no_collision() -> None:
    plan = plan_mapping(boxes("A", "B", "C"), [], MappingRules({("A",): ("C",), ("B",): ("C",)}))
    assert [move.theirs for move in plan.moves] == [("C",)] * 3
    assert plan.collisions == {}


def test_views_are_moves_to_nowhere_and_never_collide() -> None:
    plan = plan_mapping(boxes("All=\\All", "Starred=\\Flagged"), [], NO_RULES)
    assert [move.theirs for move in plan.moves] == [None, None]
    assert plan.collisions == {}


@given(BOXES, BOXES, st.dictionaries(PATHS, PATHS, max_size=2), st.just(()) | PATHS)
def test_any_mailboxes_have_a_plan_and_what_meets_unasked_is_told(
    ours: list[Mailbox],
    theirs: list[Mailbox],
    named: dict[MailboxPath, MailboxPath],
    into: MailboxPath,
) -> None:
    plan = plan_mapping(ours, theirs, MappingRules(named, into))
    assert [move.ours for move in plan.moves] == ours
    for move in plan.moves:
        assert move.theirs is None or move.theirs
        assert (move.theirs is None) <= move.ours.is_view
        assert (
            move.theirs is None
            or move.theirs[: len(into)] == into
            or spelled_there(into, theirs) == move.theirs[: len(into)]
        )
    unasked = [
        move.theirs
        for move in plan.moves
        if move.theirs and not any(move.ours.path[: len(rule)] == rule for rule in named)
    ]
    assert {path for path in unasked if unasked.count(path) > 1} == set(plan.collisions)


@given(PATHS, st.lists(PATHS, max_size=5))
def test_a_mailbox_spelled_their_way_differs_in_case_only(
    path: MailboxPath, theirs: list[MailboxPath]
) -> None:
    there = spelled_there(path, [Mailbox(known) for known in theirs])
    assert [part.casefold() for part in there] == [part.casefold() for part in path]
    if path in theirs:
        assert there == path


def test_a_parent_that_is_spelled_otherwise_there_takes_the_new_folder() -> None:
    assert spelled_there(("Work", "New", "x"), boxes("work/old")) == ("work", "New", "x")
    assert spelled_there(("Work", "Old", "x"), boxes("work/old", "Work")) == ("work", "old", "x")


# Names


@given(PATHS)
def test_a_shown_name_is_read_again(path: MailboxPath) -> None:
    assume(len(path) > 1 or path[0].upper() != "INBOX")
    assert parse_name(show(path)) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("inbox", INBOX),
        ("InBox", INBOX),
        ("A/B", ("A", "B")),
        ("A\\/B", ("A/B",)),
        ("A\\\\/B", ("A\\", "B")),
        ("A\\B\\", ("A\\B\\",)),
        ("a//b/", ("a", "", "b", "")),
        ("", ("",)),
    ],
)
def test_names_are_read_as_people_write_them(text: str, path: MailboxPath) -> None:
    assert parse_name(text) == path


@given(st.text())
def test_any_text_is_a_name(text: str) -> None:
    assert parse_name(text)


@pytest.mark.parametrize(
    ("name", "globs", "chosen"),
    [
        ("A", [], True),
        ("A", ["*"], True),
        ("A/B", ["*"], True),
        ("A/B", ["A"], True),
        ("A/B/C", ["A"], True),
        ("AB", ["A"], False),
        ("A/B", ["A", "!A/*"], False),
        ("A", ["A", "!A/*"], True),
        ("A/B", ["!A"], False),
        ("A/B", ["!A", "A/B"], True),
        ("INBOX/x", ["inbox"], True),
        ("A/B", ["A/*"], True),
        ("A/B", ["A?B"], True),
        ("A", ["a"], False),
        ("A", ["!B"], True),
        ("B", ["!B"], False),
        ("B", ["!B", "B"], True),
        ("B", ["B", "!B"], False),
        ("C", ["B", "!D"], False),
        ("B/C", ["*", "!B*"], False),
        ("INBOX", ["inbox"], True),
        ("INBOX", ["!InBox"], False),
        ("INBOX/x", ["inbox/*"], True),
        ("INBOX", ["inboxes"], False),
        ("A[1].+", ["A[1].+"], True),
        ("A1xx", ["A[1].+"], False),
        ("a\nb", ["a*b"], True),
    ],
)
def test_globs_choose_and_the_last_word_counts(name: str, globs: list[str], chosen: bool) -> None:
    assert matches(parse_name(name), globs) is chosen


@given(PATHS)
def test_a_name_without_wildcards_chooses_its_mailbox(path: MailboxPath) -> None:
    assume(not show(path).startswith("!"))
    assert matches(path, [show(path)])
    assert not matches(path, [show(path), "!" + show(path)])


@given(PATHS, st.lists(st.text(max_size=10), max_size=4))
def test_any_globs_choose_or_not(path: MailboxPath, globs: list[str]) -> None:
    matches(path, globs)


def test_a_view_is_named_by_its_very_name_alone() -> None:
    stars = ("[Gmail]", "Starred")
    assert is_named(stars, ["*", "[Gmail]/Starred"])
    assert not is_named(stars, ["[Gmail]"])
    assert not is_named(stars, ["[Gmail]/*"])
    assert not is_named(stars, ["[Gmail]/Starred", "![Gmail]/Starred"])
