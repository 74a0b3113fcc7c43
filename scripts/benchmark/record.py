"""What was measured, as data: samples by program and line, and the JSON in which it outlives the
run.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
RTT: Final = 0.2
WIRE: Final = "bare socket"
OURS: Final = "mailsync"
NEAR: Final = "0 ms"
FAR: Final = "200 ms"
TLS: Final = "TLS"


class UnusableRecord(ValueError):
    """A file holds no record, or one of another version; the message is for the person who named
    the file.
    """


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run.

    Seconds, CPU seconds of the program and its children, megabytes of memory, octets, longest chain
    of waits.

    The memory is the most that the high-water marks of the program's living processes summed to:
    more than they held together, never less. What crossed the wire is None where no proxy stood
    between.
    """

    seconds: float
    cpu: float
    peak_mb: float
    to_server: int | None = None
    from_server: int | None = None
    turns: int | None = None


@dataclass(slots=True)
class Entry:
    """What one program did: its samples by the name of the line.

    `keeps` says what was safe on a disk when it ended.

    `peer`: it does the same work with the same durability, so that ratios are made with it.
    """

    program: str
    keeps: str = ""
    peer: bool = False
    lines: dict[str, list[Sample]] = field(default_factory=dict)

    def seconds(self, line: str) -> float | None:
        """Return the median wall time on a line."""
        return _median([sample.seconds for sample in self.lines.get(line, [])])

    def spread(self, line: str) -> tuple[float, float]:
        """Return the least and the most wall time on a line."""
        walls = [sample.seconds for sample in self.lines[line]]
        return min(walls), max(walls)

    def cpu(self, line: str) -> float | None:
        """Return the median CPU time on a line."""
        return _median([sample.cpu for sample in self.lines.get(line, [])])

    @property
    def peak_mb(self) -> float:
        """The most memory of any run on any line."""
        return max(sample.peak_mb for samples in self.lines.values() for sample in samples)

    @property
    def round_trips(self) -> float | None:
        """Effective round trips: (median seconds at 200 ms - median seconds at 0 ms) / 0.2."""
        near, far = self.seconds(NEAR), self.seconds(FAR)
        return None if near is None or far is None else (far - near) / RTT

    @property
    def turns(self) -> int | None:
        """How often it waited for an answer to what it had said: counted, so no noise is in it, but
        what overlaps counts too.
        """
        counted = [
            sample.turns
            for samples in self.lines.values()
            for sample in samples
            if sample.turns is not None
        ]
        return min(counted, default=None)

    @property
    def octets(self) -> int | None:
        """Octets on the wire, both ways, in the median run without TLS."""
        crossed = [
            s.to_server + s.from_server
            for s in self.lines.get(NEAR, [])
            if s.to_server is not None and s.from_server is not None
        ]
        return None if not crossed else int(statistics.median(crossed))


@dataclass(slots=True)
class Comparison:
    """One work done by several programs.

    `mail` is the octets of mail that had to be moved, 0 where none; `target` what is promised.
    """

    work: str
    size: str
    mail: int
    target: str = ""
    note: str = ""
    entries: list[Entry] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The lines it was measured on, in the order of measuring."""
        return list(dict.fromkeys(line for entry in self.entries for line in entry.lines))

    def entry(self, program: str) -> Entry | None:
        """Find what a program did."""
        return next((entry for entry in self.entries if entry.program == program), None)

    def best_peer(self, line: str) -> tuple[str, float] | None:
        """Name the fastest peer on a line, with its median seconds."""
        timed = [
            (seconds, entry.program)
            for entry in self.entries
            if entry.peer and (seconds := entry.seconds(line)) is not None
        ]
        return min(timed)[::-1] if timed else None

    def ratio(self, entry: Entry, line: str) -> float | None:
        """Return how many times the best other peer's wall time a program took."""
        best, own = self.best_peer(line), entry.seconds(line)
        return own / best[1] if best and own is not None and best[0] != entry.program else None


@dataclass(slots=True)
class Record:
    """All comparisons of one session of measuring, and the circumstances."""

    circumstances: dict[str, str]
    versions: dict[str, str]
    missing: list[str]
    comparisons: list[Comparison] = field(default_factory=list)

    def find(self, work: str, size: str) -> Comparison | None:
        """Find a comparison of the same work and size."""
        return next((one for one in self.comparisons if (one.work, one.size) == (work, size)), None)

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n")


def load(file: Path) -> Record:
    """Read what `save` wrote. Raises UnusableRecord or OSError."""
    try:
        raw = json.loads(file.read_text())
        if raw.pop("version") != VERSION:
            raise UnusableRecord(
                f"{file} was written by another version of this script: measure that commit again"
            )
        return Record(
            raw["circumstances"],
            raw["versions"],
            raw["missing"],
            [_comparison(one) for one in raw["comparisons"]],
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise UnusableRecord(f"{file} is not a record of this script: {error}") from error


def _comparison(raw: Mapping[str, Any]) -> Comparison:
    entries = [
        Entry(
            e["program"],
            e["keeps"],
            e["peer"],
            {line: [Sample(**s) for s in samples] for line, samples in e["lines"].items()},
        )
        for e in raw["entries"]
    ]
    return Comparison(raw["work"], raw["size"], raw["mail"], raw["target"], raw["note"], entries)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
