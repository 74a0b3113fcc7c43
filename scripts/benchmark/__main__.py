"""Measures mailsync side by side with other programs and with the wire's limit, on this machine,
against a server it starts itself.

Everything happens on loopback, in folders that are removed at the end. Programs run in turn, round
after round; after each run its messages are counted and compared, so that all did the same work. A
program that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from scripts.benchmark import machine, picture, programs, table
from scripts.benchmark.bench import Bench
from scripts.benchmark.mailboxes import NotTheSameWork
from scripts.benchmark.measure import ProgramFailed
from scripts.benchmark.record import Comparison, Record, UnusableRecord, load
from scripts.benchmark.works import local, nights, pulls, pushes
from tests.servers import dovecot

WORKS: Final[dict[str, Callable[[Bench], list[Comparison]]]] = {
    "imap": pulls.imap,
    "pop3": pulls.pop3,
    "large": pulls.large,
    "push": pushes.together,
    "push-one": pushes.one_by_one,
    "migrate": pushes.migrate,
    "no-news": nights.no_news,
    "growth": nights.growth,
    "verify": local.verify,
    "start": local.start,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "works",
        nargs="*",
        metavar="WORK",
        help=f"what to measure: {', '.join(WORKS)} (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round, smaller mailboxes: a few minutes, for development",
    )
    parser.add_argument(
        "--rounds", type=int, help="how often each is run (default: 5, with --quick 1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.svg", help="draw the wall times there"
    )
    parser.add_argument(
        "--compare", type=Path, metavar="OLD.json", help="tell what changed since an earlier --json"
    )
    parser.add_argument(
        "--show", type=Path, metavar="FILE.json", help="measure nothing: print an earlier --json"
    )
    options = parser.parse_args()
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(WORKS)}")
    return options


def _measure(options: argparse.Namespace) -> Record:
    record = Record(machine.circumstances(), programs.versions(), programs.missing())
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2
    )
    with tempfile.TemporaryDirectory(prefix="mailsync-bench-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        with dovecot.start(place) as server:
            os.environ["BENCH"] = server.password
            bench = Bench(server, options.rounds or (1 if options.quick else 5), options.quick)
            for work, make in WORKS.items():
                if not options.works or work in options.works:
                    record.comparisons += make(bench)
                    record.circumstances["load at the end"] = machine.load()
                    if (
                        options.json
                    ):  # after each: hours of measuring are not lost by what comes later
                        record.save(options.json)
    return record


def main() -> None:
    """Measure or load, then print."""
    options = _arguments()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # what was made in /tmp goes, and the servers end
    try:
        old = load(options.compare) if options.compare else None
        record = load(options.show) if options.show else _measure(options)
    except (
        UnusableRecord,
        ProgramFailed,
        NotTheSameWork,
        dovecot.DovecotMissing,
        OSError,
    ) as error:
        sys.exit(f"scripts/bench: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    print(table.markdown(record))
    if options.picture:
        options.picture.write_text(picture.svg(record))
    if old:
        print(table.against(old, record))


if __name__ == "__main__":
    main()
