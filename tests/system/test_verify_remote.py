"""`verify --remote`: every message of a server is in the archive, or named; nothing is fetched, and
nothing changes anywhere.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.messages import plain
from tests.servers import pymap as pymaps
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.wan import Proxy
from tests.system.cli_home import Home, imap, pop3

HARMLESS = re.compile(
    rb"m\d+ (AUTHENTICATE|ID|ENABLE|NAMESPACE|LIST|EXAMINE|UID FETCH|UID"
    rb" SEARCH|STATUS|LOGOUT|CAPABILITY|CLOSE|NOOP)\b"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def remote(home: Home, *, code: int) -> dict[str, dict[str, object]]:
    done = home.run("verify", "--remote", "--json")
    assert done.returncode == code, done.stderr
    (found,) = json.loads(done.stdout)["remote"]
    return {one["mailbox"]: one for one in found["mailboxes"]}


def test_what_a_pull_did_not_bring_is_named_and_a_pull_makes_it_good(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(20):
        dovecot.deliver(user, "INBOX" if number % 2 else "Work", plain(number))
    with Cutter(dovecot.imap_port) as line:
        home.configure(a=imap(dovecot, user).replace(str(dovecot.imap_port), str(line.port)))
        home.well("pull")
        assert "complete: the archive has 20 messages of 20" in home.well("verify", "--remote")
        dovecot.deliver(user, "Work", plain(77))
        with sqlite3.connect(home.directory / "mail/a/catalogue.sqlite3") as catalogue:
            catalogue.execute("DELETE FROM placements WHERE id = (SELECT max(id) FROM placements)")
        catalogue.close()

        done = home.run("verify", "--remote")
        assert done.returncode == 3
        assert len(re.findall(r"UID \d+ \(\d+ B\) is not in the archive", done.stderr)) == 2
        found = remote(home, code=3)
        assert sum(len(one["missing"]) for one in found.values()) == 2  # type: ignore[arg-type, misc]
        said = [command for dialogue in line.dialogues[1:] for command in dialogue.commands]
        assert said
        assert all(HARMLESS.match(command) for command in said), said
        assert not any(b"BODY" in command for command in said)

        home.well("pull")
        remote(home, code=0)


def test_a_damaged_message_is_13_and_an_account_never_pulled_is_told(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(3):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=imap(dovecot, user))
    never = home.run("verify", "--remote")
    assert never.returncode == 10
    home.well("pull")
    path = next((home.directory / "mail/a/mail/cur").iterdir())
    path.write_bytes(b"rotten")
    found = remote(home, code=13)
    assert (found["INBOX"]["in_archive"], len(found["INBOX"]["damaged"])) == (2, 1)  # type: ignore[arg-type]


def test_a_pop3_server_is_compared_by_its_uidls(dovecot: Dovecot, home: Home) -> None:
    user = dovecot.user()
    for number in range(5):
        dovecot.deliver(user, "INBOX", plain(number))
    home.configure(a=pop3(dovecot, user))
    home.well("pull")
    next((dovecot.maildir(user) / "cur").iterdir()).unlink()
    assert remote(home, code=0)["INBOX"]["in_archive"] == 4
    dovecot.deliver(user, "INBOX", plain(9))
    missing = json.dumps(remote(home, code=3)["INBOX"]["missing"])
    assert missing.count("UIDL ") == 1


def test_mailboxes_left_out_of_a_pull_are_left_out_here_and_named(home: Home) -> None:
    with pymaps.start() as server:
        with IMAPClient("127.0.0.1", server.port, ssl=False) as other:
            other.login(server.user, server.password)
            other.create_folder("Spam")
            other.append("Spam", plain(1))
            other.append("INBOX", plain(2))
        settings = (
            f"protocol: imap, host: 127.0.0.1, port: {server.port}, security: none, username:"
            f" {server.user}"
        )
        home.configure(a=f"{settings}, password: '{server.password}', mailboxes: ['*', '!Spam']")
        home.well("pull")
        told = home.well("verify", "--remote")
        assert "left out, as in a pull: Spam" in told
        assert "Spam" not in remote(home, code=0)


def test_it_waits_a_handful_of_times_however_many_mailboxes_there_are(
    dovecot: Dovecot, home: Home
) -> None:
    user = dovecot.user()
    for number in range(60):
        dovecot.deliver(user, f"Box {number % 30}", plain(number))
    with Proxy(dovecot.imap_port, rtt=0.2) as far:
        home.configure(a=imap(dovecot, user).replace(str(dovecot.imap_port), str(far.port)))
        home.well("pull")
        home.well("verify", "--remote")
        *_, traffic = far.traffic()
    assert traffic.turns <= 8
