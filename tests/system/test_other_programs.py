"""The Maildir of an archive in the hands of other programs: mutt, Python's mailbox, Dovecot; and
what they leave behind in it.
"""

from __future__ import annotations

import mailbox
import os
import pty
import re
import shutil
import termios
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from imapclient import IMAPClient

from mailsync.archive import Archive
from mailsync.archive.storage.maildir import MaildirStorage
from mailsync.model import INBOX, MailboxPath
from tests.archive.archive_steps import damages, files, messages, opened, pull, pulling, sha256, uid
from tests.messages import plain, ugly
from tests.servers.dovecot import Dovecot, _own

FOLDERS: Sequence[MailboxPath] = (
    INBOX,
    ("Work",),
    ("Work", "2019"),
    ("a.b", "c/d"),
    ("Entwürfe & Notizen",),
    ("手紙",),
    ("x" * 300,),
    ("lower",),
    ("LOWER",),
    ("cur",),
    ("..",),
)
STATUS = "set quit=yes; set folder=/tmp; set status_format='COUNT=%m.'"
FLAGS: Sequence[Sequence[str]] = (
    ["\\Seen"],
    ["\\Seen", "\\Answered"],
    ["\\Flagged", "work"],
    ["\\Draft"],
    ["$Forwarded", "later", "\\Seen"],
    [],
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with every ugly message in the inbox, and a few plain ones in folders with every
    ugly name.
    """
    directory = tmp_path_factory.mktemp("archive") / "a"
    contents = [*ugly().values(), *(plain(number) for number in range(20))]
    messages = [
        uid(number, content, flags=FLAGS[number % len(FLAGS)])
        for number, content in enumerate(contents, 1)
    ]
    for place, path in enumerate(FOLDERS[1:], 1):
        messages += [
            uid(number, plain(100 * place + number), path, flags=FLAGS[number % len(FLAGS)])
            for number in range(1, 6)
        ]
    with opened(directory, dedupe="exact") as archive:
        pull(archive, messages)
        assert damages(archive) == []
    return directory


def held(directory: Path, path: MailboxPath = INBOX) -> dict[bytes, frozenset[str]]:
    with Archive.read(directory) as archive:
        return {archived.digest: archived.flags for archived in messages(archive, path)}


def test_python_opens_every_folder_with_the_right_messages_and_flags(archive: Path) -> None:
    root = mailbox.Maildir(archive / "mail", create=False)
    found = {"": root} | {name: root.get_folder(name) for name in root.list_folders()}
    with Archive.read(archive) as opened_:
        expected = {box.path: box.live for box in opened_.mailboxes("alice")}
    assert sorted(map(len, found.values())) == sorted(expected.values())
    inbox = held(archive)
    where = root._lookup  # type: ignore[attr-defined]
    read = {
        sha256((archive / "mail" / where(key)).read_bytes()): set(root[key].get_flags())
        for key in root.iterkeys()
    }
    letter_of = {
        "\\Seen": "S",
        "\\Answered": "R",
        "\\Flagged": "F",
        "\\Draft": "D",
        "$Forwarded": "P",
    }
    assert {digest: flags - set("abc") for digest, flags in read.items()} == {
        digest: {letter_of[flag] for flag in flags if flag in letter_of}
        for digest, flags in inbox.items()
    }


def test_mutt_opens_a_folder_with_the_right_number_of_messages(
    archive: Path, tmp_path: Path
) -> None:
    shutil.copytree(archive / "mail", tmp_path / "mail")
    for folder, path in (("mail", INBOX), ("mail/.Work.2019", ("Work", "2019"))):
        shown = on_a_terminal(
            ["mutt", "-n", "-F", "/dev/null", "-R", "-f", str(tmp_path / folder), "-e", STATUS],
            tmp_path,
        )
        assert shown == len(held(archive, path))


def on_a_terminal(command: Sequence[str], home: Path) -> int:
    """Run mutt until its status line shows a count, then end it."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", HOME=str(home))
        termios.tcsetwinsize(0, (24, 80))
        os.execvp(command[0], list(command))
    drawn = b""
    found = None
    try:
        while part := os.read(terminal, 65536):
            drawn += part
            if found is None and (found := re.search(rb"COUNT=(\d+)[.]", drawn)):
                os.write(terminal, b"q")
    except OSError:
        pass  # how a terminal says that the program is done
    os.close(terminal)
    os.waitpid(child, 0)
    assert found, drawn
    return int(found[1])


