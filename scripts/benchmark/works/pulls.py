"""First pulls over IMAP and POP3: near with TLS, and over lines of 0, 40 and 200 ms."""

from __future__ import annotations

from pathlib import Path

from scripts.benchmark.bench import Bench, boxes, size_of
from scripts.benchmark.contest import Entrant, Job, Line, hold
from scripts.benchmark.mailboxes import Mail
from scripts.benchmark.programs import Program, Protocol, pulling
from scripts.benchmark.record import FAR, NEAR, OURS, TLS, WIRE, Comparison


def imap(bench: Bench) -> list[Comparison]:
    """Pull 2,000 messages in 8 mailboxes."""
    return [
        _pulled(bench, "imap", bench.filled(boxes(8), 2_000, 63_000_000), "at most 10 round trips")
    ]


def pop3(bench: Bench) -> list[Comparison]:
    """Pull 1,400 messages."""
    mail = bench.filled(boxes(1), 1_400, 45_000_000, protocol="pop3")
    return [_pulled(bench, "pop3", mail, "at most 8 round trips")]


def large(bench: Bench) -> list[Comparison]:
    """Pull 10,000 messages over TLS, with the programs that do not wait for each message."""
    mail = bench.filled(boxes(8), *((3_000, 105_000_000) if bench.quick else (10_000, 350_000_000)))
    found = Comparison(
        "IMAP pull", size_of(mail), mail.octets, "at most 0.6 times mbsync's wall time over TLS"
    )
    entrants = [
        _entrant(bench, program, mail, "imap") for program in pulling("imap") if not program.waits
    ]
    with bench.ways([TLS]) as ways:
        hold(found, entrants, ways, bench.rounds)
    bench.server.forget(mail.user)
    return [found]


def _pulled(bench: Bench, protocol: Protocol, mail: Mail, target: str) -> Comparison:
    found = Comparison(f"{protocol.upper()} pull", size_of(mail), mail.octets, target)
    # Who waits for each message takes minutes even near: not while developing.
    entrants = [
        _entrant(bench, program, mail, protocol)
        for program in pulling(protocol)
        if not (bench.quick and program.waits)
    ]
    with bench.ways([TLS, NEAR, *([] if bench.quick else ["40 ms"]), FAR], protocol) as ways:
        hold(found, entrants, ways, bench.rounds)
    bench.server.forget(mail.user)
    return found


def _entrant(bench: Bench, program: Program, mail: Mail, protocol: Protocol) -> Entrant:
    def ready(folder: Path, way: Line) -> Job:
        command = program.pull(folder, bench.login(mail.user, way, protocol))

        def prove() -> None:
            if program.name != WIRE:
                mail.arrived(program.kept(folder), exactly=program.name == OURS)

        return Job(folder, command, prove)

    return Entrant(program.name, ready, program.keeps, program.peer, program.waits)
