"""Make the archives of this directory with the mailsync they are named after; README.md says how.

Everything is done by that mailsync's own commands against a real Dovecot, whose mail directories
are packed too, so that UIDs and UIDVALIDITYs are the same when it is started on them again.
"""

from __future__ import annotations

import io
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.servers import dovecot as dovecot_
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, imap, pop3

FORMATS = ("maildir", "mbox")
NESTED = "Work/Clients/Ärger"
DATE = 1_400_000_000

DIES_BEFORE_THE_ANSWER_IS_WRITTEN_DOWN = """
import os
from mailsync.archive.push_run import PushRun
PushRun.settle = lambda *_: os._exit(9)
from mailsync.cli.main import main
main()
"""
"""The destination has stored a message, and the ledger knows only the intent."""

DIES_IN_A_RENEWED_MAILBOX = """
import os
from mailsync.archive.pull_run import PullRun
match = PullRun.match
def once(self, entry, digest):
    match(self, entry, digest)
    self.flush()
    os._exit(9)
PullRun.match = once
from mailsync.cli.main import main
main()
"""
"""The old UIDs are withdrawn, and one message of several has its new one."""

DIES_BEFORE_ANYTHING_IS_REMOVED = """
import os
from mailsync.archive.prune import Pruning
Pruning.execute = lambda *_: os._exit(9)
from mailsync.cli.main import main
main()
"""
"""Files are condemned, and still there."""


def message(number: int, *, by: str = "mx", message_id: str | None = None, body: str = "") -> bytes:
    """Make a message; `by` is the route it took."""
    identifier = f"<old.{number}{body[:3]}@example.org>" if message_id is None else message_id
    lines = [
        f"Received: from {by}.example.org by mail.example.org with ESMTP id {number:08x}{by};",
        f"\tSat, 10 Jan 2004 {number % 24:02}:00:00 +0000",
        f"Date: Sat, 10 Jan 2004 {number % 24:02}:00:00 +0000",
        "From: Correspondent <c@example.org>",
        "To: Alice <alice@example.org>",
        f"Subject: Old message {number}",
        *([f"Message-ID: {identifier}"] if identifier else []),
        "",
        body or f"This is old message {number}.",
        "",
    ]
    return "\r\n".join(lines).encode()


