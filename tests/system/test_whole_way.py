"""The whole way, as a person goes it: a mailbox full of every kind of message, through the archive,
to another server.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests import messages
from tests.servers.dovecot import Dovecot

FLAGS = [
    (),
    ("\\Seen",),
    ("\\Seen", "\\Answered"),
    ("\\Flagged", "work"),
    ("\\Draft",),
    ("$Forwarded", "\\Seen"),
]
EMPTY_REPAIRED = (
    b"X-Mailsync-Repaired: "
    + hashlib.sha256(b"").hexdigest().encode()
    + b"\r\nSubject: (empty message)\r\n\r\n"
)
BOXES = [
    "INBOX",
    "Sent",
    "Drafts",
    "Projects",
    "Projects/2024",
    "Projects/2024/Jürgen & Söhne",
    "日本語",
    "a dot. in a name",
]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as Dovecot's own IMAP delivers it."""

    digest: str
    flags: frozenset[bytes]
    internaldate: float


def mailsync(
    folder: Path, *arguments: str, password: str = "secret", expect: int = 0
) -> dict[str, object]:
    """Run the command as a stranger would, with --json; give its report."""
    done = subprocess.run(
        [sys.executable, "-m", "mailsync.cli.main", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "OLD": password, "NEW": password},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == expect, done.stdout[-2000:] + done.stderr[-2000:]
    assert "secret" not in done.stdout + done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


def migrate(
    folder: Path, source: str, destination: str, *more: str, expect: int = 0
) -> list[dict[str, object]]:
    options = (
        "--archive",
        "archive",
        "--source-password-env",
        "OLD",
        "--destination-password-env",
        "NEW",
    )
    report = mailsync(
        folder, "migrate", source, destination, "--prove-content", *options, *more, expect=expect
    )
    found = report["reports"]
    assert isinstance(found, list)
    proof = found[-1]["proof"]
    assert all(one["complete"] and one["found"] == one["compared"] for one in proof), proof
    return found


def delivered(server: Dovecot, user: str, *, stored: bool = False) -> dict[str, list[Arrived]]:
    """Read every mailbox of a user by a client that is not ours.

    With `stored`, as it is after Dovecot stored it once more: it drops a CR in front of a CRLF.
    """
    found: dict[str, list[Arrived]] = {}
    with IMAPClient("127.0.0.1", server.imap_port, ssl=False) as client:
        client.normalise_times = False
        client.login(user, server.password)
        for flags, _, name in client.list_folders():
            if b"\\Noselect" in flags:
                continue
            client.select_folder(name, readonly=True)
            got = (
                client.fetch(client.search("ALL") or [], ["BODY.PEEK[]", "FLAGS", "INTERNALDATE"])
                if client.search("ALL")
                else {}
            )
            found[name] = [
                Arrived(
                    hashlib.sha256(
                        stored_again(one[b"BODY[]"]) if stored else one[b"BODY[]"]
                    ).hexdigest(),
                    frozenset(flag for flag in one[b"FLAGS"] if flag != b"\\Recent"),
                    one[b"INTERNALDATE"].timestamp(),
                )
                for one in got.values()
            ]
    return found


def assert_every_file_proves_itself(archive: Path) -> int:
    files = [
        path for path in (archive / "mail").rglob("*.mailsync,S=*") if path.parent.name == "cur"
    ]
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.name.split(".")[1])
    return len(files)


def numbers(reports: list[dict[str, object]], word: str) -> list[int]:
    return [report["total"][word] for report in reports]  # type: ignore[index]


@pytest.mark.timeout(600)
def test_two_thousand_varied_messages_go_from_pop3_to_imap_unchanged(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    old, new = dovecot.user("old"), dovecot.user("new")
    mail = messages.varied(2000, seed=7)
    for number, content in enumerate(mail):
        dovecot.deliver(old, "INBOX", content, internaldate=1_300_000_000 + number)
    source, destination = (
        f"pop3://{old}@127.0.0.1:{dovecot.pop3_port}",
        f"imap://{new}@127.0.0.1:{dovecot.imap_port}",
    )

    first = migrate(tmp_path, source, destination)

    assert numbers(first, "failed") == [0, 0]
    there = delivered(dovecot, old)["INBOX"]
    here = delivered(dovecot, new)["INBOX"]
    expected = {hashlib.sha256(served_after_pop3(content)).hexdigest() for content in mail}
    assert {one.digest for one in here} == expected
    unlike = [content for content in mail if served_after_pop3(content) != served_by_imap(content)]
    assert {one.digest for one in there} - expected == {
        hashlib.sha256(served_by_imap(content)).hexdigest() for content in unlike
    }
    assert all(
        b"\0" in content or not content.endswith(b"\n") or b"\r\r\n" in content
        for content in unlike
    )
    assert all(one.internaldate > 0 for one in here)
    assert assert_every_file_proves_itself(tmp_path / "archive") == len(here)
    assert len(here) == first[1]["total"]["new"]  # type: ignore[index]

    second = migrate(tmp_path, source, destination)

    assert numbers(second, "new") == [0, 0]
    assert delivered(dovecot, new)["INBOX"] == here
    verified = mailsync(tmp_path, "verify", source, "--archive", "archive")
    assert verified["exit_code"] == 0


def served_by_imap(content: bytes) -> bytes:
    """What Dovecot's IMAP returns for a message on its disk: bare LF becomes CRLF, NUL becomes
    0x80."""
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"\x80")


