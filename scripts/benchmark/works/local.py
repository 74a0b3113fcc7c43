"""Work without a server: proving an archive, building its catalogue again, and starting at all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scripts.benchmark import measure, programs
from scripts.benchmark.bench import Bench, boxes, size_of
from scripts.benchmark.contest import Entrant, Job, Line, hold, scratch
from scripts.benchmark.mailboxes import Mail
from scripts.benchmark.programs import MAILSYNC, account, mailsync
from scripts.benchmark.record import OURS, Comparison

HERE: Final = Line("here", 0)


def verify(bench: Bench) -> list[Comparison]:
    """Prove every file of an archive, and build its catalogue again where the command exists;
    sha256sum only reads the files.
    """
    with _archive(bench) as (mail, place):
        found = Comparison("verify", size_of(mail), mail.octets)

        def proved(_folder: Path, _way: Line) -> Job:
            return Job(place, mailsync(place, ["verify", "a"], a=account(bench.direct(mail.user))))

        def summed(folder: Path, _way: Line) -> Job:
            return Job(
                folder,
                [
                    "find",
                    str(place / "archives" / "a" / "mail"),
                    "-type",
                    "f",
                    "-exec",
                    "sha256sum",
                    "{}",
                    "+",
                ],
            )

        theirs = [Entrant("sha256sum", summed, peer=True)]
        comparisons = [hold(found, [Entrant(OURS, proved), *theirs], [HERE], bench.rounds)]
        if find_spec("mailsync.cli.commands.reindex"):
            again = Comparison("reindex, the catalogue lost", size_of(mail), mail.octets)
            comparisons.append(
                hold(again, [_reindexing(bench, mail, place), *theirs], [HERE], bench.rounds)
            )
        return comparisons


def _reindexing(bench: Bench, mail: Mail, place: Path) -> Entrant:
    def ready(folder: Path, _way: Line) -> Job:
        shutil.copytree(place / "archives", folder / "archives")
        for file in (folder / "archives" / "a").glob("catalogue*"):
            file.unlink()
        command = mailsync(folder, ["reindex", "a"], a=account(bench.direct(mail.user)))
        return Job(folder, command, lambda: mail.arrived(programs.archived(folder), exactly=True))

    return Entrant(OURS, ready)


@contextmanager
def _archive(bench: Bench) -> Iterator[tuple[Mail, Path]]:
    mail = bench.filled(boxes(8), *((2_000, 63_000_000) if bench.quick else (10_000, 350_000_000)))
    with scratch() as place:
        measure.run(mailsync(place, ["pull"], a=account(bench.direct(mail.user))), place)
        yield mail, place
    bench.server.forget(mail.user)


def start(bench: Bench) -> list[Comparison]:
    """Start and say how one is used; `python -c pass` is what any program in Python pays."""
    found = Comparison("start-up", "--help", 0, "at most 0.1 s of CPU")
    calls = {OURS: [*MAILSYNC, "--help"], "python -c pass": [sys.executable, "-c", "pass"]}
    calls |= {
        name: [name, "--help"]
        for name in ("getmail", "offlineimap", "mbsync")
        if shutil.which(name)
    }
    entrants = [Entrant(name, _calling(command)) for name, command in calls.items()]
    return [hold(found, entrants, [HERE], max(10, 2 * bench.rounds))]


def _calling(command: list[str]) -> Callable[[Path, Line], Job]:
    return lambda folder, _: Job(folder, command)
