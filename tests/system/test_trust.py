"""An archive that can be trusted: flipped bits are found and mended, a lost catalogue costs no
message; by the command, against Dovecot.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tests.messages import plain, ugly
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, imap

FLIPPED = 50
MANY = 20_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit somewhere."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def test_of_300_messages_verify_names_the_50_with_a_flipped_bit_and_the_next_pull_mends_them(
    dovecot: Dovecot, home: Home
) -> None:
    chance = random.Random(50)
    user = dovecot.user()
    for number in range(300):
        dovecot.deliver(user, "INBOX" if number % 3 else "Work", plain(number))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    before = home.archived("a")
    spoiled = chance.sample(sorted((home.directory / "mail/a/mail").rglob("*.mailsync,*")), FLIPPED)
    for path in spoiled:
        flip(path, chance)

    found = home.run("verify", "--json")
    assert found.returncode == 13
    findings = json.loads(found.stdout)["reports"][0]["findings"]
    assert sorted(finding["path"] for finding in findings if finding["damaged"]) == sorted(
        map(str, spoiled)
    )

    mended = json.loads(home.well("pull", "--json"))["reports"][0]["total"]
    assert (mended["mended"], mended["new"]) == (FLIPPED, 0)
    home.well("verify")
    assert home.archived("a") == before
    assert len(list((home.directory / "mail/a/quarantine").glob("*.mailsync,*"))) == FLIPPED


@pytest.mark.parametrize("count", [2_000, pytest.param(MANY, marks=pytest.mark.long)])
def test_a_large_archive_is_reindexed_without_its_catalogue_and_the_next_pull_fetches_no_body(
    dovecot: Dovecot, home: Home, count: int
) -> None:
    user = dovecot.user()
    for number in range(count):
        dovecot.deliver(
            user,
            ("INBOX", "Work", "Archive")[number % 3],
            plain(number) + b"a line of it\r\n" * (number % 100),
        )
    with Cutter(dovecot.imap_port) as line:
        home.configure(
            a=imap(dovecot, user).replace(f"port: {dovecot.imap_port}", f"port: {line.port}")
        )
        home.well("pull", "-q")
        for path in (home.directory / "mail/a").glob("catalogue*"):
            path.unlink()
        home.well("reindex", "a")
        found = json.loads(home.well("pull", "--json"))["reports"][0]["total"]
        assert (found["matched"], found["new"], found["duplicate"], found["mended"]) == (
            count,
            0,
            0,
            0,
        )
        asked = b"\r\n".join(line.dialogues[-1].commands)
        assert b"BODY.PEEK[]<" in asked
        assert b"BODY.PEEK[])" not in asked
        assert b"BODY.PEEK[] " not in asked
        assert f"complete: the archive has {count:,} messages" in home.well("verify", "--remote")


def test_prune_removes_only_with_yes_and_only_what_left_the_server(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    paths = [dovecot.deliver(user, "INBOX", plain(number)) for number in range(10)]
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    for path in paths[:4]:
        path.unlink()
    home.well("pull")

    assert "nothing to remove" in home.well("prune", "a", "--gone-for", "1d", "--yes")
    assert "would remove 4 messages" in home.well("prune", "a", "--gone-for", "0s")
    assert len(home.archived("a")) == 10
    report = json.loads(home.well("prune", "a", "--gone-for", "0s", "--yes", "--json"))["reports"][
        0
    ]
    assert (report["messages"], report["dry_run"]) == (4, False)
    assert home.archived("a") == sorted(plain(number) for number in range(4, 10))
    home.well("verify")
    assert json.loads(home.well("pull", "--json"))["reports"][0]["total"]["new"] == 0
    assert home.run("prune", "a").returncode == 2


def test_duplicates_lists_copies_and_look_alikes_and_changes_nothing(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for mailbox in ("INBOX", "Work"):
        dovecot.deliver(user, mailbox, plain(1))
    for name in ("shared_id_draft", "shared_id_sent"):
        dovecot.deliver(user, "INBOX", ugly()[name])
    dovecot.deliver(user, "INBOX", ugly()["controls_in_header"])
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    told = home.well("duplicates", "a")
    assert "a: 1 message in several places" in told
    assert "in INBOX, Work" in told
    assert "different messages with Message-ID <ugly.shared@example.net>" in told
    found = json.loads(home.well("duplicates", "a", "--json"))
    assert (len(found["same"]), len(found["different"])) == (1, 2)
    home.well("verify")


def test_nobody_else_may_read_anything_of_an_archive(dovecot: Dovecot, home: Home) -> None:
    user, other = dovecot.user(), dovecot.user()
    for number in range(6):
        dovecot.deliver(
            user, ("INBOX", "Work", "x" * 250)[number % 3], plain(number), flags=["work"]
        )
    home.configure(a=imap(dovecot, user), b=imap(dovecot, other))
    before = os.umask(0)
    try:
        home.well("pull", "a")
        flip(next((home.directory / "mail/a/mail/cur").iterdir()), random.Random(1))
        home.run("verify")
        home.well("pull", "a")
        home.well("push", "a", "b")
        home.well("reindex", "a")
    finally:
        os.umask(before)
    made = [home.directory / "mail/a", *(home.directory / "mail/a").rglob("*")]
    assert {"quarantine", "lock", "catalogue.sqlite3", "catalogue.copy.sqlite3"} <= {
        path.name for path in made
    }
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_an_archive_of_mbox_files_does_all_that_a_maildir_does(
    dovecot: Dovecot, home: Home
) -> None:
    user, other = dovecot.user(), dovecot.user()
    for number in range(40):
        dovecot.deliver(
            user, ("INBOX", "Work")[number % 2], plain(number), flags=["\\Seen", "work"]
        )
    dovecot.deliver(user, "INBOX", ugly()["only_bare_lf"])
    home.configure(a=imap(dovecot, user), b=imap(dovecot, other) + ", backup: false")
    config = home.directory / "mailsync.yaml"
    config.write_text(config.read_text().replace("{root: mail}", "{root: mail, format: mbox}"))
    home.well("pull")
    dovecot.deliver(user, "Work", plain(99))
    assert json.loads(home.well("pull", "--json"))["reports"][0]["total"]["new"] == 1
    assert "complete" in home.well("verify", "--remote")
    assert {path.suffix for path in (home.directory / "mail/a/mail").iterdir()} == {".mbox"}
    listed = json.loads(home.well("list", "a", "--search", "number 99", "--json"))["messages"]
    assert "This is message number 99." in home.well("show", "a", listed[0]["digest"])
    assert json.loads(home.well("push", "a", "b", "--json"))["reports"][0]["total"]["new"] == 42
    assert json.loads(home.well("push", "a", "b", "--json"))["reports"][0]["total"]["new"] == 0
    for path in (home.directory / "mail/a").glob("catalogue*"):
        path.unlink()
    home.well("reindex", "a")
    found = json.loads(home.well("pull", "--json"))["reports"][0]["total"]
    assert (found["matched"], found["new"]) == (42, 0)
    assert home.run("prune", "a", "--gone-for", "1d", "--yes").returncode == 1
    config.write_text(config.read_text().replace("format: mbox", "format: maildir"))
    refused = home.run("pull")
    assert refused.returncode == 1
    assert "kept as mbox" in refused.stderr