class Scene:
    """The accounts of one format: `old` and `lost` by IMAP, `post` by POP3, `new` to push to."""

    def __init__(self, server: Dovecot, home: Home, form: str) -> None:
        self.server = server
        self.home = home
        self.form = form
        users = {name: f"{form}-{name}" for name in ("old", "lost", "post", "new")}
        self.user = users["old"]
        self.users = users
        self.moments: list[str] = []
        home.configure(
            old=imap(server, users["old"]),
            lost=imap(server, users["lost"]),
            post=pop3(server, users["post"]),
            new=imap(server, users["new"]) + ", backup: false",
        )
        config = home.directory / "mailsync.yaml"
        text = config.read_text().replace("{root: mail}", f"{{root: mail, format: {form}}}")
        config.write_text(text)

    def deliver(self, mailbox: str, number: int, *flags: str, **more: str) -> Path:
        content = message(number, **more)
        date = DATE + 3600 * number
        return self.server.deliver(self.user, mailbox, content, flags=flags, internaldate=date)

    def find(self, mailbox: str, number: int, user: str = "old") -> Path:
        """Find the file of a message on the server."""
        needle = f"Subject: Old message {number}\r\n".encode()
        folder = self.server.folder(self.users[user], mailbox)
        files = [file for part in ("cur", "new") for file in (folder / part).iterdir()]
        return next(file for file in files if needle in _crlf(file.read_bytes()))

    def flag(self, mailbox: str, number: int, letters: str) -> None:
        """Let a message have the flags of these Maildir letters, and no others."""
        file = self.find(mailbox, number)
        file.rename(file.with_name(file.name.partition(":2,")[0] + ":2," + letters))

    def renew(self, mailbox: str) -> None:
        """Let Dovecot give a mailbox a new UIDVALIDITY."""
        folder = self.server.folder(self.user, mailbox)
        for file in folder.glob("dovecot*"):
            if file.name != "dovecot-keywords":
                file.unlink()

    def reuse(self, mailbox: str) -> None:
        """Give the messages of a mailbox each other's UIDs under the same UIDVALIDITY and lose the
        newest one, as servers do that were restored from a backup.
        """
        folder = self.server.folder(self.user, mailbox)
        head, *lines = (folder / "dovecot-uidlist").read_text().splitlines()
        version, validity, _, identifier = head.split(" ")
        *files, newest = [line.split(" ", 1)[1] for line in lines]
        next((folder / "cur").glob(f"{newest.partition(':')[2]}*")).unlink()
        pairs = "".join(f"{uid} {file}\n" for uid, file in enumerate(reversed(files), 1))
        self.renew(mailbox)
        head = f"{version} {validity} N{len(files) + 1} {identifier}"
        (folder / "dovecot-uidlist").write_text(f"{head}\n{pairs}")
        shutil.chown(folder / "dovecot-uidlist", folder.owner(), folder.group())

    def dies(self, code: str, *arguments: str) -> None:
        """Run a command of a mailsync that dies on the way."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.home.directory,
            env=self.home.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 9, done

    def pull(self) -> None:
        """Pull all accounts, and let each pull have a second of its own."""
        self.home.well("pull")
        self.moments.append(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        time.sleep(1.1)

    def expected(self) -> dict[str, list[list[str]]]:
        """Return what this mailsync lists: as of each complete pull, and with what is gone."""
        views = {moment: ["--as-of", moment] for moment in self.moments} | {"gone": ["--gone"]}
        return {name: self.listed(*options) for name, options in views.items()}

    def listed(self, *options: str) -> list[list[str]]:
        report = json.loads(self.home.well("list", "old", "--mailbox", "*", *options, "--json"))
        return sorted(
            [one["mailbox"], one["digest"], " ".join(sorted(one["flags"]))]
            for one in report["letters"]
        )

    def make(self) -> None:
        self.fill()
        self.fill_others()
        self.pull()
        self.change()
        self.pull()  # the second pull copies the catalogue, as every day's first does
        assert (self.home.directory / "mail/old/catalogue.copy.sqlite3").exists()
        self.flag("INBOX", 1, "F")
        self.pull()
        self.push()
        self.renew("Lists")
        self.reuse("Reused")
        for mailbox in ("Lists", "Reused"):
            self.dies(DIES_IN_A_RENEWED_MAILBOX, "pull", "old", "--mailbox", mailbox)
        if self.form == "maildir":
            chosen = ("--mailbox", "Archive", "--gone-for", "0s", "--yes")
            self.dies(DIES_BEFORE_ANYTHING_IS_REMOVED, "prune", "old", *chosen)
        self.spoil()
        for file in (self.home.directory / "mail/lost").glob("catalogue*"):
            file.unlink()
        self.home.well("reindex", "lost")
        # What the next pull finds.
        self.flag("INBOX", 3, "RS")
        self.find("INBOX", 6).unlink()

    def fill(self) -> None:
        self.deliver("INBOX", 1)
        self.deliver("INBOX", 2, "\\Seen", "$Forwarded", "work")
        for number in (3, 4, 5, 6):
            self.deliver("INBOX", number, "\\Seen")
        self.deliver("INBOX", 18, message_id="")
        self.deliver("INBOX", 19, message_id="<old.shared@example.org>")
        self.deliver("INBOX", 20, message_id="<old.shared@example.org>")
        for number in (7, 8):
            self.deliver(NESTED, number, "\\Flagged")
        for mailbox in ("Archive", "Work"):
            self.deliver(mailbox, 1, "\\Seen")
        self.deliver("Archive", 2, by="list")
        for number in (9, 10):
            self.deliver("Archive", number)
        for number in (11, 12, 13):
            self.deliver("Lists", number)
        for number in (31, 32, 33):
            for mailbox in ("Reused", "Restored"):
                self.deliver(mailbox, number, body=mailbox + "." * number)
        for number in (14, 15):
            self.deliver("Renewed", number)
        for number in (16, 17):
            self.deliver("Old project", number)

    def fill_others(self) -> None:
        for account, mailbox, numbers in (
            ("post", "INBOX", (21, 22, 23, 24)),
            ("lost", "INBOX", (26,)),
            ("lost", "Archive", (27, 28)),
        ):
            for number in numbers:
                content = message(number)
                self.server.deliver(self.users[account], mailbox, content, internaldate=DATE)

    def change(self) -> None:
        self.flag("INBOX", 1, "S")
        self.flag("INBOX", 2, "S")
        self.find("INBOX", 5).unlink()
        self.find("Archive", 9).unlink()
        shutil.rmtree(self.server.folder(self.user, "Old project"))
        self.renew("Renewed")
        self.reuse("Restored")
        file = next((self.server.folder(self.users["post"], "INBOX") / "cur").iterdir())
        file.unlink()  # as another program that fetches and deletes

    def push(self) -> None:
        self.home.well("push", "old", "new")
        self.find(NESTED, 7, "new").unlink()
        self.flag(NESTED, 7, "FS")
        self.home.well("pull", "old")
        self.home.well("push", "old", "new")
        self.deliver("INBOX", 30)
        self.home.well("pull", "old")
        self.dies(DIES_BEFORE_THE_ANSWER_IS_WRITTEN_DOWN, "push", "old", "new")

    def spoil(self) -> None:
        """Let a bit of one message flip, and have it found."""
        needle = b"This is old message 4."
        tree = self.home.directory / "mail/old/mail"
        files = [file for file in tree.rglob("*") if file.is_file() and needle in file.read_bytes()]
        assert len(files) == 1, files
        files[0].write_bytes(files[0].read_bytes().replace(needle, b"This is odd message 4."))
        assert self.home.run("verify", "old").returncode == 13


def _crlf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@contextmanager
def _workplace() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="old-archives-"))
    try:
        directory.chmod(0o755)  # Dovecot serves mail as another user
        yield directory
    finally:
        shutil.rmtree(directory)


def pack(directory: Path, to: Path) -> None:
    """Pack a directory: the same files make the same octets."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(directory.rglob("*")):
            if not path.is_file() and not path.is_dir():
                continue
            info = tar.gettarinfo(path, str(path.relative_to(directory)))
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = int(info.mtime)
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    to.write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    target = Path(sys.argv[1]).absolute()
    with _workplace() as place:
        (place / "server").mkdir()
        with dovecot_.start(place / "server") as server:
            expected = {}
            for form in FORMATS:
                directory = place / form
                directory.mkdir()
                scene = Scene(server, Home(directory), form)
                scene.make()
                expected[form] = scene.expected()
        for form in FORMATS:
            pack(place / form / "mail", target / f"{form}.tar.xz")
        pack(place / "server" / "mail", target / "server.tar.xz")
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for file in sorted(target.glob("*.tar.xz")):
        print(file.name, file.stat().st_size)


if __name__ == "__main__":
    main()
