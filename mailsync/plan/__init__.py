"""Listings in, actions out: what a pull and a push have to do, as frozen values.

Pure: no I/O, no clock, no logging.
"""

from mailsync.plan.matching import Comparison, Sighting, compare
from mailsync.plan.pull import ALARM_COUNT, PullPlan, plan_pull, stands_still
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
    has_moved,
    plan_mailbox,
    plan_search,
    rivals,
    unlocated,
)

__all__ = [
    "ALARM_COUNT",
    "EMPTY",
    "Comparison",
    "Evidence",
    "FileKey",
    "FileKeys",
    "FlagChange",
    "Located",
    "MailboxPlan",
    "PullPlan",
    "PushPlan",
    "Search",
    "Sighting",
    "SourcePlan",
    "compare",
    "file_key",
    "first_uid",
    "flag_change",
    "has_moved",
    "plan_mailbox",
    "plan_pull",
    "plan_search",
    "rivals",
    "stands_still",
    "unlocated",
]
