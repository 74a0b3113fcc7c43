"""What servers say when they refuse, and what we make of it."""

from __future__ import annotations

import pytest

from mailsync.errors import (
    AuthenticationFailed,
    OverQuota,
    ServerBusy,
    StoreUnavailable,
    Throttled,
    TlsError,
)
from mailsync.stores.refusals import (
    Refusal,
    append_trouble,
    is_missing,
    login_refused,
    refused,
    stated_wait,
    trouble,
)


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("AUTHENTICATIONFAILED", "Authentication failed.", AuthenticationFailed),
        ("AUTH", "Authentication failed, try again", AuthenticationFailed),
        ("", "Invalid password, please try again", AuthenticationFailed),
        ("", "Authentication failed. Please try again.", AuthenticationFailed),
        ("", "Login failed, try again", AuthenticationFailed),
        ("", "Login failed: too many connections, try again", ServerBusy),
        ("", "Login failed, try again later", ServerBusy),
        ("", "Temporary authentication failure, try again", ServerBusy),
        ("", "too many failed logins", AuthenticationFailed),
        ("", "", AuthenticationFailed),
        ("", "Too many simultaneous connections. (Failure)", ServerBusy),
        ("ALERT", "Too many connections from your address", ServerBusy),
        ("AUTHENTICATIONFAILED", "Too many simultaneous connections", ServerBusy),
        ("AUTH", "Maximum number of connections from user+IP exceeded", ServerBusy),
        ("", "Connection limit reached", ServerBusy),
        ("AUTH", "Invalid password, or too many connections", AuthenticationFailed),
        ("OVERQUOTA", "Account exceeded command or bandwidth limits", Throttled),
        ("IN-USE", "maildrop locked", ServerBusy),
        ("", "unable to lock maildrop: mailbox is busy", ServerBusy),
        ("SYS/TEMP", "out of memory", ServerBusy),
        ("UNAVAILABLE", "Temporary authentication failure", ServerBusy),
        ("SERVERBUG", "Internal error", ServerBusy),
        ("LOGIN-DELAY", "wait 30 seconds", Throttled),
        ("THROTTLED", "slow down", Throttled),
        ("SYS/PERM", "your mailbox is in use no more", StoreUnavailable),
        ("PRIVACYREQUIRED", "not without TLS", TlsError),
    ],
)
def test_a_refused_login_is_a_wrong_password_or_a_server_without_time(
    code: str, words: str, kind: type[StoreUnavailable]
) -> None:
    error = login_refused("a", "mail.example:993", "alice", Refusal(code, words, words))
    assert type(error) is kind


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("OVERQUOTA", "Quota exceeded", Throttled),
        ("OVERQUOTA", "Account exceeded command or bandwidth limits. (Failure)", Throttled),
        ("", "Too many simultaneous connections. (Failure)", ServerBusy),
        ("", "User is authenticated but not connected.", ServerBusy),
        ("", "Download bandwidth limit exceeded", Throttled),
        ("LIMIT", "Too many commands", ServerBusy),
        ("INUSE", "wait 5 s", Throttled),
        ("", "Mailbox is in use", type(None)),
        ("NONEXISTENT", "no such mailbox", type(None)),
        ("", "unknown command", type(None)),
    ],
)
def test_a_refused_command_stops_the_account_only_where_it_is_about_the_account(
    code: str, words: str, kind: type[StoreUnavailable | None]
) -> None:
    assert type(trouble("a", Refusal(code, words, words), "fetching messages")) is kind
    assert trouble("a", None, "fetching messages") is None


def test_what_is_all_there_is_may_be_busy_in_any_words() -> None:
    refusal = Refusal("", "mailbox is in use", "mailbox is in use")
    assert isinstance(trouble("a", refusal, "listing", whole_account=True), ServerBusy)
    assert isinstance(refused("a", "pop.example:995", refusal, "listing"), ServerBusy)


def test_a_refusal_without_a_known_reason_names_server_and_deed() -> None:
    error = refused("a", "pop.example:995", Refusal("", "", ""), "listing the mailbox")
    assert str(error) == "pop.example:995 refused at listing the mailbox: no reason given"
    assert not error.retryable


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("", "Mailbox is full", OverQuota),
        ("OVERQUOTA", "Not enough room", OverQuota),
        ("OVERQUOTA", "Account exceeded command or bandwidth limits", Throttled),
        ("LIMIT", "Message size is 900, larger than the limit", type(None)),
        ("TOOBIG", "over limit", type(None)),
        ("THROTTLED", "later", Throttled),
    ],
)
def test_an_append_is_refused_for_one_message_or_for_all(
    code: str, words: str, kind: type[StoreUnavailable | None]
) -> None:
    assert type(append_trouble("a", Refusal(code, words, words))) is kind


def test_a_mailbox_is_missing_by_code_or_in_words_without_one() -> None:
    assert is_missing(Refusal("NONEXISTENT", "gone", "gone"))
    assert is_missing(Refusal("", "Mailbox doesn't exist: Sent", "Mailbox doesn't exist: Sent"))
    assert not is_missing(
        Refusal("NOPERM", "Mailbox doesn't exist: Sent", "Mailbox doesn't exist: Sent")
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961),
        ("Throttled, backoff 1500 ms", 1.5),
        ("try again in 30 seconds", 30),
        ("wait 2 minutes", 120),
        ("Backoff time: 2500", 2.5),
        ("come back later", None),
    ],
)
def test_a_stated_wait_is_understood(text: str, seconds: float | None) -> None:
    assert stated_wait(text) == (None if seconds is None else pytest.approx(seconds))
