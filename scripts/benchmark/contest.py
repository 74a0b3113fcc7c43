"""One work, several programs, several lines: everyone in turn, round after round, each run proved
before it counts.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from scripts.benchmark import measure
from scripts.benchmark.mailboxes import NotTheSameWork
from scripts.benchmark.record import FAR, NEAR, OURS, TLS, Comparison, Entry, Sample
from tests.servers.wan import Proxy

_DELAYS: Final = {NEAR: 0.0, "40 ms": 0.04, FAR: 0.2}
_LIMIT: Final = 2 * 10**9
_ENOUGH: Final = (
    2  # rounds of what takes many times as long as the others: noise changes nothing about it
)


@dataclass(frozen=True, slots=True)
class Line:
    """A way to the server.

    `delay` is its round trip in seconds; the proxy, where there is one, counts what passes.
    """

    name: str
    port: int
    proxy: Proxy | None = None

    @property
    def tls(self) -> bool:
        """Whether the first octet is TLS's."""
        return self.name == TLS

    @property
    def far(self) -> bool:
        """Whether answers take their time."""
        return self.proxy is not None and self.name != NEAR


@dataclass(frozen=True, slots=True)
class Job:
    """What to run in which folder, and how to prove that it did the work: `prove` raises
    NotTheSameWork.
    """

    folder: Path
    command: Sequence[str]
    prove: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Entrant:
    """A program in a contest.

    `ready` does what is not to be measured, in a folder of its own, and tells what is.

    `waits`: it waits for each message, so that far away it is not run; its waits are counted near.
    """

    program: str
    ready: Callable[[Path, Line], Job]
    keeps: str = ""
    peer: bool = False
    waits: bool = False


@contextmanager
def lines(port: int, names: Sequence[str], tls_port: int = 0) -> Iterator[list[Line]]:
    """Open the ways to a server that `names` names."""
    with ExitStack() as stack:
        found = []
        for name in names:
            if name in _DELAYS:
                proxy = stack.enter_context(Proxy(port, rtt=_DELAYS[name]))
                found.append(Line(name, proxy.port, proxy))
            else:
                found.append(Line(name, tls_port or port))
        yield found


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for all runs of one contest.

    Nothing in it is removed before the end: some file systems pass slowly over inodes freed a
    moment ago, which would be measured.
    """
    with tempfile.TemporaryDirectory(
        prefix="mailsync-contest-", ignore_cleanup_errors=True
    ) as name:
        place = Path(name)
        place.chmod(0o755)  # getmail, run by root, delivers as somebody else
        yield place


def hold(
    comparison: Comparison, entrants: Sequence[Entrant], ways: Sequence[Line], rounds: int
) -> Comparison:
    """Run every entrant on every line, interleaved, `rounds` times, and add the samples.

    A program that fails is left out from then on, and the note says why. Raises ProgramFailed or
    NotTheSameWork only for mailsync.
    """
    entries = {
        entrant.program: Entry(entrant.program, entrant.keeps, entrant.peer) for entrant in entrants
    }
    with scratch() as place:
        for number, way, entrant in product(range(rounds), ways, entrants):
            if entrant.program not in entries or (entrant.waits and (way.far or number >= _ENOUGH)):
                continue
            _tell(
                f"{comparison.work}, {comparison.size}: round {number + 1} of {rounds}, {way.name},"
                f" {entrant.program}"
            )
            folder = place / re.sub(r"\W+", "-", f"{number} {way.name} {entrant.program}")
            folder.mkdir()
            try:
                sample = _once(entrant, folder, way)
            except (measure.ProgramFailed, NotTheSameWork) as error:
                if entrant.program == OURS:
                    raise
                _tell(str(error))
                comparison.note += (
                    f"{entrant.program} was left out, because it failed"
                    f" ({str(error).splitlines()[-1]}). "
                )
                del entries[entrant.program]
            else:
                entries[entrant.program].lines.setdefault(way.name, []).append(sample)
    comparison.entries = [entry for entry in entries.values() if entry.lines]
    return comparison


def _once(entrant: Entrant, folder: Path, way: Line) -> Sample:
    job = entrant.ready(folder, way)
    sample = measure.run(job.command, job.folder, way.proxy)
    job.prove()
    if shutil.disk_usage(folder).free < _LIMIT:
        sys.exit(
            f"less than 2 GB are free where {folder} lies: set TMPDIR to a folder on another disk"
        )
    return sample


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
