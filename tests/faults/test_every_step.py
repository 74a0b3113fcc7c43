"""Death at every step: whichever call that changes the disk is the last one, the archive is sound,
and the next run ends as if nothing had happened. Also when the power goes, and with it all or some
of what no fsync had made durable; and when the disk takes no more.

The seam (`seam.c`) sits between the process and the system; it sees Python's calls and SQLite's
alike, in all threads and processes.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from tests.faults.stage import MBOX, SCRIPTS, End, Stage
from tests.faults.step_child import Order, Outcome

ROOT: Final = Path(__file__).parents[2]
SAMPLE: Final = 8
"""Points tried of each work in a plain run, each with an event of its own."""

KILLED: Final = "killed"
ALONE: Final = "one process killed"
CUT: Final = "power cut"
PARTLY: Final = "power cut, some reached the disk"
FULL: Final = "disk full"
DYING: Final = "disk dying"
EVENTS: Final = (KILLED, CUT, PARTLY, FULL, DYING)


@pytest.fixture(scope="session")
def seam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("seam") / "seam.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, (
        "no C compiler: apt-get install gcc libc6-dev (scripts/test does it when run as root)"
    )
    subprocess.run(
        [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-o",
            library,
            Path(__file__).with_name("seam.c"),
            "-ldl",
        ],
        check=True,
    )
    return library


class Workers:
    """The process whose children do the works, the seam loaded."""

    def __init__(self, seam: Path) -> None:
        environment = {
            **os.environ,
            "LD_PRELOAD": str(seam),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "tests.faults.step_child"]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, order: Order) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(asdict(order))}\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def workers(seam: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        workers = Workers(seam)
        stack.callback(workers.close)
        yield workers


class Durable:
    """What the disk holds for certain: the state before, and what each fsync added."""

    def __init__(self, root: Path) -> None:
        self.root = root.stat().st_ino
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, list[tuple[str, int, str]]] = {}
        for folder, _, names in os.walk(root):
            with os.scandir(folder) as entries:
                listed = [
                    ("d" if entry.is_dir(follow_symlinks=False) else "f", entry.inode(), entry.name)
                    for entry in entries
                ]
            self.folders[Path(folder).stat().st_ino] = listed
            for name in names:
                path = Path(folder, name)
                self.files[path.stat().st_ino] = path.read_bytes()

    def learn(self, shadow: Path) -> None:
        """Take in what the seam wrote down."""
        log = shadow / "log"
        for line in log.read_text().splitlines() if log.exists() else ():
            kind, inode, number = line.split()
            if kind == "C":
                self.files[int(inode)] = b""
                continue
            kept = (shadow / f"{inode}.{number}").read_bytes()
            if kind == "F":
                self.files[int(inode)] = kept
            else:
                parts = [entry.split(" ", 2) for entry in os.fsdecode(kept).split("\0") if entry]
                self.folders[int(inode)] = [
                    (kind_, int(number_), name) for kind_, number_, name in parts
                ]

    def lay(self, place: Path) -> None:
        """Make a tree of it."""
        self._lay(place, self.root, {})

    def _lay(self, place: Path, inode: int, made: dict[int, Path]) -> None:
        place.mkdir(mode=0o700)
        for kind, number, name in self.folders.get(inode, []):
            path = place / name
            if kind == "d":
                self._lay(path, number, made)
            elif number in made:
                path.hardlink_to(made[number])
            else:
                path.write_bytes(self.files.get(number, b""))
                path.chmod(0o600)
                made[number] = path

    def spoil(self, root: Path, rng: random.Random) -> None:
        """Let a tree keep its names, as a journal does, and each file what it is now, what is
        certain, or zeros for what is not.
        """
        done = set()
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            inode, now = path.stat().st_ino, path.read_bytes()
            certain = self.files.get(inode, b"")
            if inode not in done and now != certain:
                zeros = certain[: len(now)] + bytes(max(0, len(now) - len(certain)))
                # As it was, in place: other names of it change with it.
                path.write_bytes(rng.choice((now, certain, zeros)))
            done.add(inode)


class Dying(Stage):
    """A stage on which a process does the work, and something happens at one of its calls."""

    def __init__(self, folder: Path, workers: Workers, name: str) -> None:
        super().__init__(folder, name)
        self.label = name
        self._workers = workers
        self._counter, self._shadow = folder / "counter", folder / "shadow"
        self.set_up()
        outcome, self.points = self._do(0, KILLED)
        assert outcome == Outcome(0, "")
        self.undisturbed: End = self.end()

    def _do(self, point: int, event: str) -> tuple[Outcome, int]:
        """Do the work; something happens at the call `point` (0: never).

        Returns what became of it and how many calls were made.
        """
        self._counter.write_bytes(bytes(8))
        shutil.rmtree(self._shadow, ignore_errors=True)
        self._shadow.mkdir()
        order = Order(
            self.work,
            str(self.archive),
            self.container,
            str(self.server),
            str(self._counter),
            point,
            {FULL: "full", DYING: "dying", ALONE: "alone"}.get(event, "group"),
            str(self._shadow) if event in {CUT, PARTLY} else "",
        )
        outcome = self._workers.do(order)
        return outcome, struct.unpack("=Q", self._counter.read_bytes())[0]

    def strike(self, point: int, event: str, rng: random.Random) -> None:
        """Let an event happen at that call, and see what is left."""
        self.set_up()
        durable = Durable(self.archive)
        outcome, calls = self._do(point, event)
        if calls >= point:
            self._judge(outcome, event)
        else:
            # Of threads and processes one is faster than another now and then, and what they do
            # together is less.
            assert outcome == Outcome(0, "")
        if event in {CUT, PARTLY}:
            durable.learn(self._shadow)
        if event == CUT:
            shutil.rmtree(self.archive)
            durable.lay(self.archive)
        elif event == PARTLY:
            durable.spoil(self.archive, rng)

    def _judge(self, outcome: Outcome, event: str) -> None:
        if event == FULL:
            # Where only the daily copy of the catalogue found no room, all is done.
            assert outcome == Outcome(0, "") or outcome.status == 74, outcome
            assert not outcome.status or (
                "no space left" in outcome.said and "make room" in outcome.said
            ), outcome
        elif event == DYING:
            assert outcome.status in {0, 1}, outcome
            assert not outcome.status or re.search(
                f"cannot use .*{self.archive}.*(I/O|Input/output|unable to open)", outcome.said
            ), outcome
        elif event == ALONE:
            # Killed itself, or told that the process beside it was.
            assert outcome.status in {-signal.SIGKILL, 1}, outcome
            assert (
                outcome.said == ""
                or "the process that writes the files has ended unexpectedly" in outcome.said
            ), outcome
        else:
            assert outcome == Outcome(-signal.SIGKILL, "")

    def try_out(self, point: int, event: str) -> None:
        """Let an event happen, look at what is left or not, and do the work again."""
        rng = random.Random(f"{self.label} {event} {point}")
        try:
            self.strike(point, event, rng)
            rng.choice((bool, self.look_in_between, self.judge_in_between))()
            self.go()
            assert self.end() == self.undisturbed
        except Exception as error:
            raise AssertionError(
                f"{self.label}, {event} at call {point} of {self.points}"
            ) from error


def choose(label: str, points: int, events: Iterable[str], count: int) -> list[tuple[int, str]]:
    """Choose points and what happens there: every event about as often as any other."""
    rng = random.Random(label)
    order = sorted(events, key=lambda _: rng.random())
    return [
        (point, order[number % len(order)])
        for number, point in enumerate(rng.sample(range(1, points + 1), min(count, points)))
    ]


@pytest.mark.parametrize("name", [*SCRIPTS, *MBOX])
def test_whatever_happens_at_any_step_changes_nothing_in_the_end(
    name: str, workers: Workers, tmp_path: Path, record_deaths: list[str]
) -> None:
    stage = Dying(tmp_path, workers, name)
    chosen = choose(name, stage.points, EVENTS, SAMPLE)
    for point, event in chosen:
        stage.try_out(point, event)
    record_deaths.append(f"{name}: {len(chosen)} trials at {stage.points} points")


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("name", [*SCRIPTS, *MBOX])
def test_whatever_happens_at_every_step_changes_nothing_in_the_end(
    name: str, event: str, workers: Workers, tmp_path: Path, record_deaths: list[str]
) -> None:
    stage = Dying(tmp_path, workers, name)
    for point in range(1, stage.points + 1):
        stage.try_out(point, event)
    record_deaths.append(f"{name}, {event}: all {stage.points} points")


def test_a_death_of_one_of_two_processes_is_noticed_by_the_other_and_changes_nothing_in_the_end(
    workers: Workers, tmp_path: Path, record_deaths: list[str], long: bool
) -> None:
    """The process that writes the files, or the one that sends them."""
    stage = Dying(tmp_path, workers, "pull_by_a_process")
    chosen = choose("alone", stage.points, [ALONE], stage.points if long else 2 * SAMPLE)
    for point, event in chosen:
        stage.try_out(point, event)
    record_deaths.append(
        f"pull_by_a_process, {ALONE}: {len(chosen)} trials at {stage.points} points"
    )
