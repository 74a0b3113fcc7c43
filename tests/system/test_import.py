"""Mail in files on this computer: into an archive, once, and on to a server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import ROOT, Home, arrived, filled, imap, pop3

LINE = b"From - Thu Nov 25 10:11:12 2021\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    write(home, "Old.mbox", *map(plain, range(5)))
    return home


def write(home: Home, name: str, *contents: bytes, more: bytes = b"") -> Path:
    path = home.directory / name
    path.write_bytes(
        b"".join(LINE + content.replace(b"\r\n", b"\n") + b"\n" for content in contents) + more
    )
    return path


def total(home: Home, *arguments: str, code: int = 0) -> dict[str, int]:
    done = home.run(*arguments, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, int] = json.loads(done.stdout)["reports"][0]["total"]
    return found


def stored(home: Home) -> list[bytes]:
    return sorted(
        file.read_bytes()
        for file in (home.directory / "mailsync-archive").rglob("*.mailsync,*")
        if file.is_file()
    )


def test_messages_come_once_and_only_what_is_new_comes_again(home: Home) -> None:
    assert total(home, "import", "Old.mbox")["new"] == 5
    again = json.loads(home.well("import", "Old.mbox", "--json"))["reports"][0]
    assert (again["total"]["seen"], again["unchanged_mailboxes"]) == (0, 1)
    write(home, "Old.mbox", *map(plain, range(3, 7)))
    assert total(home, "import", "Old.mbox")["new"] == 2
    assert stored(home) == sorted(map(plain, range(7)))
    # What is no longer in the file was not said to be gone.
    (listed,) = json.loads(home.well("list", "Old.mbox", "--json"))["mailboxes"]
    assert (listed["messages"], listed["gone"]) == (7, 0)


def test_nothing_in_the_files_changes_and_a_dry_run_writes_nothing(home: Home) -> None:
    path = home.directory / "Old.mbox"
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert "would bring up to 5 messages" in home.well("import", "--dry-run", "Old.mbox")
    assert not (home.directory / "mailsync-archive").exists()
    home.well("import", "Old.mbox")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_what_cannot_be_read_is_named_every_time_and_the_rest_is_there(home: Home) -> None:
    write(home, "Old.mbox", plain(1), more=b"\0" * 100)
    for _ in range(2):
        done = home.run("import", "Old.mbox")
        assert done.returncode == 3
        assert "! Old: bytes 414 to 514: only NULs" in done.stderr
    assert stored(home) == [plain(1)]


def test_flags_follow_the_file(home: Home) -> None:
    write(home, "Old.mbox", plain(1))
    home.well("import", "Old.mbox")
    text = (home.directory / "Old.mbox").read_bytes().replace(LINE, LINE + b"X-Status: F\n")
    (home.directory / "Old.mbox").write_bytes(text)
    again = total(home, "import", "Old.mbox")
    assert (again["flags"], again["new"]) == (1, 0)
    assert '"\\\\Flagged"' in home.well("list", "Old.mbox", "--mailbox", "Old", "--json")


def test_a_mailbox_may_have_another_name_in_the_archive(home: Home) -> None:
    home.well("import", "Old.mbox", "--map", "Old=Archive/2004")
    assert "Archive/2004" in home.well("list", "Old.mbox")


def test_a_file_moves_to_a_server_with_proof_and_only_once(home: Home, dovecot: Dovecot) -> None:
    user = dovecot.user()
    home.configure(new=imap(dovecot, user))
    said = home.well("migrate", "Old.mbox", "new")
    assert "proved: 5 messages at the source" in said
    assert arrived(dovecot, user, "Old") == sorted(map(plain, range(5)))
    home.well("migrate", f"mbox://{home.directory}/Old.mbox", "new")
    assert len(arrived(dovecot, user, "Old")) == 5


def test_all_of_a_file_is_in_the_archive_or_is_named(home: Home) -> None:
    home.well("import", "Old.mbox")
    assert "the archive has 5 messages of 5" in home.well("verify", "--remote", "Old.mbox")
    write(home, "Old.mbox", *map(plain, range(6)))
    done = home.run("verify", "--remote", "Old.mbox")
    assert done.returncode == 3


def test_a_look_says_what_is_there_and_how_it_ends_with_what_is_not(home: Home) -> None:
    assert "mbox; 1 mailbox, 5 messages" in home.well("check", "Old.mbox")
    write(home, "Old.mbox", plain(1), more=b"\0" * 100)
    done = home.run("check", "Old.mbox")
    assert (done.returncode, "only NULs" in done.stderr) == (3, True)


@pytest.mark.parametrize("path", ["nothing-there", "/etc/hostname", "mbox:"])
def test_a_path_without_mail_is_a_mistake_in_words(home: Home, path: str) -> None:
    done = home.run("import", path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_exported_zip_and_a_hosts_tar_archive_come_once(home: Home) -> None:
    with zipfile.ZipFile(home.directory / "Export.zip", "w") as file:
        file.writestr("Work/1.eml", plain(1))
        file.writestr("Work/2.eml", plain(2))
    with tarfile.open(home.directory / "host.tgz", "w:gz") as tar:
        for number in (2, 3):
            member = tarfile.TarInfo(f"mail/cur/160000000{number}.M1P2.host:2,S")
            member.size = len(plain(number))
            tar.addfile(member, io.BytesIO(plain(number)))
        tar.addfile(tarfile.TarInfo("mail/new/.keep"))
    both = ("import", "--archive", "both", "Export.zip", "host.tgz")
    first = json.loads(home.well(*both, "--json"))["reports"]
    assert [report["total"]["new"] for report in first] == [2, 1]
    again = json.loads(home.well(*both, "--json"))["reports"]
    assert [report["unchanged_mailboxes"] for report in again] == [1, 1]
    home.well("verify", "--archive", "both")


def test_thunderbird_is_found_by_itself_and_proved_to_be_in_the_archive(home: Home) -> None:
    profile = home.directory / ".thunderbird" / "abcd.default"
    (profile / "Mail" / "pop").mkdir(parents=True)
    (profile.parent / "profiles.ini").write_text("[Profile0]\nIsRelative=1\nPath=abcd.default\n")
    (profile / "prefs.js").write_text(
        'user_pref("mail.accountmanager.accounts", "account1");\n'
        'user_pref("mail.account.account1.server", "server1");\n'
        'user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/pop");\n'
        'user_pref("mail.server.server1.type", "pop3");\n'
    )
    write(home, ".thunderbird/abcd.default/Mail/pop/Inbox", *map(plain, range(3)))
    assert total(home, "pull", "thunderbird:")["new"] == 3
    assert "the archive has 3 messages of 3" in home.well("verify", "--remote", "thunderbird:")
    assert "INBOX" in home.well("list", "thunderbird:")
    assert stored(home) == sorted(map(plain, range(3)))


def test_what_pop3_brought_is_not_brought_again_from_files_and_is_sent_once(
    home: Home, dovecot: Dovecot
) -> None:
    user, new = filled(dovecot, 3), dovecot.user()
    home.configure(old=pop3(dovecot, user), new=imap(dovecot, new))
    home.well("pull", "old")
    sink = b"X-Account-Key: account1\nX-UIDL: 7\nX-Mozilla-Status: 0001\n"
    fetched = [sink + plain(number) for number in range(5)]
    write(home, "Inbox", *fetched)
    found = total(home, "import", "Inbox", "--into", "old")
    assert (found["new"], found["duplicate"]) == (2, 3)
    again = json.loads(home.well("import", "Inbox", "--into", "old", "--json"))["reports"][0]
    assert again["unchanged_mailboxes"] == 1
    # The account's own server is asked as before, and nothing is fetched twice.
    assert total(home, "pull", "old")["new"] == 0
    assert json.loads(home.well("import", "Inbox", "--into", "old", "--json"))["reports"][0][
        "unchanged_mailboxes"
    ]
    assert total(home, "push", "old", "new")["new"] == 5
    assert arrived(dovecot, new) == sorted(map(plain, range(5)))
    assert total(home, "push", "old", "new")["new"] == 0


def test_files_in_the_archive_of_an_imap_account_leave_what_its_server_said_alone(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot, 2)
    home.configure(home=imap(dovecot, user))
    home.well("pull")
    write(home, "Inbox", *map(plain, range(4)))
    both = ("import", "Inbox", "Old.mbox", "--into", "home")
    assert (
        sum(report["total"]["new"] for report in json.loads(home.well(*both, "--json"))["reports"])
        == 3
    )
    pulled = json.loads(home.well("pull", "--json"))["reports"][0]
    assert (pulled["total"]["seen"], pulled["notes"]) == (0, [])
    assert json.loads(home.well("status", "--json"))["accounts"][0]["incomplete_mailboxes"] == 0
    # What never was there is not brought back, unless it is wanted.
    assert "7 messages only came out of files" in home.well("restore", "home", "-v")
    assert len(arrived(dovecot, user)) == 2
    assert not dovecot.messages(user, "Old")
    home.well("restore", "home", "--include-imported")
    assert arrived(dovecot, user) == sorted(map(plain, range(4)))
    assert arrived(dovecot, user, "Old") == sorted(map(plain, range(5)))
    for _ in range(2):
        home.well("pull")
        again = json.loads(home.well(*both, "--json"))["reports"]
        assert [report["unchanged_mailboxes"] for report in again] == [1, 1]


def test_labels_of_google_are_mailboxes_and_an_export_is_read_once(home: Home) -> None:
    labelled = [b"Inbox,Unread,Work", b"Work,Archived", b"Archived,Opened"]
    path = home.directory / "All mail.mbox"
    path.write_bytes(
        b"".join(
            b"From 1@xxx Sun Jan 04 12:00:00 +0000 2015\r\nX-Gmail-Labels: %b\r\n%b\r\n"
            % (labels, plain(number))
            for number, labels in enumerate(labelled)
        )
    )
    found = total(home, "import", str(path))
    # Four places of three messages.
    assert (found["seen"], found["new"], found["duplicate"]) == (4, 3, 1)
    assert stored(home) == sorted([*map(plain, range(3)), plain(0)])
    again = json.loads(home.well("import", str(path), "--json"))["reports"][0]
    assert (again["total"]["seen"], again["unchanged_mailboxes"]) == (0, 3)
    into = ("import", str(path), "--into", "imaps://alice@imap.example.org", "--json")
    json.loads(home.well(*into))
    again = json.loads(home.well(*into))["reports"][0]
    assert (again["total"]["seen"], again["unchanged_mailboxes"]) == (0, 3)


def test_a_rebuilt_message_is_never_beside_the_one_that_was_sent(
    home: Home, dovecot: Dovecot
) -> None:
    sent = plain(1).replace(b"text/plain; charset=us-ascii", b"multipart/mixed; boundary=x")
    head, _, _ = sent.partition(b"\r\n\r\n")
    part = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    whole = head + b"\r\n\r\n--x\r\n" + part + b"\r\nlong=\r\n line\r\n--x--\r\n"
    hole = head + b"\n\n--x\n" + part + b"X-Apple-Content-Length: 11\n\n\n--x--\n"
    lines = hole.replace(b"\r\n", b"\n")
    place = home.directory / "Mail" / "INBOX.mbox"
    (place / "Attachments" / "1" / "1").mkdir(parents=True)
    (place / "Attachments" / "1" / "1" / "a").write_bytes(b"long  line")
    (place / "Messages").mkdir()
    listed = (
        b'<?xml version="1.0"?><plist><dict><key>flags</key><integer>1</integer></dict></plist>'
    )
    (place / "Messages" / "1.partial.emlx").write_bytes(b"%d\n" % len(lines) + lines + listed)
    user = dovecot.user()
    dovecot.deliver(user, "INBOX", whole)
    home.configure(new=imap(dovecot, user))
    total(home, "import", "Mail")
    assert b"X-Mailsync-Rebuilt: apple-mail" in stored(home)[0]
    pushed = total(home, "push", "Mail", "new")
    assert (pushed["new"], pushed["duplicate"]) == (0, 1)
    assert "proved: 1 message" in home.well("migrate", "Mail", "new")
    assert len(arrived(dovecot, user)) == 1


def test_an_account_of_that_name_comes_before_a_file(home: Home, dovecot: Dovecot) -> None:
    home.configure(Old=imap(dovecot, filled(dovecot, 2)))
    write(home, "Old", plain(9))
    assert total(home, "pull", "Old")["new"] == 2


MEASURED = """
import re, sys
from mailsync.cli.main import run
from mailsync.cli.session import Session
code = run(["-q", "import", sys.argv[1]], Session(environ={}))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(code, peak)
"""


def test_a_sparse_file_of_20_gb_takes_less_than_100_mb_of_memory(home: Home) -> None:
    path = write(home, "large", plain(1))
    with path.open("r+b") as file:
        file.seek(20_000_000_000)
        file.write(b"\n" + LINE + plain(2).replace(b"\r\n", b"\n"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "large"],
        cwd=home.directory,
        env=home.environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, peak = map(int, done.stdout.split())
    assert (code, stored(home)) == (3, sorted([plain(1), plain(2)]))
    assert peak < 100_000