def test_dovecot_serves_a_copy_message_by_message_with_the_differences_it_makes_everywhere(
    archive: Path, dovecot: Dovecot
) -> None:
    user = dovecot.user()
    place = dovecot.folder(user, "INBOX")
    shutil.rmtree(place)
    shutil.copytree(archive / "mail", place)
    for directory, _, names in os.walk(place):
        _own(Path(directory))
        for name in names:
            _own(Path(directory) / name)
    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as client:
        client.login(user, dovecot.password)
        for name, path in (
            ("INBOX", INBOX),
            ("Work", ("Work",)),
            ("Work/2019", ("Work", "2019")),
            ("手紙", ("手紙",)),
        ):
            client.select_folder(name, readonly=True)
            served = client.fetch(client.search("ALL"), ["BODY.PEEK[]", "FLAGS"])
            ours = contents(archive, path)
            assert Counter(answer[b"BODY[]"] for answer in served.values()) == Counter(
                as_dovecot_sends(content) for content in ours
            )
            keywords = Counter(
                flag
                for answer in served.values()
                for flag in answer[b"FLAGS"]
                if flag != b"\\Recent"
            )
            assert keywords == Counter(
                flag.encode() for flags in held(archive, path).values() for flag in flags
            )


def contents(directory: Path, path: MailboxPath) -> list[bytes]:
    with Archive.read(directory) as archive:
        return [archive.content(archived.digest) for archived in messages(archive, path)]


def as_dovecot_sends(content: bytes) -> bytes:
    """What Dovecot makes of a file: NUL comes out as 0x80, a bare LF as CRLF; all else as it is."""
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"\x80")


def test_flags_another_program_changed_and_files_it_left_are_no_damage_and_do_no_harm(
    tmp_path: Path,
) -> None:
    four = [uid(number, plain(number), flags=["\\Seen"]) for number in range(1, 5)]
    with opened(tmp_path / "a") as archive:
        pull(archive, four)
    first, second, third, _ = files(tmp_path / "a")
    first.rename(first.with_name(first.name + "FR"))
    second.rename(second.parent.parent / "new" / second.name.partition(":")[0])
    third.rename(third.with_name(third.name.partition(":")[0]))
    theirs = tmp_path / "a/mail/new/1700000000.M1P2.host"
    theirs.write_bytes(b"Subject: delivered by somebody else\n\nhere\n")
    for name in (
        "dovecot-uidlist",
        "dovecot.index.log",
        "maildirsize",
        ".notmuch",
        "subscriptions",
    ):
        (tmp_path / "a/mail" / name).write_text("not ours")
    (tmp_path / "a/mail/courierimapkeywords").mkdir()
    (tmp_path / "a/mail/.Strange").mkdir()
    with opened(tmp_path / "a") as archive:
        assert [damage.damaged for damage in damages(archive)] == [False]
        with pulling(archive) as run:
            assert (
                run.reflag(
                    message.entry
                    for message in (
                        uid(n, plain(n), flags=["\\Seen", "\\Flagged"]) for n in range(1, 5)
                    )
                )
                == 4
            )
        assert [damage.damaged for damage in damages(archive)] == [False]
        assert all(
            archive.content(sha256(plain(number))) == plain(number) for number in range(1, 5)
        )
        assert {archived.flags for archived in messages(archive)} == {
            frozenset({"\\Seen", "\\Flagged"})
        }
    assert theirs.read_bytes().endswith(b"here\n")


def test_folder_names_come_back_exactly_from_the_tree_alone(archive: Path) -> None:
    tree = MaildirStorage(archive / "mail", writing=False)
    assert sorted(path for _, path in tree.folders()) == sorted(FOLDERS)
    assert all(
        tree.directory_of(name).resolve().is_relative_to(archive / "mail")
        for name, _ in tree.folders()
    )
