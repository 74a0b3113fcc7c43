"""What a server's refusal means by its code and its words, over IMAP and POP3 alike: wait, stop, or
only this one command failed (RFC 5530, RFC 9051 section 7.1, RFC 2449 section 8, RFC 3206).

The only list of such codes and words. No I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mailsync.errors import (
    AuthenticationFailed,
    OverQuota,
    ServerBusy,
    StoreUnavailable,
    Throttled,
    TlsError,
)

_THROTTLED: Final = frozenset({"THROTTLED"})
_FULL: Final = frozenset({"OVERQUOTA"})
_BUSY: Final = frozenset({"UNAVAILABLE", "INUSE", "IN-USE", "LIMIT", "LOGIN-DELAY", "SYS/TEMP"})
_BUSY_AT_LOGIN: Final = frozenset({"SERVERBUG"})
_WRONG_PASSWORD: Final = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "CONTACTADMIN", "AUTH"}
)
_UNENCRYPTED: Final = frozenset({"PRIVACYREQUIRED"})
_BROKEN: Final = frozenset({"SYS/PERM"})
_TOO_BIG: Final = frozenset({"TOOBIG", "APPENDLIMIT"})
_CLOSED: Final = frozenset({"TRYCREATE", "NONEXISTENT", "NOPERM"})
_MISSING: Final = frozenset({"NONEXISTENT"})
_OF_THE_NAME: Final = frozenset({"", "CANNOT", "CLIENTBUG", "BADCHARSET", "PARSE"})
"""Codes that another mailbox name may help against; none is what most servers send."""

_THROTTLED_WORDS: Final = re.compile(
    r"throttl|back-?off|bandwidth limit|download.{0,20}limit", re.IGNORECASE
)
_CONNECTION_WORDS: Final = re.compile(
    r"(?:too many|maximum|simultaneous|concurrent|limit|exceed).{0,40}"
    r"\b(?:connection|session)s?\b"
    r"|\b(?:connection|session)s?\b.{0,20}(?:limit|exceed|too many|maximum)"
    r"|authenticated but not connected",
    re.IGNORECASE,
)
"""These mean the connections, whatever code stands before them and whatever was asked for."""

_BUSY_WORDS: Final = re.compile(
    r"too many(?! (?:failed|bad|wrong|invalid|incorrect|unsuccessful|authentication))"
    r"|simultaneous|temporar|try (?:again|later)|in use|overload"
    r"|server (?:is )?(?:busy|unavailable)"
    r"|(?:maildrop|mailbox|mail drop)\b.*\b(?:locked|lock|busy)\b",
    re.IGNORECASE,
)
_PASSWORD_WORDS: Final = re.compile(
    r"(?:invalid|incorrect|wrong|bad|unknown) (?:user|login|password|credentials)", re.IGNORECASE
)
"""Whoever says so after a login means it, also with `please try again` behind it: asking again with
the same password locks people out.
"""

_LOGIN_FAILED_WORDS: Final = re.compile(
    r"\b(?:log-?in|logon|sign-?in|authentication|authori[sz]ation|password)"
    r" (?:has |was |is )?(?:failed|failure|incorrect|invalid|rejected|denied|not accepted)",
    re.IGNORECASE,
)
_TRY_AGAIN: Final = re.compile(r"try again(?! later)", re.IGNORECASE)
"""Behind a login that failed this is said to whoever mistyped a password, and no sign of haste."""

_FULL_WORDS: Final = re.compile(r"quota|mailbox is full|over limit|no space", re.IGNORECASE)
_TOO_BIG_WORDS: Final = re.compile(
    r"(mail|message|letter) (size|is) .{0,30}(larger|too large|too big)|too large|too big",
    re.IGNORECASE,
)
"""Dovecot says [LIMIT], which else means the whole account, of one message that is too large."""

_MISSING_WORDS: Final = re.compile(
    r"does ?n[o']t exist|non-?existent|no such (?:mailbox|folder)|unknown (?:mailbox|folder)",
    re.IGNORECASE,
)
_NOT_OF_THE_NAME: Final = re.compile(
    r"permission|denied|read-?only|quota|limit|not allowed to", re.IGNORECASE
)
_WAIT: Final = re.compile(
    r"(\d{1,9})(?:\.\d+)?\s*(milliseconds?|msec|ms|seconds?|secs?|s|minutes?|mins?)\b",
    re.IGNORECASE,
)
_WAIT_BARE: Final = re.compile(r"back-?off\s*(?:time)?\s*[:=]?\s*(\d{1,9})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said: its response code, upper case (empty: none), its `words` as they are, by
    which alone it is judged, and what people are shown of them, without secrets.
    """

    code: str
    words: str = field(repr=False)
    shown: str

    def __str__(self) -> str:
        return self.shown or "no reason given"


NONE: Final = Refusal("", "", "")
"""What was not refused, or without a word."""


