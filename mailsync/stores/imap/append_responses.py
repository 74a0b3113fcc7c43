"""What a server's answer to an APPEND means: stored, another try in another form, refused, wait, or
stop. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from mailsync.errors import StoreUnavailable
from mailsync.mapping import show
from mailsync.model import Appended, MailboxPath, Parcel, Refused, Unanswered
from mailsync.stores.imap.append import Send
from mailsync.stores.imap.permanent_flags import allowed
from mailsync.stores.imap.repair import looks_odd, repaired
from mailsync.stores.imap.response import UID_LIMIT, Result, number_of
from mailsync.stores.imap.uid_set import ranges_of
from mailsync.stores.refusals import append_trouble, is_closed, is_too_big

AppendOutcome: TypeAlias = Appended | Refused | Unanswered
Permanent: TypeAlias = Callable[[MailboxPath], "frozenset[str] | None"]


class AppendPolicy:
    """What the answers of one destination mean.

    `repair`: a refused message may be sent as a repaired copy. `limit` is the APPENDLIMIT of all
    mailboxes, in octets, None when there is none. `permanent` tells the flags a mailbox keeps. Once
    a batch was refused the server counts as `strict`.
    """

    def __init__(
        self, account: str, *, repair: bool, limit: int | None, permanent: Permanent
    ) -> None:
        self.account = account
        self.limit = limit
        self.strict = False
        self._repair = repair
        self._permanent = permanent
        self._closed: dict[MailboxPath, str] = {}

    def first(self, parcel: Parcel) -> Send | Refused:
        """Return the form in which a parcel is tried first, or refuse at once what is known to be
        of no use.
        """
        closed = self._closed.get(parcel.mailbox)
        if closed is not None:
            return Refused(parcel, closed)
        size = len(parcel.content)
        if self.limit is not None and size > self.limit:
            return Refused(
                parcel,
                f"the server takes messages of at most {self.limit:,} octets; this one has"
                f" {size:,}",
            )
        return Send(
            parcel,
            parcel.content,
            self._flags(parcel),
            odd=self.strict and looks_odd(parcel.content),
        )

    def closed(self, mailbox: MailboxPath, result: Result) -> str | None:
        """Return why nothing at all can be added to a mailbox, None when the refusal was about the
        messages; remembered for `first`.
        """
        if not is_closed(result.said):
            return None
        self._closed[mailbox] = (
            f"the server takes nothing for mailbox {show(mailbox)}:"
            f" {result.text or 'no reason given'}"
        )
        return self._closed[mailbox]

    def stop(self, result: Result) -> StoreUnavailable | None:
        """Return the error where a refusal means that the account must wait (`retryable`) or
        stop.
        """
        return append_trouble(self.account, result.refusal)

    def another(self, send: Send, result: Result) -> Send | Refused:
        """After a refusal of one message alone: give the next form to try, or the refusal, in the
        server's first words.

        Verbatim without keywords, then repaired, then repaired without keywords: what was no reason
        for the refusal is kept.
        """
        refusal = send.refusal or result.text or "no reason given"
        if is_too_big(result.said):
            return Refused(
                send.parcel,
                f"it is too big for the server, with {len(send.content):,} octets: {refusal}",
            )
        if any(not flag.startswith("\\") for flag in send.flags):
            flags = frozenset(flag for flag in send.flags if flag.startswith("\\"))
            return replace(send, flags=flags, refusal=refusal)
        mended = repaired(send.parcel.content) if self._repair and not send.repaired else None
        if mended is None:
            return Refused(send.parcel, f"the server refused it: {refusal}")
        copy, changes = mended
        return Send(
            send.parcel,
            copy,
            self._flags(send.parcel),
            f"{changes} (the server had said: {refusal})",
            refusal,
        )

    def _flags(self, parcel: Parcel) -> frozenset[str]:
        return allowed(parcel.message.flags, self._permanent(parcel.mailbox))


def appended(group: list[Send], result: Result) -> list[AppendOutcome]:
    """Read the good answer to one command."""
    validity, uids = append_uids(result, len(group))
    return [
        Appended(send.parcel, validity, uid, send.flags, send.repaired)
        for send, uid in zip(group, uids, strict=True)
    ]


def append_uids(result: Result, count: int) -> tuple[int | None, list[int | None]]:
    """Read APPENDUID (RFC 4315 section 3): UIDVALIDITY and a UID a message, in order; Nones where
    the server did not tell.
    """
    validity, _, uids = result.argument.partition(b" ")
    if result.code == b"APPENDUID" and number_of(validity, UID_LIMIT):
        spans = ranges_of(uids)
        if (
            all(0 < span.start < span.stop <= 1 << 32 for span in spans)
            and sum(map(len, spans)) == count
        ):
            return int(validity), [uid for span in spans for uid in span]
    return None, [None] * count
