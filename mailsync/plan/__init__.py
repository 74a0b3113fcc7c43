"""Listings in, actions out: what a pull and a push have to do, as frozen values.

Pure: no I/O, no clock, no logging.
"""

from mailsync.plan.flags import flags_of_copies
from mailsync.plan.likeness import HeaderTraits, same_way, size_fits, sizes, traits_of
from mailsync.plan.matching import Comparison, Likeness, Sighting, compare
from mailsync.plan.pull import PullPlan, alarming, is_due, plan_pull, stands_still
from mailsync.plan.push import (
    EMPTY,
    Evidence,
    FileKey,
    FileKeys,
    FlagChange,
    Located,
    MailboxPlan,
    PushPlan,
    Search,
    SourcePlan,
    file_key,
    first_uid,
    flag_change,
    plan_mailbox,
    plan_search,
    rivals,
    unlocated,
)

__all__ = [
    "EMPTY",
    "Comparison",
    "Evidence",
    "FileKey",
    "FileKeys",
    "FlagChange",
    "HeaderTraits",
    "Likeness",
    "Located",
    "MailboxPlan",
    "PullPlan",
    "PushPlan",
    "Search",
    "Sighting",
    "SourcePlan",
    "alarming",
    "compare",
    "file_key",
    "first_uid",
    "flag_change",
    "flags_of_copies",
    "is_due",
    "plan_mailbox",
    "plan_pull",
    "plan_search",
    "rivals",
    "same_way",
    "size_fits",
    "sizes",
    "stands_still",
    "traits_of",
    "unlocated",
]
