"""A pull killed at any moment (SIGKILL) loses nothing it had made durable, and run again ends as if
nothing had happened.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.model import ArchivedMessage, SyncState
from mailsync.progress import Silence
from tests.faults import archive_child

COUNT = 2_000
SAMPLE = 6
EVERY = 100
_TIMEOUT = 100


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a pull that nobody disturbs leaves, how long it takes, and how many times it changes the
    disk.
    """

    tree: dict[str, bytes]
    messages: list[ArchivedMessage]
    states: list[SyncState | None]
    seconds: float
    steps: int


def tree(directory: Path) -> dict[str, bytes]:
    """Everything a mail program would see."""
    mail = directory / "mail"
    return {
        str(path.relative_to(mail)): path.read_bytes() for path in mail.rglob("*") if path.is_file()
    }


def contents(archive: Archive) -> list[ArchivedMessage]:
    return [
        message for path in archive_child.MAILBOXES for message in archive.messages("alice", path)
    ]


def states(archive: Archive) -> list[SyncState | None]:
    return [archive.last_known("alice").state(path) for path in archive_child.MAILBOXES]


def start(directory: Path, step: int = 0) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.faults.archive_child",
        str(directory),
        str(COUNT),
        str(step),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a child; give its exit status and its last line."""
    said, complaint = child.communicate(timeout=_TIMEOUT)
    assert complaint == ""
    return child.returncode, (said.split("\n")[-2:-1] or ["0"])[0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    directory = tmp_path_factory.mktemp("undisturbed") / "a"
    began = time.monotonic()
    status, last = finished(start(directory))
    seconds = time.monotonic() - began
    assert status == 0
    with Archive.read(directory) as archive:
        return Undisturbed(
            tree(directory),
            contents(archive),
            states(archive),
            seconds,
            int(last.removeprefix("steps ")),
        )


def judge_what_is_left(directory: Path, durable: int) -> None:
    """All that was durable is there, nothing is half there, and nothing is lost on the way to the
    next run.
    """
    before = {path for path in tree(directory) if "/tmp/" not in f"/{path}"}
    with Archive.open(directory) as archive:
        assert sum(box.live for box in archive.mailboxes("alice")) >= durable
        assert list(archive.verify(Silence())) == []
        for message in contents(archive):
            archive.content(message.digest)
    assert before <= set(tree(directory))
    assert not [path for path in tree(directory) if "/tmp/" in f"/{path}"]
    assert not (directory / "quarantine").exists()


def judge_the_end(directory: Path, undisturbed: Undisturbed) -> None:
    with Archive.open(directory) as archive:
        assert list(archive.verify(Silence())) == []
        assert contents(archive) == undisturbed.messages
        assert states(archive) == undisturbed.states
    assert tree(directory) == undisturbed.tree


def try_kills(directory: Path, undisturbed: Undisturbed, rng: random.Random) -> None:
    """Kill one to three runs in a row, half of them by the clock, half before a call that changes
    the disk; then let one end.
    """
    for _ in range(rng.choice((1, 1, 2, 3))):
        by_the_clock = rng.random() < 0.5
        child = start(directory, 0 if by_the_clock else rng.randrange(1, undisturbed.steps + 1))
        if by_the_clock:
            with_start = rng.random() * undisturbed.seconds
            try:
                child.wait(with_start)
            except subprocess.TimeoutExpired:
                child.kill()
        status, last = finished(child)
        assert status in {0, -9}
        if directory.exists() and rng.random() < 0.7:
            judge_what_is_left(directory, 0 if "steps" in last else int(last))
    status, _ = finished(start(directory))
    assert status == 0
    judge_the_end(directory, undisturbed)


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_a_pull_killed_at_some_moment_ends_as_if_undisturbed(
    tmp_path: Path, undisturbed: Undisturbed, seed: int
) -> None:
    try_kills(tmp_path / "a", undisturbed, random.Random(seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SAMPLE, EVERY))
def test_a_pull_killed_at_any_moment_ends_as_if_undisturbed(
    tmp_path: Path, undisturbed: Undisturbed, seed: int
) -> None:
    try_kills(tmp_path / "a", undisturbed, random.Random(seed))
