"""Pulling and reading the archive by the command: what it says, how it ends, what it leaves
behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from imapclient import IMAPClient

from mailsync.archive import Archive
from tests.messages import plain
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import MAILSYNC, Home, filled, imap, imaps, until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_pull_over_tls_then_everything_that_reads_the_archive(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    home.configure(home=imaps(dovecot, user, f", ca_file: {dovecot.ca_file}"))
    done = home.run("pull")
    assert done.returncode == 0, done.stderr
    assert "home: complete: 5 messages" in done.stdout
    assert "pulling from home" in done.stderr
    assert len(home.archived("home")) == 5

    assert "INBOX" in home.well("list", "home")
    listed = home.well("list", "home", "--mailbox", "inbox")
    assert "Message number 3" in listed
    messages = json.loads(home.well("list", "home", "--mailbox", "INBOX", "--json"))["messages"]
    (digest,) = [
        message["digest"] for message in messages if message["subject"] == "Message number 3"
    ]
    assert digest[:12] in listed

    shown = home.well("show", "home", digest[:12])
    assert "Subject: Message number 3" in shown
    assert "This is message number 3." in shown
    assert f"SHA-256: {digest}" in shown
    assert "In: INBOX" in shown
    raw = subprocess.run(
        [*MAILSYNC, "show", "home", digest, "--raw"],
        cwd=home.directory,
        env=home.environment(),
        capture_output=True,
        check=True,
    )
    assert hashlib.sha256(raw.stdout).hexdigest() == digest
    as_json = json.loads(home.well("show", "home", digest[:8].upper(), "--json"))
    assert (as_json["digest"], as_json["headers"]["Subject"]) == (digest, "Message number 3")

    said = home.well("verify")
    assert re.search(r"5 messages in 5 files, [12]\.\d kB: every file is what was put there", said)
    assert home.run("status", "--max-age", "26h").returncode == 0
    account = json.loads(home.well("status", "--json"))["accounts"][0]
    assert (account["messages"], account["last_run_complete"], account["stale"]) == (5, True, False)


def test_status_counts_as_list_does_and_tells_of_a_pull_that_failed(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as other:
        other.login(user, "secret")
        other.create_folder("Done")
        other.select_folder("INBOX")
        other.copy([1], "Done")
        other.delete_messages([1, 2])
        other.expunge()
    home.well("pull")
    assert "last pull" not in home.run("status").stderr
    # Of two that left, one is in Done.
    assert home.well("status").splitlines()[-1].split()[2] == "1"
    (inbox,) = [line for line in home.well("list", "home").splitlines() if "INBOX" in line]
    assert inbox.split()[2] == "1"
    account = json.loads(home.well("status", "--json"))["accounts"][0]
    assert (account["gone"], account["moved"]) == (2, 1)
    home.configure(home=imap(dovecot, user).replace("PASSWORD", "HOME"))
    assert home.run("pull").returncode == 12
    assert "! home: the last pull, begun" in home.run("status").stderr


def test_json_is_alone_on_standard_output(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    done = home.run("pull", "--json")
    report = json.loads(done.stdout)
    assert (report["version"], report["command"], report["complete"]) == (2, "pull", True)
    assert report["reports"][0]["total"]["new"] == 5


def test_quiet_and_complete_says_nothing_at_all(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    done = home.run("-q", "pull")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_dry_run_counts_and_leaves_nothing_behind(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    assert "home: would bring up to 5 messages" in home.well("pull", "--dry-run")
    assert not (home.directory / "mail").exists()
    home.well("pull")
    assert "home: would bring nothing new" in home.well("pull", "--dry-run")


def test_only_the_chosen_mailboxes_are_pulled_and_the_account_is_not_called_complete_for_it(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    dovecot.deliver(user, "Work/2024", plain(100))
    dovecot.deliver(user, "Work/2023", plain(101))
    home.configure(home=imap(dovecot, user))
    home.well("pull", "--mailbox", "Work/*", "--mailbox", "!Work/2023")
    assert home.archived("home") == [plain(100)]
    assert home.run("status", "--max-age", "26h").returncode == 3


def test_damage_ends_verify_with_13_and_the_next_pull_mends_it(
    home: Home, dovecot: Dovecot
) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    home.well("pull")
    before = home.archived("home")
    victim = next((home.directory / "mail/home/mail").rglob("*.mailsync,*"))
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes().replace(b"message", b"better"))
    done = home.run("verify")
    assert done.returncode == 13
    assert victim.name in done.stderr
    home.well("pull")
    assert home.archived("home") == before
    assert home.run("verify").returncode == 0


def test_an_archive_that_holds_another_accounts_mail_is_not_taken_for_an_empty_one(
    home: Home, dovecot: Dovecot
) -> None:
    home.configure(
        home=imap(dovecot, filled(dovecot)), other=imap(dovecot, dovecot.user(), ", archive: home")
    )
    home.well("pull", "home")
    done = home.run("list", "other")
    assert done.returncode == 10
    assert "holds no mail of other, only of home" in done.stderr


def test_a_refused_login_ends_with_12_and_leaves_no_archive_and_no_password(
    home: Home, dovecot: Dovecot
) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)).replace("{env: PASSWORD}", "wrong-hunter2"))
    done = home.run("--debug", "pull")
    assert done.returncode == 12
    assert "wrong-hunter2" not in done.stdout + done.stderr
    assert not (home.directory / "mail").exists()


def test_a_certificate_signed_by_nobody_known_ends_with_14(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imaps(dovecot, "u"))
    done = home.run("pull")
    assert done.returncode == 14
    assert "ca_file:" in done.stderr


def test_one_account_that_fails_does_not_stop_the_others(home: Home, dovecot: Dovecot) -> None:
    bad = imap(dovecot, dovecot.user()).replace("{env: PASSWORD}", '"wrong"')
    home.configure(bad=bad, good=imap(dovecot, filled(dovecot)))
    done = home.run("pull", "--json")
    assert [report["exit_code"] for report in json.loads(done.stdout)["reports"]] == [12, 0]
    assert done.returncode == 3
    assert len(home.archived("good")) == 5


def has_open(process: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            if descriptor.readlink() == path:
                return True
    return False


def test_an_archive_in_use_ends_with_11_or_is_waited_for(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    with Archive.open(home.directory / "mail" / "home"):
        done = home.run("pull")
        assert done.returncode == 11
        assert str(os.getpid()) in done.stderr
        waiting = home.start("pull", "--wait", "60")
        until(lambda: has_open(waiting.pid, home.directory / "mail/home/lock"))
        assert waiting.poll() is None
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, said


def test_an_interrupted_pull_is_finished_by_the_same_command(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot, 60)
    with Cutter(dovecot.imap_port, Cut(12_000, how="stall")) as line:
        home.configure(
            home=imap(dovecot, user).replace(f"port: {dovecot.imap_port}", f"port: {line.port}")
        )
        process = home.start("pull")
        assert process.stderr is not None
        assert "pulling from home" in process.stderr.readline()
        until(lambda: line.dialogues and len(line.dialogues[0].from_server) == 12_000)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost: run the same command again" in said
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    assert home.archived("home") == sorted(map(plain, range(60)))


def test_a_message_cannot_steer_the_terminal_of_its_reader(home: Home, dovecot: Dovecot) -> None:
    user = dovecot.user()
    evil = (
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <e@x>\r\nSubject: a\x1b[2Jb\r\nFrom:"
        b" x\x9b31m <x@y>\r\n"
    )
    evil += b"\r\n\x1b]0;owned\x07\r\n"
    dovecot.deliver(user, "INBOX", evil)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    listed = home.well("list", "home", "--mailbox", "*")
    digest = hashlib.sha256(evil).hexdigest()
    assert digest[:12] in listed
    said = listed + home.well("show", "home", digest[:12])
    assert not [one for one in said if one != "\n" and (ord(one) < 32 or 127 <= ord(one) < 160)]


def test_a_message_deleted_on_the_server_is_listed_when_asked_for(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    min((dovecot.folder(user, "INBOX") / "cur").iterdir()).unlink()
    home.well("pull")
    listed = home.well("list", "home", "--mailbox", "INBOX", "--json")
    assert len(json.loads(listed)["messages"]) == 4
    listed = home.well("list", "home", "--mailbox", "INBOX", "--gone", "--json")
    assert [one["gone"] for one in json.loads(listed)["messages"]].count(True) == 1
    assert len(home.archived("home")) == 5


def test_an_unknown_digest_is_answered_with_where_to_find_one(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    home.well("pull")
    for wrong, code in (("0000", 4), ("xyz", 2), ("12", 4)):
        done = home.run("show", "home", wrong)
        assert done.returncode == code
        assert "mailsync list" in done.stderr


def test_on_a_terminal_the_password_is_asked_for_and_never_echoed(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*MAILSYNC, "pull", f"imap://{user}@{dovecot.host}:{dovecot.imap_port}"],
        cwd=home.directory,
        env={**home.environment(), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    said = read_until(master, f"Password for imap://{user}@{dovecot.host}:{dovecot.imap_port}: ")
    os.write(master, b"secret\n")
    said += read_until(master, "complete: 5 messages")
    assert process.wait(timeout=60) == 0
    os.close(master)
    assert "secret" not in said


def read_until(terminal: int, words: str) -> str:
    said = b""
    deadline = time.monotonic() + 60
    while words.encode() not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                said += os.read(terminal, 65536)
            except OSError:
                break
    assert words.encode() in said, said
    return said.decode("utf-8", "replace")


def test_a_message_is_shown_with_where_it_was_its_links_and_its_attachments_which_are_saved(
    home: Home, dovecot: Dovecot
) -> None:
    user = dovecot.user()
    message = (
        b"From: Bob <bob@example.org>\r\nSubject: Offer\r\nMessage-ID: <offer@example.org>\r\n"
        b"Date: Mon, 2 Mar 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<table><tr><td>Bread<td>2 EUR</table>"
        b"<a href=https://evil.example/>bank</a>\r\n"
    ) + b"".join(
        b'--b\r\nContent-Type: application/pdf; name="../../%s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n" % name
        for name in (b"a.pdf", b"a.pdf", b".rc")
    )
    dovecot.deliver(user, "Projects", message + b"--b--\r\n", flags=["\\Flagged"])
    dovecot.deliver(user, "INBOX", message + b"--b--\r\n")
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as other:
        other.login(user, dovecot.password)
        other.delete_folder("Projects")
    home.well("-q", "pull")
    digest = hashlib.sha256(message + b"--b--\r\n").hexdigest()
    place = home.directory / "saved"
    place.mkdir()
    (place / "a.pdf").write_bytes(b"mine")

    shown = home.well("show", "a", digest[:6], "--attachments", "saved")

    assert re.search("^In: INBOX$", shown, re.MULTILINE)
    assert re.search(r"^In: Projects \(flagged\), gone between 20.* and 20", shown, re.MULTILINE)
    assert "Bread | 2 EUR\n\nbank [1]" in shown
    assert "Links lead to:\n  [1] https://evil.example/" in shown
    assert "a.pdf (application/pdf, 3 B) → saved/a (2).pdf" in shown
    assert {one.name: one.read_bytes() for one in place.iterdir()} == {
        "a.pdf": b"mine",
        "a (2).pdf": bytes(3),
        "a (3).pdf": bytes(3),
        "rc": bytes(3),
    }
    assert not (home.directory / "rc").exists()
