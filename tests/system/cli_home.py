"""A user's home and mailboxes for the tests of the command as its users call it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.messages import plain
from tests.servers.dovecot import Dovecot

MAILSYNC = [sys.executable, "-m", "mailsync.cli.main"]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Home:
    """A user's home with a configuration of his accounts."""

    directory: Path

    def configure(self, **accounts: str) -> None:
        lines = "".join(f"  {name}: {{{settings}}}\n" for name, settings in accounts.items())
        (self.directory / "mailsync.yaml").write_text(
            f"archive: {{root: mail}}\naccounts:\n{lines}"
        )

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "MAILSYNC_"))
        }
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
        return sorted(
            file.read_bytes()
            for file in (self.directory / "mail" / name / "mail").rglob("*.mailsync,*")
        )


def imap(server: Dovecot, user: str, more: str = "") -> str:
    here = f"protocol: imap, host: {server.host}, port: {server.imap_port}, security: none"
    return f"{here}, username: {user}, password: {{env: PASSWORD}}{more}"


def imaps(server: Dovecot, user: str, more: str = "") -> str:
    return (
        f"protocol: imap, host: localhost, port: {server.imaps_port}, username: {user}, password:"
        f" {{env: PASSWORD}}{more}"
    )


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
    return sorted(
        content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        for content in server.messages(user, mailbox)
    )


def next_second() -> None:
    """Wait until the clock shows another second."""
    begun = int(time.time())
    while int(time.time()) == begun:
        time.sleep(0.02)


def until(happened: Callable[[], object]) -> None:
    """Wait for something that happens sooner or later, however busy the machine is."""
    deadline = time.monotonic() + 100
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
