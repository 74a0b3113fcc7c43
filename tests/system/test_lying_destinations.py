"""Destinations that hold everything already, which no ledger knows, and show it wrongly: nothing is
there twice afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Box, Exchange, Lie, Mail
from tests.system.cli_home import Home

MANY = 4
RAN = (0, 3)
"""All is done, or some mailbox was not sent to and named."""


def account(port: int, more: str = "") -> str:
    return (
        f"protocol: imap, host: 127.0.0.1, port: {port}, security: none, username: {liar.USER},"
        f" password: {liar.PASSWORD}{more}"
    )


def filled() -> Mail:
    mail = Mail()
    for number in range(MANY):
        mail.put(b"INBOX", plain(number) + b"more\r\n" * number)
    return mail


def restored_to(home: Home, lie: Lie) -> None:
    """Migrate to a destination that holds all and tells this lie, then restore to it; each message
    must be there once.
    """
    old, new = filled(), filled()
    with liar.imap(old) as source, liar.imap(new, lie) as destination:
        home.configure(a=account(source.port), n=account(destination.port, ", archive: unused"))
        for command in (["migrate", "a", "n"], ["restore", "a", "--to", "n"]):
            done = home.run(*command)
            assert done.returncode in RAN, done.stdout + done.stderr
            assert new.contents() == old.contents(), command


def test_counters_of_a_lost_index_do_not_make_a_mailbox_empty(tmp_path: Path) -> None:
    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        if asked.name not in {"EXAMINE", "SELECT", "LIST", "STATUS"}:
            return said
        for truth, lie in (
            (rb"\* \d+ EXISTS", b"* 0 EXISTS"),
            (rb"MESSAGES \d+", b"MESSAGES 0"),
            (rb"UIDNEXT \d+", b"UIDNEXT 1"),
        ):
            said = [re.sub(truth, lie, one) for one in said]
        return said

    restored_to(Home(tmp_path), Lie("lost index", "nothing is sent", "imap", answer=answer))


@pytest.mark.parametrize(
    "shown",
    [
        lambda _: b"",
        lambda header: header[:60],
        lambda _: b"From: x@example.org\r\nMessage-ID: <another@example.org>\r\n\r\n",
    ],
    ids=["empty", "cut", "another's"],
)
def test_headers_that_are_not_the_messages_do_not_make_them_others(
    tmp_path: Path, shown: Callable[[bytes], bytes]
) -> None:
    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        return [_shown(one) for one in said] if asked.name == "UID FETCH" else said

    def _shown(one: bytes) -> bytes:
        found = re.search(rb"BODY\[HEADER\] \{(\d+)\}\r\n", one)
        if found is None:
            return one
        end = found.end() + int(found[1])
        header = shown(one[found.end() : end])
        return b"%bBODY[HEADER] {%d}\r\n%b%b" % (
            one[: found.start()],
            len(header),
            header,
            one[end:],
        )

    restored_to(Home(tmp_path), Lie("headers", "nothing is sent", "imap", answer=answer))


class OneMailbox(dict[bytes, Box]):
    """Mailboxes of which `Copy` is another name of `Sent`."""

    def get(self, key: bytes, default: object = None) -> Box | None:  # type: ignore[override]  # noqa: ARG002
        return super().get(b"Sent" if key == b"Copy" else key)


def test_two_names_of_one_mailbox_are_told(tmp_path: Path) -> None:
    def answer(asked: Exchange, said: list[bytes]) -> list[bytes]:
        again = [one.replace(b'"Sent"', b'"Copy"') for one in said if b'"Sent"' in one]
        return [*again, *said] if asked.name == "LIST" else said

    home, old, new = Home(tmp_path), Mail(), Mail()
    for number in range(3):
        old.put(b"Sent", plain(number))
        old.put(b"Copy", plain(number))
    new.box(b"Sent")
    new.boxes = OneMailbox(new.boxes)
    lie = Lie("two names", "told", "imap", answer=answer)
    with liar.imap(old) as source, liar.imap(new, lie) as destination:
        home.configure(a=account(source.port), n=account(destination.port, ", archive: unused"))
        told = home.run("migrate", "a", "n")
        assert "! Copy: is the same mailbox as Sent" in told.stdout + told.stderr
    honest = Mail()
    with liar.imap(old) as source, liar.imap(honest) as destination:
        home.configure(a=account(source.port), m=account(destination.port, ", archive: unused"))
        told = home.run("migrate", "a", "m")
        assert "is the same mailbox" not in told.stdout + told.stderr
