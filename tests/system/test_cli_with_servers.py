"""The command as its users call it, against real servers: what it says, how it ends, what it leaves behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import random
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailsync.archive import Archive
from tests.letters import plain
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3
from tests.servers.wan import Proxy

MAILSYNC = [sys.executable, "-m", "mailsync.cli.main"]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Home:
    """A user's home with a configuration of his accounts."""

    directory: Path

    def configure(self, **accounts: str) -> None:
        lines = "".join(f"  {name}: {{{settings}}}\n" for name, settings in accounts.items())
        (self.directory / "mailsync.yaml").write_text(f"archive: {{root: mail}}\naccounts:\n{lines}")

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MAILSYNC_"))}
        return {
            **kept,
            "HOME": str(self.directory),
            "PYTHONPATH": str(ROOT),
            "PASSWORD": "secret",
            "TZ": "UTC",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*MAILSYNC, *arguments],
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def well(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def archived(self, name: str) -> list[bytes]:
        return sorted(file.read_bytes() for file in (self.directory / "mail" / name / "mail").rglob("*.mailsync,*"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def imap(server: Dovecot, user: str, more: str = "") -> str:
    here = f"protocol: imap, host: {server.host}, port: {server.imap_port}, security: none"
    return f"{here}, username: {user}, password: {{env: PASSWORD}}{more}"


def imaps(server: Dovecot, user: str, more: str = "") -> str:
    return f"protocol: imap, host: localhost, port: {server.imaps_port}, username: {user}, password: {{env: PASSWORD}}{more}"


def pop3(server: Dovecot, user: str) -> str:
    here = f"protocol: pop3, host: {server.host}, port: {server.pop3_port}, security: none"
    return f"{here}, username: {user}, password: {{env: PASSWORD}}"


def filled(server: Dovecot, count: int = 5) -> str:
    user = server.user()
    for number in range(count):
        server.deliver(user, "INBOX", plain(number))
    return user


def arrived(server: Dovecot, user: str, mailbox: str = "INBOX") -> list[bytes]:
    """Read what a mailbox holds, with the line ends Dovecot serves and does not store."""
    return sorted(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for content in server.letters(user, mailbox))


class Forwarder(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextlib.contextmanager
def forwarded(*targets: tuple[int, int]) -> Iterator[int]:
    """Listen at a free port plus each offset and pass on to each target port; gives the free port."""
    with contextlib.ExitStack() as stack:
        for port in random.Random().sample(range(20000, 30000), 50):
            try:
                servers = [Forwarder(("127.0.0.1", port + offset), forwarding(target)) for offset, target in targets]
            except OSError:
                continue
            for server in servers:
                stack.enter_context(server)
                threading.Thread(target=server.serve_forever, daemon=True).start()
                stack.callback(server.shutdown)
            yield port
            return
    pytest.fail("no two free ports that far apart")


def forwarding(target: int) -> type[socketserver.BaseRequestHandler]:
    class Forwarding(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", target)) as other:
                ways = {self.request: other, other: self.request}
                while True:
                    for source in select.select(list(ways), [], [])[0]:
                        data = source.recv(65536)
                        if not data:
                            return
                        ways[source].sendall(data)

    return Forwarding


def test_a_whole_migration_by_urls_and_again_with_nothing_left_to_do(
    home: Home, dovecot: Dovecot, pop3_server: Callable[..., Pop3]
) -> None:
    letters = [plain(number) for number in range(20)]
    old, user = pop3_server(letters), dovecot.user()
    command = ["migrate", f"pop3://demo@{old.host}:{old.port}", f"imap://{user}@{dovecot.host}:{dovecot.imap_port}"]
    command += ["--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"]

    first = home.well(*command)
    assert "complete: 20 letters" in first
    assert "complete: sent 20 letters" in first
    assert arrived(dovecot, user) == sorted(letters)
    assert (home.directory / "mailsync-archive" / f"demo@{old.host}" / "mail").is_dir()

    again = home.well(*command, "--json")
    pulled, pushed = json.loads(again)["reports"]
    assert (pulled["total"]["new"], pushed["total"]["new"], pushed["total"]["duplicate"]) == (0, 0, 20)
    assert len(dovecot.letters(user)) == 20


def test_a_pull_over_tls_then_everything_that_reads_the_archive(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot)
    home.configure(home=imaps(dovecot, user, f", ca_file: {dovecot.ca_file}"))
    done = home.run("pull")
    assert done.returncode == 0, done.stderr
    assert "home: complete: 5 letters" in done.stdout
    assert "pulling from home" in done.stderr
    assert len(home.archived("home")) == 5

    assert "INBOX" in home.well("list", "home")
    listed = home.well("list", "home", "--mailbox", "inbox")
    assert "Letter number 3" in listed
    letters = json.loads(home.well("list", "home", "--mailbox", "INBOX", "--json"))["letters"]
    (digest,) = [letter["digest"] for letter in letters if letter["subject"] == "Letter number 3"]
    assert digest[:12] in listed

    shown = home.well("show", "home", digest[:12])
    assert "Subject: Letter number 3" in shown
    assert "This is letter number 3." in shown
    raw = subprocess.run(
        [*MAILSYNC, "show", "home", digest, "--raw"], cwd=home.directory, env=home.environment(), capture_output=True, check=True
    )
    assert hashlib.sha256(raw.stdout).hexdigest() == digest
    assert json.loads(home.well("show", "home", digest[:8], "--json"))["headers"]["Subject"] == "Letter number 3"

    assert "every file is what was put there" in home.well("verify")
    assert home.run("status", "--max-age", "26h").returncode == 0
    account = json.loads(home.well("status", "--json"))["accounts"][0]
    assert (account["letters"], account["last_run_complete"], account["stale"]) == (5, True, False)


def test_json_is_alone_on_standard_output(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    done = home.run("pull", "--json")
    report = json.loads(done.stdout)
    assert (report["version"], report["command"], report["complete"]) == (1, "pull", True)
    assert report["reports"][0]["total"]["new"] == 5


def test_quiet_and_complete_says_nothing_at_all(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    done = home.run("-q", "pull")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_dry_run_counts_and_leaves_nothing_behind(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    assert "home: would bring 5 letters" in home.well("pull", "--dry-run")
    assert not (home.directory / "mail").exists()
    home.well("pull")
    assert "home: would bring nothing new" in home.well("pull", "--dry-run")


def test_only_the_chosen_mailboxes_are_pulled_and_the_account_is_not_called_complete_for_it(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot)
    dovecot.deliver(user, "Work/2024", plain(100))
    dovecot.deliver(user, "Work/2023", plain(101))
    home.configure(home=imap(dovecot, user))
    home.well("pull", "--mailbox", "Work/*", "--mailbox", "!Work/2023")
    assert home.archived("home") == [plain(100)]
    assert home.run("status", "--max-age", "26h").returncode == 3


def test_damage_ends_verify_with_13_and_the_next_pull_mends_it(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    home.well("pull")
    before = home.archived("home")
    victim = next((home.directory / "mail/home/mail").rglob("*.mailsync,*"))
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes().replace(b"letter", b"better"))
    done = home.run("verify")
    assert done.returncode == 13
    assert victim.name in done.stderr
    home.well("pull")
    assert home.archived("home") == before
    assert home.run("verify").returncode == 0


def test_an_archive_that_holds_another_accounts_mail_is_not_taken_for_an_empty_one(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)), other=imap(dovecot, dovecot.user(), ", archive: home"))
    home.well("pull", "home")
    done = home.run("list", "other")
    assert done.returncode == 10
    assert "holds no mail of other, only of home" in done.stderr


def test_a_refused_login_ends_with_12_and_leaves_no_archive_and_no_password(home: Home, dovecot: Dovecot) -> None:
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


def test_an_archive_in_use_ends_with_11_or_is_waited_for(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    with Archive.open(home.directory / "mail" / "home"):
        done = home.run("pull")
        assert done.returncode == 11
        assert str(os.getpid()) in done.stderr
        waiting = home.start("pull", "--wait", "60")
        time.sleep(1.5)
        assert waiting.poll() is None
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, said


def test_an_interrupted_pull_is_finished_by_the_same_command(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot, 60)
    with Proxy(dovecot.imap_port, rtt=0.6) as far:
        home.configure(home=imap(dovecot, user).replace(f"port: {dovecot.imap_port}", f"port: {far.port}"))
        process = home.start("pull")
        assert process.stderr is not None
        assert "pulling from home" in process.stderr.readline()
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost: run the same command again" in said
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    assert home.archived("home") == sorted(map(plain, range(60)))


def test_a_push_maps_and_repeats_nothing(home: Home, dovecot: Dovecot) -> None:
    user, other = filled(dovecot), dovecot.user()
    home.configure(home=imap(dovecot, user), rescue=imap(dovecot, other, ", map: {INBOX: Rescued/Inbox}"))
    home.well("pull", "home")
    planned = home.well("push", "home", "rescue", "--dry-run")
    assert "would send 5 letters" in planned
    assert dovecot.letters(other) == []
    assert "complete: sent 5 letters" in home.well("push", "home", "rescue")
    assert arrived(dovecot, other, "Rescued/Inbox") == sorted(map(plain, range(5)))
    assert json.loads(home.well("push", "home", "rescue", "--json"))["reports"][0]["total"]["new"] == 0


def test_a_push_without_an_archive_ends_with_10(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, dovecot.user()), rescue=imap(dovecot, dovecot.user()))
    assert home.run("push", "home", "rescue").returncode == 10


def test_check_tells_what_an_imap_server_can_do(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    said = home.well("check")
    assert "logged in at" in said
    assert "5 letters" in said
    assert "MULTIAPPEND" in said
    found = json.loads(home.well("check", "--json"))["accounts"][0]
    assert found["letters"] == 5
    assert {ability["name"]: ability["offered"] for ability in found["abilities"]}["UIDPLUS"]


def test_check_recommends_imap_where_the_same_login_works_there(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot)
    # As on the standard ports without TLS's own: IMAP two below POP3.
    with forwarded((0, dovecot.imap_port), (2, dovecot.pop3_port)) as port:
        home.configure(old=pop3(dovecot, user).replace(f"port: {dovecot.pop3_port}", f"port: {port + 2}"))
        said = home.well("check", "old")
        found = json.loads(home.well("check", "old", "--json"))["accounts"][0]
    assert "PIPELINING" in said
    assert (
        f"better: the same login works over IMAP, which also knows your folders, what you have read and the dates of arrival. Use imap://{user}@"
        in said
    )
    assert found["imap_instead"].startswith(f"imap://{user}@{dovecot.host}:{port} (")


def test_check_of_a_pop3_server_alone_recommends_nothing(home: Home, pop3_server: Callable[..., Pop3]) -> None:
    old = pop3_server([plain(1)])
    said = home.well("check", f"pop3://demo@{old.host}:{old.port}", "--password-env", "PASSWORD")
    assert "1 letter" in said
    assert "better:" not in said


def test_a_letter_cannot_steer_the_terminal_of_its_reader(home: Home, dovecot: Dovecot) -> None:
    user = dovecot.user()
    evil = b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <e@x>\r\nSubject: a\x1b[2Jb\r\nFrom: x\x9b31m <x@y>\r\n"
    evil += b"\r\n\x1b]0;owned\x07\r\n"
    dovecot.deliver(user, "INBOX", evil)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    listed = home.well("list", "home", "--mailbox", "*")
    digest = hashlib.sha256(evil).hexdigest()
    assert digest[:12] in listed
    said = listed + home.well("show", "home", digest[:12])
    assert not [one for one in said if one != "\n" and (ord(one) < 32 or 127 <= ord(one) < 160)]


def test_a_letter_deleted_on_the_server_is_listed_when_asked_for(home: Home, dovecot: Dovecot) -> None:
    user = filled(dovecot)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    min((dovecot.folder(user, "INBOX") / "cur").iterdir()).unlink()
    home.well("pull")
    assert len(home.well("list", "home", "--mailbox", "INBOX").splitlines()) == 1 + 4
    assert len(home.well("list", "home", "--mailbox", "INBOX", "--gone").splitlines()) == 1 + 5
    assert len(home.archived("home")) == 5


def test_an_unknown_digest_is_answered_with_where_to_find_one(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    home.well("pull")
    for wrong in ("0000", "xyz", "12"):
        done = home.run("show", "home", wrong)
        assert done.returncode == 2
        assert "mailsync list" in done.stderr


def test_on_a_terminal_the_password_is_asked_for_and_never_echoed(home: Home, dovecot: Dovecot) -> None:
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
    said = read_until(master, f"Password of {user} at {dovecot.host}: ")
    os.write(master, b"secret\n")
    said += read_until(master, "complete: 5 letters")
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


def test_a_migration_is_rehearsed_without_leaving_anything_behind(home: Home, dovecot: Dovecot, pop3_server: Callable[..., Pop3]) -> None:
    old, user = pop3_server([plain(1), plain(2)]), dovecot.user()
    command = ["migrate", f"pop3://demo@{old.host}:{old.port}", f"imap://{user}@{dovecot.host}:{dovecot.imap_port}", "--dry-run"]
    command += ["--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"]
    said = home.well(*command)
    assert "would bring 2 letters" in said
    assert "2 letters that the pull would bring come on top" in said
    assert not (home.directory / "mailsync-archive").exists()
    assert dovecot.letters(user) == []


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_migration_whose_one_side_refuses_the_login_ends_with_12_and_moves_nothing(home: Home, dovecot: Dovecot, side: str) -> None:
    good, bad = imap(dovecot, filled(dovecot)), imap(dovecot, dovecot.user()).replace("{env: PASSWORD}", "wrong-hunter2")
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
