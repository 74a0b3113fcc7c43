"""What vanished from the server since the pull before: said so that the owner notices, with the
command that brings it back.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mailsync.archive import PullRun
from mailsync.engine.report import Report
from mailsync.formats.quantities import messages, moment
from mailsync.mapping import is_bin, show
from mailsync.model import Mailbox, MailboxPath
from mailsync.plan import alarming


@dataclass(frozen=True, slots=True)
class _Vanished:
    """So many messages of a mailbox that live in no other one now but, `binned` of them, in one
    for what was thrown away.
    """

    count: int
    binned: int
    bins: Collection[MailboxPath]


class Vanished:
    """The losses of one pull."""

    def __init__(self, run: PullRun, report: Report, listed: Collection[Mailbox]) -> None:
        self._run = run
        self._report = report
        self._bins = {mailbox.path for mailbox in listed if is_bin(mailbox)}

    def from_mailboxes(self, paths: Collection[MailboxPath]) -> None:
        """Say of which of these mailboxes, which are there, too much vanished to be usual."""
        for path in paths:
            if path in self._bins:
                continue
            found = self._found(path)
            if alarming(found.count, self._run.vanishing.left(path)):
                said = f"{messages(found.count)} vanished from the server at once"
                self._alarm(path, found, f"{said}; the archive keeps every one of them")

    def with_mailboxes(self, absent: Sequence[MailboxPath]) -> None:
        """Say which mailboxes vanished, those below a vanished one together with it."""
        families: dict[MailboxPath, list[MailboxPath]] = {}
        for path in sorted(absent, key=len):
            above = (path[:depth] for depth in range(1, len(path)))
            families.setdefault(next((one for one in above if one in families), path), []).append(
                path
            )
        for path, family in families.items():
            self._family(path, family)

    def _family(self, path: MailboxPath, family: Sequence[MailboxPath]) -> None:
        all_found = [self._found(one) for one in family]
        found = _Vanished(
            sum(one.count for one in all_found),
            sum(one.binned for one in all_found),
            {path for one in all_found for path in one.bins},
        )
        below = len(family) - 1
        them = "is the mailbox" if below == 1 else f"are the {below:,} mailboxes"
        more = f", and neither {them} below it" if below else ""
        said = f"is no longer on the server{more}"
        if not found.count or is_bin(Mailbox(path)):
            text = f"{said}; the archive keeps what was in {'them' if below else 'it'}"
            self._report.note("mailbox-gone", path, "", text)
            return
        said = f"{said}: {messages(found.count)} vanished, the archive keeps every one"
        if alarming(found.count, 0):
            self._alarm(path, found, said)
        else:
            text = f"{said}. {self._way_back(path, found)}"
            self._report.note("mailbox-vanished", path, "", text)

    def _alarm(self, path: MailboxPath, found: _Vanished, said: str) -> None:
        self._report.alarm("mass-vanishing", path, f"{said}. {self._way_back(path, found)}")

    def _found(self, path: MailboxPath) -> _Vanished:
        places = [set(found) for found in self._run.vanishing.messages(path)]
        lost = [found for found in places if found <= self._bins]
        return _Vanished(len(lost), sum(map(bool, lost)), set().union(*lost))

    def _way_back(self, path: MailboxPath, found: _Vanished) -> str:
        """Return what brings messages back: those that this run was the first to miss."""
        since = moment(self._run.started, seconds=True).replace(" ", "T")
        also = " --also-moved" if found.binned == found.count else ""
        account, archive = map(shlex.quote, (self._report.account, self._report.archive))
        place = f" --archive {archive}" if "://" in account else ""
        command = (
            f"mailsync restore {account}{place} --mailbox {shlex.quote(show(path))}"
            f" --gone-since {since}{also}"
        )
        bins = ", ".join(sorted(map(show, found.bins)))
        where = f" ({found.binned:,} of them lie in {bins} now)" if bins else ""
        return f"To bring them back{where}: `{command}`"


def note_missing(
    report: Report, missing: Mapping[MailboxPath, str], absent: Collection[MailboxPath]
) -> None:
    """Name the mailboxes that a server lists and does not have, but for those whose vanishing is
    told anyway.
    """
    for path, text in missing.items():
        if path not in absent:
            report.note("mailbox-missing", path, "", text)
