"""`--report FILE.html` of the command as its users call it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, filled, imap
from tests.unit.app.test_report_page import Page


@pytest.fixture
def home(tmp_path: Path, dovecot: Dovecot) -> Home:
    home = Home(tmp_path)
    home.configure(
        home=imap(dovecot, filled(dovecot)),
        new=imap(dovecot, dovecot.user(), ", backup: false"),
    )
    return home


def page(home: Home, name: str = "report.html") -> Page:
    path = home.directory / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return Page(path.read_text())


def test_every_command_that_moves_or_proves_leaves_its_report(home: Home) -> None:
    report = ("--report", "report.html")
    assert home.well("pull", *report).splitlines()[-1] == "a report to keep: report.html"
    assert "Pull: home" in page(home).text
    assert "Complete: 5 messages" in page(home).text
    home.well("push", "home", "new", *report)
    assert "Push: home → new" in page(home).text
    home.well("restore", "home", "--to", "new", *report)
    assert "Restore: home → new" in page(home).text
    home.well("migrate", "home", "new", *report)
    assert "Proved: 5 messages at the source" in page(home).text
    home.well("verify", "home", "--remote", *report)
    assert "Verification: home" in page(home).text
    assert "Complete: the archive has 5 messages of 5" in page(home).text


def test_a_report_that_cannot_be_written_is_said_and_what_was_done_is_done(home: Home) -> None:
    done = home.run("pull", "--report", "nowhere/report.html")
    assert done.returncode == 1
    assert (
        "! the report nowhere/report.html was not written: No such file or directory; what was done"
        " is done" in done.stderr
    )
    assert "home: complete: 5 messages" in done.stdout
    assert len(home.archived("home")) == 5
    again = home.run("pull", "--json", "--report", "mailsync.yaml")
    assert json.loads(again.stdout)["reports"][0]["complete"]
    assert "no report of mailsync" in again.stderr
    assert "accounts:" in (home.directory / "mailsync.yaml").read_text()


def test_the_trouble_of_a_run_wins_over_that_of_its_report(home: Home) -> None:
    home.well("pull")
    shutil.rmtree(home.directory / "mail" / "home" / "mail")
    assert home.run("verify", "home", "--report", os.devnull).returncode == 13
