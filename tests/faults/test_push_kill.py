"""A push that is killed, or whose lines are cut, at any moment: in the end the destination holds
each message once, as it was.

The line to the destination is slow, so that much is on its way when the client dies, and the server
stores it when nobody asks any more.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.engine.pull import pull
from mailsync.engine.push import Patience, PushSession, push
from mailsync.engine.report import Report
from mailsync.engine.selection import Selection
from mailsync.engine.targets import find_targets
from mailsync.errors import StoreUnavailable
from mailsync.mapping import MappingRules
from mailsync.progress import Silence
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap import ImapSource, append_responses
from mailsync.stores.imap.destination import ImapDestination
from tests.faults.migrate_child import PATIENCE, untold
from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.wan import Proxy
from tests.stores.imap_source_servers import endpoint
from tests.system.test_whole_way import FLAGS, Arrived, delivered

BOXES = ("INBOX", "Sent", "Projects/2024")
MESSAGES = 150
SLOWEST = 120
MASKS = (("dovecot", True), ("dovecot", False), ("dovecot_plain_uid", False))
"""Servers: pipelined and told the UIDs, pipelined and not told, and several connections that are
not told.
"""


Held = dict[str, Counter[Arrived]]


def message(number: int) -> bytes:
    return plain(number) + b"x" * (number * 7919 % 6_000) + b"\r\n"


def held(server: Dovecot, user: str) -> Held:
    """What every mailbox holds, and how often."""
    return {name: Counter(found) for name, found in delivered(server, user).items() if found}


@dataclass(frozen=True, slots=True)
class Origin:
    """An archive ready to be pushed, and what a destination must hold then."""

    archive: Path
    expected: Held

    def copied(self, to: Path) -> Path:
        shutil.copytree(self.archive, to)
        return to


@pytest.fixture(scope="module")
def origin(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    user = dovecot.user("old")
    for number in range(MESSAGES):
        dovecot.deliver(
            user,
            BOXES[number % 3],
            message(number),
            flags=FLAGS[number % 6],
            internaldate=1_300_000_000 + 100 * number,
        )
    folder = tmp_path_factory.mktemp("origin") / "old"
    source = ImapSource("old", endpoint(dovecot.imap_port), Credentials.fixed(user, "secret"))
    report = Report("pull", "old")
    with Archive.open(folder) as archive, archive.pull("old") as run:
        pull(source, run, report, Silence())
        run.finish(complete=report.complete, report=report.as_json())
    source.close()
    assert report.total.new == MESSAGES
    return Origin(folder, held(dovecot, user))


@pytest.fixture(params=MASKS, ids=["told", "untold", "abreast"])
def mask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dovecot:
    name, told = request.param
    if not told:
        monkeypatch.setenv("UNTOLD", "1")
        monkeypatch.setattr(append_responses, "append_uids", untold)
    server: Dovecot = request.getfixturevalue(name)
    return server


class Pushing:
    """The command, pushing one archive to one user over one line."""

    def __init__(self, folder: Path, origin: Origin, port: int, user: str) -> None:
        self.folder = folder
        (folder / "mail").mkdir(parents=True)
        origin.copied(folder / "mail" / "old")
        common = "protocol: imap, host: 127.0.0.1, security: none, password: {env: SECRET}"
        accounts = (
            f"  old: {{{common}, port: 1, username: old}}\n  new: {{{common}, port: {port},"
            f" username: {user}}}\n"
        )
        (folder / "mailsync.yaml").write_text(f"archive: {{root: mail}}\naccounts:\n{accounts}")

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults.migrate_child",
                "push",
                "old",
                "new",
                "--wait",
                "30",
            ],
            cwd=self.folder,
            env={**os.environ, "SECRET": "secret", "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def whole(self) -> str:
        """Run to the end; returns what was said."""
        with self.start() as process:
            said, _ = process.communicate(timeout=SLOWEST)
        assert process.returncode == 0, said[-3000:]
        return said

    def killed_after(self, seconds: float) -> bool:
        """Run for a while; returns whether there was somebody to kill."""
        with self.start() as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=SLOWEST)
        return process.returncode == -signal.SIGKILL


def kill_often(origin: Origin, mask: Dovecot, folder: Path, seeds: range) -> None:
    """Kill at moments of these seeds, and of more until half as many trials have hit."""
    hits = 0
    with Proxy(mask.imap_port, 0.02, 2_000_000) as line:
        begun = time.monotonic()
        Pushing(folder / "usual", origin, line.port, mask.user("new")).whole()
        usual = time.monotonic() - begun
        for seed in itertools.count(seeds.start):
            if seed >= seeds.stop and hits >= len(seeds) / 2:
                break
            rng = random.Random(seed)
            user = mask.user("new")
            pushing = Pushing(folder / f"trial-{seed}", origin, line.port, user)
            moments = [rng.uniform(0.2, 1.0) * usual for _ in range(rng.choice((1, 1, 2, 3)))]
            killed = [pushing.killed_after(moment) for moment in moments]
            hits += any(killed)
            if not killed[0]:
                # The machine was busier when it was measured.
                usual = min(usual, moments[0])
            pushing.whole()
            assert held(mask, user) == origin.expected, f"seed {seed}, killed after {moments}"
            pushing.whole()
            assert held(mask, user) == origin.expected, f"seed {seed}: a run after the last one"
            mask.forget(user)
            shutil.rmtree(pushing.folder)


@pytest.mark.timeout(600)
def test_a_push_killed_at_any_moment_leaves_one_copy_of_each_message(
    origin: Origin, mask: Dovecot, tmp_path: Path
) -> None:
    kill_often(origin, mask, tmp_path, range(2))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_push_killed_at_seventy_moments_leaves_one_copy_of_each_message(
    origin: Origin, mask: Dovecot, tmp_path: Path
) -> None:
    kill_often(origin, mask, tmp_path, range(100, 170))


def pushed(archive: Path, port: int, user: str) -> Report:
    """Push in this process, over the given port."""
    destination = ImapDestination(
        "new", endpoint(port), Credentials.fixed(user, "secret"), sleep=lambda _: None
    )
    report = Report("push", "old", "imap://new")
    try:
        with Archive.open(archive) as opened:
            targets = find_targets(
                opened, "old", destination.mailboxes(), MappingRules(), Selection()
            )
            # The key of a destination names its port, which is another one through each proxy.
            with opened.push("old", "imap://new") as run:
                patience = Patience(PATIENCE, time.monotonic, time.sleep)
                push(PushSession(run, destination, report, Silence(), patience), targets)
                run.finish(complete=report.complete, report=report.as_json())
    except StoreUnavailable as error:
        report.error = error
    finally:
        destination.close()
    return report


def cuts(rng: random.Random, lengths: list[dict[str, int]]) -> Iterator[Cut]:
    """Choose one, two or three lines to cut, and where; a line made in place of a cut one may be
    cut too.
    """
    for connection in sorted(rng.sample(range(len(lengths) + 1), rng.choice((1, 1, 2)))):
        direction = rng.choice(("to_server", "from_server"))
        length = lengths[min(connection, len(lengths) - 1)][direction]
        yield Cut(rng.randrange(length), direction, connection + 1, rng.choice(("close", "reset")))  # type: ignore[arg-type]


def cut_often(origin: Origin, mask: Dovecot, folder: Path, seeds: range) -> None:
    """Cut at octets of these seeds, and of more until half as many trials have hit."""
    with Cutter(mask.imap_port) as line:
        assert pushed(origin.copied(folder / "usual"), line.port, mask.user("new")).exit_code == 0
        lengths = [
            {"to_server": len(one.to_server), "from_server": len(one.from_server)}
            for one in line.dialogues
        ]
    hits = 0
    for seed in itertools.count(seeds.start):
        if seed >= seeds.stop and hits >= len(seeds) / 2:
            break
        user, archive = mask.user("new"), origin.copied(folder / f"trial-{seed}")
        with ExitStack() as stack:
            line = stack.enter_context(Cutter(mask.imap_port, *cuts(random.Random(seed), lengths)))
            where = f"seed {seed}: {line.cuts}"
            report = pushed(archive, line.port, user)
            hits += len(line.dialogues) > len(lengths)
        if {note.kind for note in report.notes} == {"unanswered"}:
            # What was sent again after one cut met another one: it is left to the next run, which
            # looks for it first.
            report = pushed(archive, mask.imap_port, user)
        assert (report.exit_code, report.notes) == (0, []), f"{where}: {report.error}"
        assert held(mask, user) == origin.expected, where
        assert pushed(archive, mask.imap_port, user).total.new == 0, where
        assert held(mask, user) == origin.expected, where
        mask.forget(user)
        shutil.rmtree(archive)


@pytest.mark.timeout(600)
def test_a_line_cut_at_any_octet_leaves_one_copy_of_each_message(
    origin: Origin, mask: Dovecot, tmp_path: Path
) -> None:
    cut_often(origin, mask, tmp_path, range(4))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_line_cut_at_seventy_octets_leaves_one_copy_of_each_message(
    origin: Origin, mask: Dovecot, tmp_path: Path
) -> None:
    cut_often(origin, mask, tmp_path, range(100, 170))


@pytest.mark.parametrize("direction", ["to_server", "from_server"])
def test_a_line_that_always_breaks_at_the_same_octet_ends_and_loses_nothing(
    direction: str, origin: Origin, mask: Dovecot, tmp_path: Path, long: bool
) -> None:
    for after in range(300, 60_000, 1_500) if long else (300, 30_000):
        user, archive = mask.user("new"), origin.copied(tmp_path / f"after-{after}")
        with Cutter(mask.imap_port, Cut(after, direction, None)) as line:  # type: ignore[arg-type]
            reports = [pushed(archive, line.port, user) for _ in range(2)]
            assert {report.exit_code for report in reports} <= {0, 3, 75}, (after, reports)
            assert len(line.dialogues) < 20 * MESSAGES
        reports.append(pushed(archive, mask.imap_port, user))
        assert reports[-1].exit_code == 0, after
        assert sum(report.total.new for report in reports) <= MESSAGES, after
        assert held(mask, user) == origin.expected, after
        mask.forget(user)
