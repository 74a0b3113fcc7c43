"""A migration that is killed, or whose lines are cut, at any moment: the next one ends where an
undisturbed one would have.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.engine.pull import pull
from mailsync.engine.push import Patience, PushSession, push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.mapping import MappingRules
from mailsync.progress import Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource
from mailsync.stores.imap.destination import ImapDestination
from tests.faults.migrate_child import PATIENCE
from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.stores.imap_source_servers import endpoint
from tests.system.test_whole_way import FLAGS, Arrived, delivered

BOXES = ("INBOX", "Sent", "Projects/2024")
KILLED = 300
CUT = 60
SLOWEST = 120


def filled(server: Dovecot, count: int) -> str:
    """A new user with messages in three mailboxes."""
    user = server.user("old")
    for number in range(count):
        server.deliver(
            user,
            BOXES[number % 3],
            plain(number),
            flags=FLAGS[number % 6],
            internaldate=1_300_000_000 + 100 * number,
        )
    return user


def counted(server: Dovecot, user: str) -> dict[str, Counter[Arrived]]:
    """What every mailbox holds, and how often."""
    return {name: Counter(found) for name, found in delivered(server, user).items() if found}


def assert_sound(archive: Path, count: int) -> None:
    """Every file is what its name says, and every message is there."""
    with Archive.read(archive) as opened:
        assert list(opened.verify(Silence())) == []
        (account,) = opened.accounts()
        found = {
            bytes(message.digest)
            for box in opened.mailboxes(account)
            for message in opened.messages(account, box.path)
        }
    assert len(found) == count
    assert (
        len(
            [
                path
                for path in (archive / "mail").rglob("*.mailsync,S=*")
                if path.parent.name == "cur"
            ]
        )
        == count
    )


class Migration:
    """One archive between two users."""

    def __init__(self, folder: Path, old: tuple[Dovecot, str], new: tuple[Dovecot, str]) -> None:
        self.folder = folder
        self.urls = [f"imap://{user}@127.0.0.1:{server.imap_port}" for server, user in (old, new)]
        folder.mkdir(exist_ok=True)

    def start(self) -> subprocess.Popen[str]:
        options = (
            "--archive",
            "archive",
            "--source-password-env",
            "OLD",
            "--destination-password-env",
            "NEW",
            "--wait",
            "30",
        )
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.migrate_child", "migrate", *self.urls, *options],
            cwd=self.folder,
            env={
                **os.environ,
                "OLD": "secret",
                "NEW": "secret",
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def whole(self) -> float:
        """Run to the end; returns the seconds it took."""
        begun = time.monotonic()
        with self.start() as process:
            said, _ = process.communicate(timeout=SLOWEST)
        assert process.returncode == 0, said[-3000:]
        return time.monotonic() - begun

    def killed_after(self, seconds: float) -> bool:
        """Run for a while; returns whether there was somebody to kill."""
        with self.start() as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=SLOWEST)
        return process.returncode == -signal.SIGKILL


def kill_often(dovecot: Dovecot, mask: Dovecot, folder: Path, seeds: range) -> None:
    """Kill at moments of these seeds, and of more until half as many trials have hit."""
    old = filled(dovecot, KILLED)
    expected = counted(dovecot, old)
    usual = Migration(folder / "usual", (dovecot, old), (mask, mask.user("new"))).whole()
    hits = 0
    for seed in itertools.count(seeds.start):
        if seed >= seeds.stop and hits >= len(seeds) / 2:
            break
        rng = random.Random(seed)
        new = mask.user("new")
        migration = Migration(folder / f"trial-{seed}", (dovecot, old), (mask, new))
        moments = [rng.uniform(0.25, 1.0) * usual for _ in range(rng.choice((1, 1, 2, 3)))]
        killed = [migration.killed_after(moment) for moment in moments]
        hits += any(killed)
        if not killed[0]:
            # The machine was busier when it was measured.
            usual = min(usual, moments[0])
        migration.whole()
        assert counted(mask, new) == expected, f"seed {seed}"
        assert_sound(migration.folder / "archive", KILLED)
        migration.whole()
        assert counted(mask, new) == expected, f"seed {seed}: a run after the last one"
        mask.forget(new)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mask", ["dovecot", "dovecot_plain_uid"])
def test_a_migration_killed_at_any_moment_ends_as_if_nothing_had_happened(
    mask: str, dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kill_often(dovecot, request.getfixturevalue(mask), tmp_path, range(4))


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mask", ["dovecot", "dovecot_plain_uid"])
def test_a_migration_killed_at_a_hundred_moments_ends_as_if_nothing_had_happened(
    mask: str, dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kill_often(dovecot, request.getfixturevalue(mask), tmp_path, range(100, 200))


def migrate(folder: Path, old: tuple[int, str], new: tuple[int, str]) -> list[Report]:
    """Pull and push in this process, over the given ports."""
    source = ImapSource(
        "old", endpoint(old[0]), Credentials.fixed(old[1], "secret"), sleep=lambda _: None
    )
    destination = ImapDestination(
        "new", endpoint(new[0]), Credentials.fixed(new[1], "secret"), sleep=lambda _: None
    )
    reports = [Report("pull", "old"), Report("push", "old")]
    try:
        with Archive.open(folder) as archive:
            with archive.pull("old") as pulled:
                pull(source, pulled, reports[0], Silence())
                pulled.finish(complete=reports[0].complete, report=reports[0].as_json())
            targets = find_targets(
                archive, "old", destination.mailboxes(), MappingRules(), Selection()
            )
            # The key of a destination names its port, which is another one through each proxy.
            with archive.push("old", "imap://new") as pushed:
                patience = Patience(PATIENCE, time.monotonic, time.sleep)
                push(PushSession(pushed, destination, reports[1], Silence(), patience), targets)
                pushed.finish(complete=reports[1].complete, report=reports[1].as_json())
    finally:
        source.close()
        destination.close()
    return reports


def cut_often(dovecot: Dovecot, mask: Dovecot, folder: Path, seeds: range) -> None:
    old = filled(dovecot, CUT)
    expected = counted(dovecot, old)
    with Cutter(dovecot.imap_port) as first, Cutter(mask.imap_port) as second:
        migrate(folder / "usual", (first.port, old), (second.port, mask.user("new")))
        lengths = {
            (name, direction): len(
                getattr(max(line.dialogues, key=lambda one: len(one.to_server)), direction)
            )
            for name, line in (("first", first), ("second", second))
            for direction in ("to_server", "from_server")
        }
    for seed in seeds:
        rng = random.Random(seed)
        new = mask.user("new")
        with Cutter(dovecot.imap_port) as first, Cutter(mask.imap_port) as second:
            for name, line in (("first", first), ("second", second)):
                for connection in range(1, rng.choice((2, 3))):
                    direction = rng.choice(("to_server", "from_server"))
                    after = rng.randrange(lengths[name, direction])
                    how = rng.choice(("close", "reset"))
                    line.cuts.append(Cut(after, direction, connection, how))  # type: ignore[arg-type]
            where = f"seed {seed}: {first.cuts}, {second.cuts}"
            reports = migrate(folder / f"trial-{seed}", (first.port, old), (second.port, new))
        if len(second.cuts) == 2 and {note.kind for note in reports[1].notes} == {"unanswered"}:
            # The second cut hit what was sent again after the first: it is left to the next run,
            # which looks for it.
            reports = [
                reports[0],
                migrate(folder / f"trial-{seed}", (dovecot.imap_port, old), (mask.imap_port, new))[
                    1
                ],
            ]
        assert [report.exit_code for report in reports] == [
            0,
            0,
        ], f"{where}: {[report.notes for report in reports]}"
        assert counted(mask, new) == expected, where
        assert_sound(folder / f"trial-{seed}", CUT)
        reports = migrate(folder / f"trial-{seed}", (dovecot.imap_port, old), (mask.imap_port, new))
        assert [report.total.new for report in reports] == [0, 0], where
        assert counted(mask, new) == expected, where
        mask.forget(new)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mask", ["dovecot", "dovecot_plain_uid"])
def test_lines_cut_at_any_octet_change_nothing_in_the_end(
    mask: str, dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cut_often(dovecot, request.getfixturevalue(mask), tmp_path, range(8))


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mask", ["dovecot", "dovecot_plain_uid"])
def test_lines_cut_at_a_hundred_octets_change_nothing_in_the_end(
    mask: str, dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cut_often(dovecot, request.getfixturevalue(mask), tmp_path, range(100, 200))