def trouble(
    account: str,
    refusal: Refusal | None,
    doing: str,
    *,
    whole_account: bool = False,
    adding: bool = False,
) -> StoreUnavailable | None:
    """Return the error where a refusal means that the account must wait or stop: Throttled,
    ServerBusy (both retryable) or OverQuota; None when it is about this one command, or is none.

    `doing` ends the sentence for people (`fetching messages`). `whole_account`: what was refused is
    all there is (a login, a POP3 maildrop), so that words as vague as `in use` count too. `adding`:
    something was to be stored there; only then is a quota the server's room, and else a limit of
    what may be asked in a time (Gmail says [OVERQUOTA] to a FETCH).
    """
    if refusal is None:
        return None
    wait = stated_wait(refusal.words)
    slowed = refusal.code in _THROTTLED or _THROTTLED_WORDS.search(refusal.words)
    if refusal.code in _FULL and adding and not slowed:
        return _full(account, refusal)
    if slowed or refusal.code in _FULL:
        return Throttled(account, f"the server slows us down while {doing}: {refusal}", wait)
    if (
        refusal.code in _BUSY
        or _means_connections(refusal)
        or (whole_account and _is_vaguely_busy(refusal))
    ):
        message = f"the server is busy while {doing}: {refusal}"
        return ServerBusy(account, message) if wait is None else Throttled(account, message, wait)
    return None


def login_refused(
    account: str, server: str, user: str, refusal: Refusal, hint: str = ""
) -> StoreUnavailable:
    """Tell a wrong password from a server that has no time for us now, or wants encryption; `hint`
    is what is known of passwords there.
    """
    busy = trouble(account, refusal, "logging in", whole_account=True)
    if busy is not None:
        return busy
    if refusal.code in _BUSY_AT_LOGIN:
        return ServerBusy(account, f"{server} does not let us in now: {refusal}")
    if refusal.code in _BROKEN:
        return StoreUnavailable(account, f"{server} cannot let us in: {refusal}")
    if refusal.code in _UNENCRYPTED:
        return TlsError(
            account,
            f"{server} wants encryption before the password; use `security: tls` or `starttls`",
        )
    said = str(refusal).rstrip(". ")
    return AuthenticationFailed(
        account,
        f"{server} refused the login of {user!r}: {said}; check user name and password"
        f"{f'. {hint}' if hint else ''}",
    )


def refused(account: str, server: str, refusal: Refusal, doing: str) -> StoreUnavailable:
    """Make the error of a refusal that nothing can go on without (a POP3 greeting, a listing)."""
    busy = trouble(account, refusal, doing, whole_account=True)
    if busy is not None:
        return busy
    kind = AuthenticationFailed if refusal.code in _WRONG_PASSWORD else StoreUnavailable
    return kind(account, f"{server} refused at {doing}: {refusal}")


def append_trouble(account: str, refusal: Refusal | None) -> StoreUnavailable | None:
    """Return the error where a refused APPEND means that the account must wait, or is full; None
    when it is about these messages.
    """
    if refusal is None or is_too_big(refusal):
        return None
    if _FULL_WORDS.search(refusal.words) and not _THROTTLED_WORDS.search(refusal.words):
        return _full(account, refusal)
    return trouble(account, refusal, "appending messages", adding=True)


def is_too_big(refusal: Refusal) -> bool:
    """Return whether one message alone is larger than the server takes (RFC 7889)."""
    return refusal.code in _TOO_BIG or bool(_TOO_BIG_WORDS.search(refusal.words))


def is_closed(refusal: Refusal) -> bool:
    """Return whether a mailbox takes nothing, whatever message comes."""
    return refusal.code in _CLOSED


def is_missing(refusal: Refusal) -> bool:
    """Return whether a mailbox does not exist: by the code, or in the words servers use."""
    return refusal.code in _MISSING or (
        not refusal.code and bool(_MISSING_WORDS.search(refusal.words))
    )


def is_about_the_name(refusal: Refusal) -> bool:
    """Return whether another name may help where a mailbox could not be made."""
    return refusal.code in _OF_THE_NAME and not _NOT_OF_THE_NAME.search(refusal.words)


def stated_wait(words: str) -> float | None:
    """Read how long a server asks us to wait, in seconds: `Suggested Backoff Time: 299961
    milliseconds`; None when it does not say.
    """
    found = _WAIT.search(words)
    if found:
        unit = found[2].lower()
        return int(found[1]) * (
            0.001 if unit.startswith(("ms", "mil")) else 60.0 if unit.startswith("min") else 1.0
        )
    bare = _WAIT_BARE.search(words)
    return int(bare[1]) / 1000 if bare else None  # Exchange and Gmail count in milliseconds


def _full(account: str, refusal: Refusal) -> OverQuota:
    return OverQuota(account, f"the server is full: {refusal}")


def _means_connections(refusal: Refusal) -> bool:
    """Whether there are too many of them; many a server gives that the code of a wrong password."""
    return (
        bool(_CONNECTION_WORDS.search(refusal.words))
        and not _PASSWORD_WORDS.search(refusal.words)
        and not is_missing(refusal)
    )


def _is_vaguely_busy(refusal: Refusal) -> bool:
    """Whether only the words say so, and no code says something else."""
    words = refusal.words
    if _LOGIN_FAILED_WORDS.search(words):
        words = _TRY_AGAIN.sub("", words)
    return (
        refusal.code not in _WRONG_PASSWORD | _UNENCRYPTED | _BROKEN
        and bool(_BUSY_WORDS.search(words))
        and not _PASSWORD_WORDS.search(words)
    )
