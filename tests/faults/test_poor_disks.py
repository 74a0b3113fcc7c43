"""A disk that is full, read-only or not ours, too few descriptors, a clock set back: a clear error,
nothing half-written believed, and the next run, once things are well, ends as if nothing had
happened. Real disks of a few kilobytes, for every work on an archive.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailsync import exit_codes
from mailsync.archive import Archive
from mailsync.errors import ArchiveError, DiskFull
from mailsync.progress import Silence
from tests.faults.stage import MBOX, SCRIPTS, Stage
from tests.faults.step_child import at_first, later
from tests.unit.engine.rig import ACCOUNT, Clock, Rig

ROOT = Path(__file__).parents[2]
NOBODY = 65_534
STEPS = (0, 3_000, 8_000, 16_000, 30_000, 50_000, 80_000, 120_000, 200_000, 300_000)
"""Octets left on the disk."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB with blocks of 1 KB."""
    if os.geteuid() != 0:
        pytest.fail(
            "a small disk can only be mounted by root; run this test as root or deselect it"
        )
    place, image = tmp_path / "disk", tmp_path / "image"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        image.unlink(missing_ok=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many octets."""
    filler = disk / "filler"
    stat = os.statvfs(disk)
    filler.write_bytes(b"x" * max(0, stat.f_bavail * stat.f_frsize - left))
    return filler


def stopped_by(stage: Stage) -> ArchiveError | None:
    """Do the work; give what stopped it."""
    try:
        stage.go()
    except ArchiveError as error:
        return error
    return None


@pytest.mark.parametrize("name", [*SCRIPTS, *MBOX])
def test_a_full_disk_stops_any_work_with_a_clear_word_and_harms_nothing(
    name: str, disk: Path, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, name, disk)
    stage.set_up()
    stage.go()
    undisturbed = stage.end()
    stopped = 0
    for left in STEPS:
        stage.set_up()
        filler = fill(disk, left)
        error = stopped_by(stage)
        filler.unlink()
        if error is not None:
            stopped += 1
            assert isinstance(error, DiskFull)
            assert "no space left" in str(error)
            assert "make room" in str(error)
        stage.judge_in_between()
        stage.go()
        assert stage.end() == undisturbed, f"with {left} octets left"
    assert stopped >= 2


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_disk_that_takes_no_writing_is_named_and_can_be_read(
    name: str, disk: Path, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, name, disk)
    stage.set_up()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(ArchiveError, match="Read-only file system") as caught:
        stage.go()
    assert str(stage.archive) in str(caught.value)
    assert exit_codes.of_error(caught.value) == 1
    if stage.work != "index" and not stage.is_new:
        with Archive.read(stage.archive) as archive:
            assert len([one for one in archive.verify(Silence()) if one.damaged]) == (
                name == "mend"
            )
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    stage.go()


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_archive_that_belongs_to_somebody_else_is_named_and_left_alone(
    name: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.fail("only root can become somebody else; run this test as root or deselect it")
    stage = Stage(tmp_path, name)
    stage.set_up()
    stage.archive.chmod(0o700)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            stage.go()
            said = "it worked"
        except ArchiveError as error:
            said = str(error)
        except BaseException as error:  # whatever it is, it is not what a person should see
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert "Permission denied" in said
    assert str(tmp_path) in said
    stage.go()


@pytest.mark.parametrize("name", SCRIPTS)
def test_with_too_few_descriptors_a_run_ends_with_a_word_about_them_or_does_with_what_there_are(
    name: str, tmp_path: Path
) -> None:
    stage = Stage(tmp_path, name)
    stage.set_up()
    stage.go()
    undisturbed = stage.end()
    for limit in (8, 10, 12, 14, 16, 20):
        stage.set_up()
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                FEW,
                str(limit),
                str(stage.archive),
                stage.work,
                str(stage.server),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert (
            done.stdout in {"done", ""}
            or "too many open files" in done.stdout.lower()
            or "unable to open" in done.stdout
        ), done.stdout
        stage.judge_in_between()
        stage.go()
        assert stage.end() == undisturbed


FEW = """
import resource, sys
from pathlib import Path
from tests.faults.step_child import WORKS, Place
from mailsync.errors import ArchiveError
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), 100))
said = "done"
try:
    WORKS[sys.argv[3]](Place(Path(sys.argv[2]), "maildir", Path(sys.argv[4])))
except ArchiveError as error:
    said = str(error)
finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print(said, end="")
"""


def test_a_clock_that_was_set_back_a_year_harms_nothing(tmp_path: Path) -> None:
    ends = []
    for name, now in (("steady", 1_700_100_000.0), ("back", 1_668_000_000.0)):
        directory = tmp_path / name
        Rig(directory, at_first()).pull()
        rig = Rig(directory, later(), clock=Clock(now))
        assert rig.pull().exit_code == 0
        assert rig.pull().total.new == 0
        with rig.archive() as archive:
            assert list(archive.verify(Silence())) == []
            ends.append({box.path: (box.live, box.gone) for box in archive.mailboxes(ACCOUNT)})
            assert archive.run_as_of(ACCOUNT, 2_000_000_000) is not None
            if name == "steady":
                assert archive.prune(ACCOUNT, 4_000_000_000, lambda _: True)
            else:
                with pytest.raises(ArchiveError, match="went back from"):
                    archive.prune(ACCOUNT, int(now) - 10, lambda _: True)
    assert ends[0] == ends[1]