def stored_again(content: bytes) -> bytes:
    """What Dovecot keeps of an appended message: a CR in front of a line end is dropped, one at the
    very end too.
    """
    return re.sub(rb"\r(?=\r\n|\Z)", b"", content)


def filled(found: dict[str, list[Arrived]]) -> dict[str, Counter[Arrived]]:
    """The mailboxes that hold messages, and how often each; the empty message, which Dovecot will
    not store, left out.
    """
    empty = {hashlib.sha256(content).hexdigest() for content in (b"", EMPTY_REPAIRED)}
    counted = {
        name: Counter(one for one in arrived if one.digest not in empty)
        for name, arrived in found.items()
    }
    return {name: counter for name, counter in counted.items() if counter}


def served_after_pop3(content: bytes) -> bytes:
    """What it returns for the same message after it came over Dovecot's POP3, which adds a missing
    last newline.

    Dovecot drops a CR in front of a CRLF when it stores an appended message.
    """
    lined = served_by_imap(content)
    if not lined.endswith(b"\n"):
        lined += b"\r\n"
    return stored_again(lined)


def test_eight_imap_mailboxes_arrive_with_flags_keywords_and_dates(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    old, new = dovecot.user("old"), dovecot.user("new")
    for number, content in enumerate(messages.varied(400, seed=8, with_ugly=False)):
        dovecot.deliver(
            old,
            BOXES[number % 8],
            content,
            flags=FLAGS[number % 6],
            internaldate=1_300_000_000 + 100 * number,
        )
    source, destination = (
        f"imap://{old}@127.0.0.1:{dovecot.imap_port}",
        f"imap://{new}@127.0.0.1:{dovecot.imap_port}",
    )

    migrate(tmp_path, source, destination)

    there, here = delivered(dovecot, old), delivered(dovecot, new)
    assert {name: Counter(found) for name, found in here.items() if found} == {
        name: Counter(found) for name, found in there.items() if found
    }
    assert set(there) <= set(here)
    assert assert_every_file_proves_itself(tmp_path / "archive") == 400

    again = migrate(tmp_path, source, destination)

    assert numbers(again, "new") == [0, 0]
    assert delivered(dovecot, new) == here


def test_a_lost_archive_and_ledger_send_nothing_twice(dovecot: Dovecot, tmp_path: Path) -> None:
    old, new = dovecot.user("old"), dovecot.user("new")
    for content in messages.varied(300, seed=9):
        dovecot.deliver(old, "INBOX", content)
    source, destination = (
        f"imap://{old}@127.0.0.1:{dovecot.imap_port}",
        f"imap://{new}@127.0.0.1:{dovecot.imap_port}",
    )
    migrate(tmp_path, source, destination)
    before = delivered(dovecot, new)
    (tmp_path / "elsewhere").mkdir()

    reports = migrate(tmp_path / "elsewhere", source, destination)

    assert reports[1]["total"]["new"] == 0  # type: ignore[index]
    assert delivered(dovecot, new) == before


@pytest.mark.parametrize("mask", ["dovecot_plain_uid", "dovecot_poor"])
def test_a_poor_destination_gets_every_message_once(
    mask: str, dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    poor: Dovecot = request.getfixturevalue(mask)
    old, new = dovecot.user("old"), poor.user("new")
    for number, content in enumerate(messages.varied(200, seed=10)):
        dovecot.deliver(old, BOXES[number % 8], content, flags=FLAGS[number % 6])
    source, destination = (
        f"imap://{old}@127.0.0.1:{dovecot.imap_port}",
        f"imap://{new}@127.0.0.1:{poor.imap_port}",
    )

    migrate(tmp_path, source, destination)

    here = delivered(poor, new)
    assert filled(here) == filled(delivered(dovecot, old, stored=True))
    assert migrate(tmp_path, source, destination)[1]["total"]["new"] == 0  # type: ignore[index]
    assert delivered(poor, new) == here


def test_a_pull_from_a_poor_server_brings_the_same(dovecot_poor: Dovecot, tmp_path: Path) -> None:
    old, new = dovecot_poor.user("old"), dovecot_poor.user("new")
    for number, content in enumerate(messages.varied(200, seed=11)):
        dovecot_poor.deliver(old, BOXES[number % 8], content, flags=FLAGS[number % 6])
    source, destination = (
        f"imap://{old}@127.0.0.1:{dovecot_poor.imap_port}",
        f"imap://{new}@127.0.0.1:{dovecot_poor.imap_port}",
    )

    migrate(tmp_path, source, destination)

    assert filled(delivered(dovecot_poor, new)) == filled(delivered(dovecot_poor, old, stored=True))
