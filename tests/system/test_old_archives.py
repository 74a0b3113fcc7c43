"""Archives that an older mailsync made (tests/old_archives) go on under this one: nothing is
fetched again, nothing is sent again, nothing of their history is lost.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.old_archives.make import message
from tests.servers import dovecot as dovecot_
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, imap, pop3

PLACE = Path(__file__).parents[1] / "old_archives"
FORMATS = ("maildir", "mbox")
BODIES = re.compile(rb"UID FETCH (\S+) [^\r\n]*BODY(?:\.PEEK)?\[\](?!<)")
DAMAGED = b"This is old message 4."
REMOVED_THERE = b"This is old message 7."


class Old:
    """An archive of one format, and the servers it was made with."""

    def __init__(self, form: str, server: Dovecot, home: Home, stack: ExitStack) -> None:
        self.form = form
        self.server = server
        self.home = home
        self._stack = stack
        self.archive = home.directory / "mail/old"
        self.new = Cutter(server.imap_port)
        stack.enter_context(self.new)
        # A ledger knows its destination by host and port, and this server has another port.
        key = f"imap://{form}-new@{self.new.host}:{self.new.port}"
        for name in ("catalogue.sqlite3", "catalogue.copy.sqlite3"):
            with closing(sqlite3.connect(self.archive / name)) as catalogue, catalogue:
                catalogue.execute("UPDATE ledger SET destination = ?", (key,))
        self.lines: dict[str, Cutter] = {}

    def watch(self) -> None:
        """Begin to count what is asked for."""
        ports = {
            "old": self.server.imap_port,
            "lost": self.server.imap_port,
            "post": self.server.pop3_port,
        }
        self.lines = {name: self._stack.enter_context(Cutter(port)) for name, port in ports.items()}
        through = {
            name: (pop3 if name == "post" else imap)(self.server, f"{self.form}-{name}").replace(
                f"port: {ports[name]}", f"port: {line.port}"
            )
            for name, line in self.lines.items()
        }
        new = imap(self.server, f"{self.form}-new", ", backup: false").replace(
            f"port: {self.server.imap_port}", f"port: {self.new.port}"
        )
        self.home.configure(**through, new=new)
        config = self.home.directory / "mailsync.yaml"
        text = config.read_text().replace("{root: mail}", f"{{root: mail, format: {self.form}}}")
        config.write_text(text)

    def fetched(self, account: str) -> list[bytes]:
        """Return the sets of UIDs whose bodies were asked for, or the RETR commands."""
        said = self.lines[account].said_by_client
        if account == "post":
            return re.findall(rb"RETR \d+", said)
        return BODIES.findall(said)

    def bodies(self, account: str) -> list[bytes]:
        """Return the line that tells old messages apart, of each whole message that came."""
        return [
            found
            for literal in re.findall(
                rb"BODY\[\] \{\d+\}\r\n(.*?)\r\n\)\r\n",
                b"".join(bytes(one.from_server) for one in self.lines[account].dialogues),
                re.DOTALL,
            )
            for found in [literal.rstrip().rsplit(b"\r\n", 1)[-1]]
        ]

    def json(self, *arguments: str) -> Any:
        return json.loads(self.home.well(*arguments, "--json"))

    def total(self, *arguments: str) -> dict[str, int]:
        """Run a command and return what it counted."""
        reports: list[dict[str, dict[str, int]]] = self.json(*arguments)["reports"]
        assert len(reports) == 1
        return reports[0]["total"]

    def listed(self, *options: str) -> list[list[str]]:
        found = self.json("list", "old", "--mailbox", "*", *options)["messages"]
        return sorted(
            [one["mailbox"], one["digest"], " ".join(sorted(one["flags"]))] for one in found
        )

    def there(self) -> dict[str, list[bytes]]:
        """Return what the destination holds, by mailbox."""
        place = self.server.maildir(f"{self.form}-new")
        mailboxes: dict[str, list[bytes]] = {}
        for file in sorted(place.rglob("*,S=*")):
            mailboxes.setdefault(str(file.parents[1]), []).append(file.read_bytes())
        return {name: sorted(contents) for name, contents in mailboxes.items()}

    def expected(self) -> dict[str, list[list[str]]]:
        views: dict[str, list[list[str]]] = json.loads((PLACE / "expected.json").read_text())[
            self.form
        ]
        return views


@pytest.fixture(params=FORMATS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    with ExitStack() as stack:
        server = stack.enter_context(dovecot_.start())
        unpack("server", server.directory / "mail")
        for path in (server.directory / "mail").rglob("*"):
            # Dovecot serves it as another user when this runs as root.
            dovecot_._own(path)
        unpack(request.param, tmp_path / "mail")
        archive = Old(request.param, server, Home(tmp_path), stack)
        archive.watch()
        yield archive


def unpack(name: str, to: Path) -> None:
    with tarfile.open(PLACE / f"{name}.tar.xz") as tar:
        tar.extraction_filter = lambda member, _: member  # packed by ourselves
        tar.extractall(to)


def test_what_the_older_one_listed_as_of_each_pull_is_listed_the_same(old: Old) -> None:
    old.home.run("pull")
    views = old.expected()
    gone = views.pop("gone")
    assert len(views) == 3
    for moment, expected in views.items():
        assert old.listed("--as-of", moment) == expected
    # The server lost nothing that the archive does not keep; only flags moved on.
    assert {(one, two) for one, two, _ in old.listed("--gone")} == {
        (one, two) for one, two, _ in gone
    }


def test_verify_names_the_damaged_message_alone_and_the_pull_mends_it(old: Old) -> None:
    assert old.home.run("verify", "old").returncode == 13
    findings = json.loads(old.home.run("verify", "old", "--json").stdout)["reports"][0]["findings"]
    assert [one["damaged"] for one in findings] == [True]
    old.home.well("pull")
    for account in ("old", "lost", "post"):
        old.home.well("verify", account)
    assert "complete" in old.home.well("verify", "old", "--remote")


def test_a_pull_fetches_the_damaged_message_alone_and_records_what_changed(old: Old) -> None:
    total = old.total("pull", "old")
    assert (total["mended"], total["new"], total["duplicate"], total["failed"]) == (1, 0, 0, 0)
    # 3 was answered, 6 deleted; of those whose UIDs were withdrawn, 33 is not there any more.
    assert (total["flags"], total["gone"]) == (1, 2)
    assert old.bodies("old") == [DAMAGED]
    flags = {digest: found for place, digest, found in old.listed() if place == "INBOX"}
    assert "\\Answered \\Seen" in flags.values()

    assert old.total("pull", "post")["new"] == 0
    assert old.fetched("post") == []

    found = old.total("pull", "lost")
    assert (found["matched"], found["new"], found["mended"]) == (3, 0, 0)
    assert old.fetched("lost") == []

    again = old.total("pull", "old")
    assert not any(again[name] for name in ("new", "mended", "duplicate", "flags", "gone"))
    assert old.bodies("old") == [DAMAGED]


def test_a_push_appends_nothing_and_brings_back_nothing_that_was_removed_there(old: Old) -> None:
    old.home.well("pull", "old")
    before = old.there()
    total = old.total("push", "old", "new")
    assert (total["new"], total["failed"]) == (0, 0)
    assert b"APPEND" not in old.new.said_by_client
    assert old.there() == before
    assert not any(REMOVED_THERE in one for contents in before.values() for one in contents)
    arrived = [one for contents in before.values() for one in contents if b"old message 30" in one]
    assert len(arrived) == 1  # its reply was lost


@pytest.mark.parametrize("basis", ["catalogue", "copy", "tree"])
def test_after_a_reindex_from_anything_nothing_sound_is_fetched_or_sent(
    old: Old, basis: str
) -> None:
    if basis != "catalogue":
        for file in old.archive.glob("catalogue.sqlite3*"):
            file.write_bytes(b"no catalogue any more" * 500)
    if basis == "tree":
        (old.archive / "catalogue.copy.sqlite3").unlink()
    done = old.home.run("reindex", "old", "--json")
    assert done.returncode in {0, 13}, done.stderr  # 13: the damaged one is in quarantine
    assert json.loads(done.stdout)["reports"][0]["basis"] == basis
    before = old.there()

    old.home.well("pull", "old")
    # The tree alone does not know what a message without a Message-ID, or one that came by another
    # route, looked like on the server.
    unknown = {b"This is old message 18.", b"This is old message 2."} if basis == "tree" else set()
    assert old.bodies("old").count(DAMAGED) == 1
    assert set(old.bodies("old")) - {DAMAGED} <= unknown
    fetched = len(old.bodies("old"))
    old.home.well("pull", "old")
    assert len(old.bodies("old")) == fetched
    old.home.well("verify", "old")

    old.home.well("push", "old", "new")
    sent = Counter(_contents(old.there()))
    sent.subtract(_contents(before))
    if basis == "catalogue":
        assert b"APPEND" not in old.new.said_by_client
    # What was removed there is in the ledger alone, and the copy may be older than that.
    assert {REMOVED_THERE in one for one in +sent} <= ({True} if basis != "catalogue" else set())
    assert not -sent


def _contents(mailboxes: dict[str, list[bytes]]) -> Iterator[bytes]:
    for contents in mailboxes.values():
        yield from contents


def test_only_its_own_messages_are_looked_for() -> None:
    assert DAMAGED in message(4)
    assert REMOVED_THERE in message(7)
