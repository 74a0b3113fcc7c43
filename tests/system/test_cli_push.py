"""Pushing and migrating by the command: what it says, how it ends, what arrives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mailsync.archive import Archive
from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3
from tests.system.cli_home import Home, arrived, filled, imap, until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_whole_migration_by_urls_and_again_with_nothing_left_to_do(
    home: Home, dovecot: Dovecot, pop3_server: Callable[..., Pop3]
) -> None:
    messages = [plain(number) for number in range(20)]
    old, user = pop3_server(messages), dovecot.user()
    command = [
        "migrate",
        f"pop3://demo@{old.host}:{old.port}",
        f"imap://{user}@{dovecot.host}:{dovecot.imap_port}",
    ]
    command += ["--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"]

    first = home.well(*command)
    assert "complete: 20 messages" in first
    assert "complete: sent 20 messages" in first
    assert arrived(dovecot, user) == sorted(messages)
    assert (home.directory / "mailsync-archive" / f"demo@{old.host},{old.port}" / "mail").is_dir()

    again = home.well(*command, "--json")
    pulled, pushed = json.loads(again)["reports"]
    assert (pulled["total"]["new"], pushed["total"]["new"], pushed["total"]["duplicate"]) == (
        0,
        0,
        20,
    )
    assert len(dovecot.messages(user)) == 20


def test_a_push_maps_and_repeats_nothing(home: Home, dovecot: Dovecot) -> None:
    user, other = filled(dovecot), dovecot.user()
    home.configure(
        home=imap(dovecot, user), rescue=imap(dovecot, other, ", map: {INBOX: Rescued/Inbox}")
    )
    home.well("pull", "home")
    planned = home.well("push", "home", "rescue", "--dry-run")
    assert "would send 5 messages" in planned
    assert dovecot.messages(other) == []
    assert "complete: sent 5 messages" in home.well("push", "home", "rescue")
    assert arrived(dovecot, other, "Rescued/Inbox") == sorted(map(plain, range(5)))
    assert (
        json.loads(home.well("push", "home", "rescue", "--json"))["reports"][0]["total"]["new"] == 0
    )


def test_a_dry_run_beside_a_run_waits_for_nothing_and_is_not_in_the_records(
    home: Home, dovecot: Dovecot
) -> None:
    user, other = filled(dovecot), dovecot.user()
    home.configure(home=imap(dovecot, user), rescue=imap(dovecot, other))
    home.well("pull", "home")
    directory = home.directory / "mail" / "home"
    with Archive.open(directory) as running:
        before = running.runs(None, 10)
        planned = home.well("push", "home", "rescue", "--dry-run")
        assert "would send 5 messages" in planned
        assert re.search(r"INBOX +5 +5 ", planned)
        assert "migrate" not in planned
        assert "would send 5 messages" in home.well("migrate", "home", "rescue", "--dry-run")
        assert running.runs(None, 10) == before


def test_a_dry_run_tells_of_a_place_where_no_archive_could_be(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    (home.directory / "file").touch()
    done = home.run("pull", "home", "--dry-run", "--archive", "file/archive")
    assert done.returncode == 1
    assert "is a file; choose another place" in done.stderr


def test_messages_are_sent_while_others_still_come(home: Home, dovecot: Dovecot) -> None:
    old, new = dovecot.user(), dovecot.user()
    messages = [plain(number) + b"x" * 40_000 + b"\r\n" for number in range(40)]
    for message in messages:
        dovecot.deliver(old, "INBOX", message)
    with Cutter(dovecot.imap_port, Cut(800_000, how="stall")) as line:
        home.configure(
            old=imap(dovecot, old).replace(str(dovecot.imap_port), str(line.port)),
            new=imap(dovecot, new),
        )
        with home.start("migrate", "old", "new", "--json") as running:
            until(lambda: dovecot.messages(new))
            early = len(dovecot.messages(new))
            line.hang_up()
            out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    assert 0 < early < 40
    pulled, pushed = json.loads(out)["reports"]
    assert (pulled["total"]["new"], pushed["total"]["new"], pushed["total"]["duplicate"]) == (
        40,
        40,
        0,
    )
    assert arrived(dovecot, new) == sorted(messages)


def test_a_push_without_an_archive_ends_with_10(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, dovecot.user()), rescue=imap(dovecot, dovecot.user()))
    assert home.run("push", "home", "rescue").returncode == 10


def test_a_migration_is_rehearsed_without_leaving_anything_behind(
    home: Home, dovecot: Dovecot, pop3_server: Callable[..., Pop3]
) -> None:
    old, user = pop3_server([plain(1), plain(2)]), dovecot.user()
    command = [
        "migrate",
        f"pop3://demo@{old.host}:{old.port}",
        f"imap://{user}@{dovecot.host}:{dovecot.imap_port}",
        "--dry-run",
    ]
    command += ["--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"]
    said = home.well(*command)
    assert "would bring up to 2 messages" in said
    assert "would send up to 2 messages" in said
    assert "2 messages of these would be pulled first" in said
    assert "at 1.0 MB/s" in said
    assert not (home.directory / "mailsync-archive").exists()
    assert dovecot.messages(user) == []


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_migration_whose_one_side_refuses_the_login_ends_with_12_and_moves_nothing(
    home: Home, dovecot: Dovecot, side: str
) -> None:
    good, bad = (
        imap(dovecot, filled(dovecot)),
        imap(dovecot, dovecot.user()).replace("{env: PASSWORD}", "wrong-hunter2"),
    )
    home.configure(good=good, bad=bad)
    done = home.run("migrate", *(["bad", "good"] if side == "source" else ["good", "bad"]))
    assert done.returncode == 12
    assert "wrong-hunter2" not in done.stderr + done.stdout
    assert home.archived("good") == []


def test_the_ends_of_a_migration_keep_their_folders_and_flags(home: Home, dovecot: Dovecot) -> None:
    old, new = dovecot.user(), dovecot.user()
    dovecot.deliver(old, "Work/Überblick", plain(1), flags=["\\Seen", "\\Flagged"])
    dovecot.deliver(old, "Sent", plain(2), flags=["\\Seen"])
    home.configure(old=imap(dovecot, old), new=imap(dovecot, new))
    home.well("migrate", "old", "new")
    assert arrived(dovecot, new, "Work/Überblick") == [plain(1)]
    assert arrived(dovecot, new, "Sent") == [plain(2)]
    (file,) = (dovecot.folder(new, "Work/Überblick") / "cur").iterdir()
    assert file.name.endswith(":2,FS")
