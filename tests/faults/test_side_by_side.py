"""Commands that run at the same time: one writer an archive, readers whenever they like, and
nothing held by the dead.

A pull is made to stand still in the middle by a line that lets nothing more through.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, filled, imap, until

HAD, MORE = 5, 40
STILL = 12_000
"""Octets from the server after which nothing more comes: in the midst of the messages."""


@contextmanager
def standing_still(home: Home, dovecot: Dovecot) -> Iterator[subprocess.Popen[str]]:
    """A pull of `home` in the middle of new messages; its archive holds five from an earlier one.

    `other` is another account.
    """
    user, other = filled(dovecot, HAD), imap(dovecot, filled(dovecot, 3))
    with Cutter(dovecot.imap_port) as cutter:
        home.configure(
            home=imap(dovecot, user).replace(f"port: {dovecot.imap_port}", f"port: {cutter.port}"),
            other=other,
        )
        home.well("pull", "home")
        for number in range(HAD, HAD + MORE):
            dovecot.deliver(user, "INBOX", plain(number))
        had = len(cutter.dialogues)
        cutter.cuts.append(Cut(STILL, connection=had + 1, how="stall"))
        with home.start("pull", "home") as process:
            try:
                until(
                    lambda: (
                        len(cutter.dialogues) > had
                        and len(cutter.dialogues[had].from_server) == STILL
                    )
                )
                yield process
            finally:
                process.kill()
                process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_beside_a_pull_one_can_read_its_archive_pull_another_and_write_nothing_else_to_it(
    home: Home, dovecot: Dovecot
) -> None:
    with standing_still(home, dovecot) as process:
        listed = json.loads(home.well("list", "home", "--json"))
        assert sum(mailbox["messages"] for mailbox in listed["mailboxes"]) == HAD
        for command in (
            ["status", "home"],
            ["verify", "home"],
            ["duplicates", "home"],
            ["list", "home", "--mailbox", "INBOX"],
        ):
            home.well(*command)
        for command in (
            ["pull", "home"],
            ["reindex", "home"],
            ["prune", "home", "--gone-for", "1d", "--yes"],
            ["push", "home", "other"],
        ):
            done = home.run(*command)
            assert done.returncode == 11, command
            assert f"process {process.pid}" in done.stderr
        home.well("pull", "other")
        assert home.archived("other") == sorted(map(plain, range(3)))
        assert process.poll() is None


def test_the_lock_of_a_killed_pull_is_free_at_once(home: Home, dovecot: Dovecot) -> None:
    with standing_still(home, dovecot) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        home.well("pull", "home")
    assert home.archived("home") == sorted(map(plain, range(HAD + MORE)))
    home.well("verify", "home")


def test_two_pulls_of_one_account_at_once_come_one_after_the_other_where_they_may_wait(
    home: Home, dovecot: Dovecot
) -> None:
    home.configure(home=imap(dovecot, filled(dovecot, MORE)))
    both = [home.start("pull", "--wait", "60", "--json") for _ in range(2)]
    new = []
    for process in both:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        new.append(json.loads(out)["reports"][0]["total"]["new"])
    assert sorted(new) == [0, MORE]
    assert home.archived("home") == sorted(map(plain, range(MORE)))
    home.well("verify")


def test_accounts_that_share_an_archive_share_its_lock(home: Home, dovecot: Dovecot) -> None:
    with standing_still(home, dovecot) as process:
        home.configure(shared=imap(dovecot, filled(dovecot, 1), ", archive: home"))
        done = home.run("pull", "shared")
        assert done.returncode == 11
        assert f"process {process.pid}" in done.stderr
