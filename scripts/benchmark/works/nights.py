"""Second pulls: nothing new in few and many mailboxes, and little new among much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmark import measure, programs
from scripts.benchmark.bench import Bench, boxes, size_of
from scripts.benchmark.contest import Entrant, Job, Line, hold, scratch
from scripts.benchmark.mailboxes import Mail, NotTheSameWork, fill
from scripts.benchmark.programs import Program
from scripts.benchmark.record import FAR, NEAR, OURS, WIRE, Comparison

_SMALL = 900


def no_news(bench: Bench) -> list[Comparison]:
    """Pull again where nothing happened, in 1, 100 and 1,000 mailboxes."""
    return [_quiet(bench, count) for count in ((1, 100) if bench.quick else (1, 100, 1_000))]


def _quiet(bench: Bench, count: int) -> Comparison:
    mail = bench.filled(boxes(count), max(1_000, 2 * count), 5_000 * max(1_000, 2 * count))
    found = Comparison(
        "nothing new", size_of(mail), 0, "at most 6 round trips" if count == 100 else ""
    )
    with scratch() as place, bench.ways([NEAR, *([] if bench.quick else ["40 ms"]), FAR]) as ways:
        entrants = [
            _again(bench, program, mail, place)
            for program in programs.pulling("imap")
            if not (bench.quick and program.waits)
        ]
        hold(found, entrants, ways, bench.rounds)
    bench.server.forget(mail.user)
    return found


def _again(bench: Bench, program: Program, mail: Mail, place: Path) -> Entrant:
    own = place / program.name.replace(" ", "-")
    own.mkdir()

    def ready(folder: Path, way: Line) -> Job:
        login = bench.login(mail.user, way)
        if program.name == WIRE:
            return Job(folder, programs.wire_look(login))
        # mailsync refuses an account whose port changed: to it that is another server.
        ours = program.name == OURS
        kept = own / re.sub(r"\W+", "-", way.name) if ours else own
        kept.mkdir(exist_ok=True)
        if not any(kept.iterdir()):
            first = login if ours else bench.direct(mail.user)
            measure.run(program.pull(kept, first), kept, way.proxy if ours else None)
        return Job(
            kept,
            program.pull(kept, login),
            lambda: mail.arrived(program.kept(kept), exactly=ours),
        )

    # Far away a thousand mailboxes asked one by one take minutes: their waits are counted near.
    one_by_one = program.waits or (len(mail.mailboxes) >= 1_000 and program.peer)
    return Entrant(program.name, ready, program.keeps, program.peer, one_by_one)


def growth(bench: Bench) -> list[Comparison]:
    """Pull many small messages, then ten more, again and again: the second must not know how many
    there were.
    """
    found: list[Comparison] = []
    for count in (1_000, 10_000) if bench.quick else (1_000, 10_000, 100_000):
        found += _grown(bench, count)
    return found


def _grown(bench: Bench, count: int) -> Sequence[Comparison]:
    ours = [program for program in programs.pulling("imap") if program.name in {OURS, "mbsync"}]
    users = {
        program.name: fill(bench.server, bench.server.user(), ["INBOX"], count, count * _SMALL)
        for program in ours
    }
    mail = users[OURS]
    first = Comparison(
        "IMAP pull of small messages",
        size_of(mail),
        mail.octets,
        f"at most {100 + 3 * mail.largest / 1e6:.0f} MB of memory",
    )
    more = Comparison("10 new messages", f"among {count:,}", 0, "growth only with what is new")
    with scratch() as place, bench.ways([NEAR]) as ways:
        hold(
            first, [_first(bench, program, users[program.name], place) for program in ours], ways, 1
        )
        hold(
            more,
            [_ten(bench, program, users[program.name], place) for program in ours],
            ways,
            max(3, bench.rounds),
        )
    for mail in users.values():
        bench.server.forget(mail.user)
    return [first, more]


def _first(bench: Bench, program: Program, mail: Mail, place: Path) -> Entrant:
    def ready(_: Path, way: Line) -> Job:
        own = place / program.name
        own.mkdir()
        _let_notice(bench, mail.user)
        command = program.pull(own, bench.login(mail.user, way))
        return Job(
            own, command, lambda: mail.arrived(program.kept(own), exactly=program.name == OURS)
        )

    return Entrant(program.name, ready, program.keeps, program.peer)


def _ten(bench: Bench, program: Program, mail: Mail, place: Path) -> Entrant:
    own, rounds = place / program.name, iter(range(1, 1_000))

    def ready(_: Path, way: Line) -> Job:
        number = next(rounds)
        fill(bench.server, mail.user, ["INBOX"], 10, 50_000, seed=mail.count + number)
        _let_notice(bench, mail.user)

        def prove() -> None:
            there = sum(
                len(list(folder.iterdir())) for part in ("cur", "new") for folder in own.rglob(part)
            )
            if there != mail.count + 10 * number:
                raise NotTheSameWork(f"{there} messages are there of {mail.count + 10 * number}")

        return Job(own, program.pull(own, bench.login(mail.user, way)), prove)

    return Entrant(program.name, ready, program.keeps, program.peer)


def _let_notice(bench: Bench, user: str) -> None:
    """Let the server read its folder before the clock starts: how long that takes grows with the
    folder, and is nobody's doing here.
    """
    with scratch() as folder:
        measure.run(programs.wire_look(bench.direct(user)), folder)
