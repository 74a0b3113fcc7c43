"""Pushes into an empty account, and migrations: what mailsync overlaps against the same work in two
steps.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from scripts.benchmark import measure, programs
from scripts.benchmark.bench import Bench, boxes, size_of
from scripts.benchmark.contest import Entrant, Job, Line, hold, scratch
from scripts.benchmark.mailboxes import Mail, received
from scripts.benchmark.programs import Login, account, mailsync
from scripts.benchmark.record import FAR, NEAR, OURS, TLS, WIRE, Comparison
from tests.servers import dovecot
from tests.servers.processes import workplace

_ONE_BY_ONE: Final = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE NAMESPACE LIST-EXTENDED LIST-STATUS"
    " SPECIAL-USE CHILDREN UNSELECT UIDPLUS LITERAL+ CONDSTORE QRESYNC ESEARCH WITHIN"
)
_STORED: Final = "by the server"


def together(bench: Bench) -> list[Comparison]:
    """Push 2,000 messages to a server that takes many messages in one command."""
    return [
        _pushed(
            bench,
            "push (MULTIAPPEND, LITERAL+)",
            "at most 12 round trips, twice the bare socket's wall",
            several=True,
        )
    ]


def one_by_one(bench: Bench) -> list[Comparison]:
    """Push 2,000 messages to a server that takes one message a command, without asking for its
    literal first.
    """
    with (
        workplace("dovecot-") as place,
        dovecot.start(place, _ONE_BY_ONE, password=bench.server.password) as server,
    ):
        return [
            _pushed(
                replace(bench, server=server),
                "push (LITERAL+ alone)",
                "at most 40 round trips",
                several=False,
            )
        ]


def migrate(bench: Bench) -> list[Comparison]:
    """Move 2,000 messages from one account to another."""
    mail = bench.filled(boxes(4), 2_000, 63_000_000)
    found = Comparison(
        "migrate, IMAP to IMAP", size_of(mail), 2 * mail.octets, "less than pull, then push"
    )

    def verbs(*steps: Sequence[str]) -> Callable[[Path, Login], list[str]]:
        def command(folder: Path, there: Login) -> list[str]:
            here = replace(there, user=mail.user)
            calls = [
                mailsync(folder, step, a=account(here), b=account(there, ", backup: false"))
                for step in steps
            ]
            return (
                calls[0] if len(calls) == 1 else ["sh", "-c", " && ".join(map(shlex.join, calls))]
            )

        return command

    entrants = [
        _sending(bench, mail, OURS, verbs(["migrate", "a", "b"])),
        _sending(
            bench,
            mail,
            "mailsync pull, then push",
            verbs(["pull", "a"], ["push", "a", "b"]),
            peer=True,
        ),
        *_imapsync(bench, mail, both=True),
    ]
    _held(bench, found, entrants)
    bench.server.forget(mail.user)
    return [found]


def _pushed(bench: Bench, work: str, target: str, *, several: bool) -> Comparison:
    mail = bench.filled(boxes(4), 2_000, 63_000_000)
    found = Comparison(work, size_of(mail), mail.octets, target)
    with _archives(bench, mail) as (ours, theirs):

        def push(_: Path, there: Login) -> list[str]:
            return mailsync(
                ours,
                ["push", "a", "b"],
                a=account(bench.direct(mail.user)),
                b=account(there, ", backup: false"),
            )

        def bare(_: Path, there: Login) -> list[str]:
            return programs.wire_push(there, ours / "archives" / "a" / "mail", several=several)

        entrants = [
            _sending(bench, mail, OURS, push),
            _sending(bench, mail, WIRE, bare),
            *_imapsync(bench, mail),
        ]
        if theirs:

            def sync(folder: Path, there: Login) -> list[str]:
                return programs.mbsync_sync(theirs, there, "Push", folder)

            entrants.append(_sending(bench, mail, "mbsync", sync, peer=True))
        _held(bench, found, entrants)
    bench.server.forget(mail.user)
    return found


def _held(bench: Bench, found: Comparison, entrants: Sequence[Entrant]) -> None:
    with bench.ways(
        [*([] if bench.quick else [TLS]), NEAR, *([] if bench.quick else ["40 ms"]), FAR]
    ) as ways:
        hold(found, entrants, ways, bench.rounds)
    for user in [path.name for path in (bench.server.directory / "mail").glob("to*")]:
        bench.server.forget(user)


@contextmanager
def _archives(bench: Bench, mail: Mail) -> Iterator[tuple[Path, Path | None]]:
    """Pull the mail with mailsync and, where it is installed, with mbsync: what each pushes is what
    it keeps itself.
    """
    with scratch() as place:
        folders: dict[str, Path] = {}
        for program in programs.pulling("imap"):
            if program.name in {OURS, "mbsync"}:
                folder = folders[program.name] = place / program.name
                folder.mkdir()
                measure.run(program.pull(folder, bench.direct(mail.user)), folder)
        yield folders[OURS], folders.get("mbsync")


def _sending(
    bench: Bench,
    mail: Mail,
    program: str,
    command: Callable[[Path, Login], list[str]],
    *,
    peer: bool = False,
) -> Entrant:
    """Let a program send to a user of its own each time; `command` is told the login of the
    destination.
    """

    def ready(folder: Path, way: Line) -> Job:
        there = bench.login(bench.server.user("to"), way)

        return Job(
            folder, command(folder, there), lambda: mail.arrived(received(bench.server, there.user))
        )

    return Entrant(program, ready, _STORED, peer, waits=program == "imapsync")


def _imapsync(bench: Bench, mail: Mail, *, both: bool = False) -> list[Entrant]:
    """Let imapsync copy from account to account, where it is installed; `both` of them over the
    measured line.
    """
    if bench.quick or not shutil.which("imapsync"):
        return []

    def command(folder: Path, there: Login) -> list[str]:
        here = replace(there, user=mail.user) if both else bench.direct(mail.user)
        sides = [
            word
            for side, login in (("1", here), ("2", there))
            for word in _imapsync_side(side, login)
        ]
        return [
            "imapsync",
            *sides,
            "--nolog",
            "--noreleasecheck",
            "--tmpdir",
            str(folder),
            "--pidfile",
            f"{folder}/pid",
        ]

    return [_sending(bench, mail, "imapsync", command, peer=True)]


def _imapsync_side(side: str, login: Login) -> list[str]:
    where = [
        f"--host{side}",
        "127.0.0.1",
        f"--port{side}",
        str(login.port),
        f"--user{side}",
        login.user,
        f"--password{side}",
        login.password,
    ]
    return (
        [*where, f"--ssl{side}"] if login.ca_file else [*where, f"--nossl{side}", f"--notls{side}"]
    )
