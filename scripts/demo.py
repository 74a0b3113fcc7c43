"""Show mailsync at work: move a mailbox from a POP3 server through an archive to an IMAP server,
then prove what happened.

Both servers are real ones (Twisted's POP3, pymap's IMAP) on free ports of this machine, with
messages made for the occasion, the ugly kinds among them. mailsync runs as a process, as a user
would run it; what arrived is counted and compared without it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imapclient import IMAPClient

from tests.messages import varied
from tests.servers import pop3, pymap

MARKER = "made-by-scripts-demo"
TWICE = 5
POP3_SECRET = "DEMO_POP3_PASSWORD"
IMAP_SECRET = "DEMO_IMAP_PASSWORD"


@dataclass(frozen=True, slots=True)
class Stage:
    """The two servers, and where the archive goes."""

    source: pop3.Pop3
    destination: pymap.Pymap
    archive: Path

    @property
    def source_url(self) -> str:
        """The old mailbox as mailsync is told of it."""
        return f"pop3://{self.source.user}@{self.source.host}:{self.source.port}"

    @property
    def destination_url(self) -> str:
        """The new mailbox as mailsync is told of it."""
        return f"imap://{self.destination.user}@{self.destination.host}:{self.destination.port}"


def mailsync(stage: Stage, *arguments: str) -> None:
    """Show and run one mailsync command; a failure ends the demo with its exit code."""
    print(f"\n$ mailsync {shlex.join(arguments)}", flush=True)
    secrets = {POP3_SECRET: stage.source.password, IMAP_SECRET: stage.destination.password}
    done = subprocess.run(
        [sys.executable, "-m", "mailsync.cli.main", *arguments],
        env={**os.environ, **secrets},
        check=False,
    )
    if done.returncode:
        print(f"mailsync ended with exit code {done.returncode}; the demo stops here")
        raise SystemExit(done.returncode)


def migrate(stage: Stage) -> None:
    """Run the one command this is all about."""
    secrets = ("--source-password-env", POP3_SECRET, "--destination-password-env", IMAP_SECRET)
    mailsync(
        stage,
        "migrate",
        stage.source_url,
        stage.destination_url,
        "--archive",
        os.path.relpath(stage.archive),
        *secrets,
    )


def arrived(server: pymap.Pymap) -> tuple[int, Counter[bytes]]:
    """Read the new mailbox without mailsync: the next UID it would give, and its messages."""
    with IMAPClient(server.host, server.port, ssl=False, timeout=60) as client:
        client.login(server.user, server.password)
        uidnext: int = client.select_folder("INBOX", readonly=True)[b"UIDNEXT"]
        messages: Counter[bytes] = Counter()
        uids = client.search()
        for start in range(0, len(uids), 100):
            messages.update(
                found[b"BODY[]"]
                for found in client.fetch(uids[start : start + 100], ["BODY.PEEK[]"]).values()
            )
        return uidnext, messages


def promise(kept: bool, text: str) -> None:  # noqa: FBT001  reads as a sentence where it is called
    """Print one thing that was proved, or end the demo."""
    print(f"  {'ok' if kept else 'NOT SO'}: {text}", flush=True)
    if not kept:
        raise SystemExit(1)


def show(stage: Stage) -> None:
    """Migrate, migrate again, verify, and prove each by looking at the servers."""
    held = stage.source.messages()
    expected = Counter(dict.fromkeys(map(pop3.ended, held.values()), 1))
    print(
        f"The old server holds {len(held)} messages, {len(held) - len(expected)} of them delivered"
        " twice. Now they move."
    )

    migrate(stage)
    uidnext, messages = arrived(stage.destination)
    print("\nLooking into the new mailbox without mailsync:")
    promise(
        messages.total() == len(expected),
        f"{messages.total()} messages are there, each of the {len(expected)} different ones once",
    )
    promise(messages == expected, "each is byte for byte what the old server sends")
    promise(stage.source.messages() == held, "the old mailbox is as it was")

    migrate(stage)
    print("\nThe same command again moved nothing:")
    promise(
        arrived(stage.destination) == (uidnext, messages),
        f"the new mailbox holds the same messages and still counts on from UID {uidnext}",
    )

    mailsync(stage, "verify", stage.source_url, "--archive", os.path.relpath(stage.archive))
    print(
        f"\nThe archive lies in {stage.archive}: a Maildir any mail program opens, such as `mutt -f"
        f" {stage.archive / 'mail'}`."
    )


@contextlib.contextmanager
def staged(archive: Path, count: int) -> Iterator[Stage]:
    """Start both servers and fill the old mailbox; the servers end with the context, the archive
    stays.
    """
    # pymap keeps a message byte for byte only when its header ends with a blank line; mailsync
    # itself does not mind.
    messages = [message for message in varied(count + 20, seed=1) if b"\r\n\r\n" in message][:count]
    messages += messages[:TWICE]
    with (
        pop3.start(messages) as source,
        pymap.start(user="demo", password="demopass") as destination,
    ):
        yield Stage(source, destination, archive)


def cleared(archive: Path | None) -> Path:
    """Find the place for the archive; the one an earlier demo left in the default place is
    replaced, nothing else ever is.
    """
    place = (archive or Path("mailsync-demo")).resolve()
    if archive is None and (place / MARKER).is_file():
        shutil.rmtree(place)
    if place.exists() and any(place.iterdir()):
        raise SystemExit(
            f"{place} is there already and not empty; choose another place with --archive DIR"
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / MARKER).write_text(
        "scripts/demo made this archive from messages it made up, and replaces it when it runs"
        " again.\n"
    )
    return place


def main() -> None:
    """Run the demo; ends with 0 only when everything it says was proved."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--archive",
        metavar="DIR",
        type=Path,
        help="where the archive goes (default: ./mailsync-demo)",
    )
    parser.add_argument(
        "--messages",
        metavar="N",
        type=int,
        default=300,
        help="how many messages to move (default: 300)",
    )
    parser.add_argument(
        "--venv",
        metavar="DIR",
        help="the environment to make and use (default: .venv in the checkout)",
    )
    options = parser.parse_args()
    with staged(cleared(options.archive), options.messages) as stage:
        show(stage)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
