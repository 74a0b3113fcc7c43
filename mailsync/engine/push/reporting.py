"""What a report says of a push: its plan in numbers, and what did not arrive as it is in the
archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from mailsync.engine.names import name_of_message
from mailsync.engine.report import Report
from mailsync.engine.targets import Targets
from mailsync.formats.quantities import messages
from mailsync.mapping import show
from mailsync.model import INBOX, ArchivedMessage, MailboxPath
from mailsync.plan import MailboxPlan, PushPlan
from mailsync.progress import Progress

NAMES_SHOWN: Final = 5
"""Flags or mailboxes named in one remark."""


def count_plan(plan: PushPlan, targets: Targets, report: Report, progress: Progress) -> None:
    """Count what is there already and what is to do."""
    listed = {INBOX, *(one.path for one in targets.listed)}
    for mailbox in plan.mailboxes:
        for source in mailbox.sources:
            tally = report.of(source.path)
            tally.to = show(mailbox.path)
            tally.seen += source.seen
            tally.duplicate += source.already
            progress.expect(source.new, source.octets)
        for change in mailbox.flags:
            report.of(change.message.mailbox).flags += 1
        for message in mailbox.mangled:
            text = (
                "is there with another content than was sent, and sending again is no use: delete"
                f" it there, and {targets.restore(message.mailbox)} sends it again"
            )
            report.trouble_with("differs", message.mailbox, name_of_message(message), text)
        if mailbox.made_anew:
            _tell_of_another(mailbox, targets, report, is_listed=mailbox.path in listed)


def _tell_of_another(
    mailbox: MailboxPlan, targets: Targets, report: Report, *, is_listed: bool
) -> None:
    """Say that a mailbox is not the one that messages were sent to: a person took that away, or, of
    one that is listed, it was made anew.
    """
    name, paths = show(mailbox.path), [source.path for source in mailbox.sources]
    restore = targets.restore(*paths)
    if is_listed:
        text = (
            f"{name} was made anew on the destination since: what had been sent is gone with the"
            f" old one; {restore} brings it back"
        )
        report.trouble_with("made-anew", paths[0], "", text)
        return
    many = len(mailbox.removed)
    anew = "; it is made again for what is new" if mailbox.sends else ""
    text = (
        f"{name} was deleted or renamed on the destination since{anew}; {messages(many)} that had"
        f" been sent to it {'is' if many == 1 else 'are'} not sent again. {restore} does that"
    )
    report.note("deleted-there", paths[0], "", text)


def count_as_sent(plan: PushPlan, report: Report) -> None:
    """Count what is to be sent as a rehearsal shows it, and name the mailboxes to be made."""
    for mailbox in plan.mailboxes:
        for source in mailbox.sources:
            tally = report.of(source.path)
            tally.new += source.new
            tally.octets += source.octets
    if plan.to_make:
        names = ", ".join(map(show, plan.to_make))
        report.note("would-make", None, "", f"would be made on the destination: {names}")


def note_moved(mailbox: MailboxPath, places: Mapping[MailboxPath, int], report: Report) -> None:
    """Say how many messages went to other mailboxes since the last pull, so that they are not sent
    again.
    """
    many = sum(places.values())
    names = ", ".join(f"{show(path)} ({count:,})" for path, count in places.items())
    went = "message that was in here went" if many == 1 else "messages that were in here went"
    text = (
        f"{many:,} {went} to another mailbox since the last pull, {names}, and"
        f" {'is' if many == 1 else 'are'} not brought back (--also-moved does)"
    )
    report.note("moved", mailbox, "", text)


def note_removed(message: ArchivedMessage, report: Report) -> None:
    """Say that a person deleted or moved a message where it was counted as being."""
    tally = report.of(message.mailbox)
    tally.removed += 1
    tally.duplicate = max(0, tally.duplicate - 1)
    report.note(
        "removed-there",
        message.mailbox,
        name_of_message(message),
        "was deleted there since, or moved to another mailbox; it is not sent again",
    )


def note_flags_left_out(left_out: Mapping[MailboxPath, Counter[str]], report: Report) -> None:
    """Say which flags messages came without, because a mailbox does not keep them."""
    for path, flags in left_out.items():
        words = ", ".join(f"{flag} ({many})" for flag, many in flags.most_common(NAMES_SHOWN)) + (
            ", …" if len(flags) > NAMES_SHOWN else ""
        )
        if words:
            text = f"messages came without flags that are not kept there: {words}"
            report.note("flags-left-out", path, "", text)
