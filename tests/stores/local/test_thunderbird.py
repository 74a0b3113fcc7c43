"""A profile of Thunderbird as its files lie there, written by hand after what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import mozilla
from mailsync.model import INBOX
from mailsync.stores.local import detect, thunderbird
from mailsync.stores.local.detect import Wishes
from tests.messages import plain
from tests.stores.local.files import contents_of, messages_of, scans_of, source_of

SINK = (
    b"From - Thu Nov 25 10:11:12 2021\r\nX-Account-Key: account1\r\nX-UIDL: %d\r\n"
    b"X-Mozilla-Status: %s\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys: %s\r\n"
)

PREFS = """\
// Mozilla User Preferences
user_pref("mail.accountmanager.accounts", "account1,account2,account3,account4,account5");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.account.account3.server", "server3");
user_pref("mail.account.account4.server", "server4");
user_pref("mail.account.account5.server", "server5");
user_pref("mail.server.server1.directory", "/elsewhere/Mail/pop.example.org");
user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/pop.example.org");
user_pref("mail.server.server1.hostname", "pop.example.org");
user_pref("mail.server.server1.type", "pop3");
user_pref("mail.server.server1.userName", "alice");
user_pref("mail.server.server1.port", 995);
user_pref("mail.server.server2.directory-rel", "[ProfD]Mail/Local Folders");
user_pref("mail.server.server2.name", "Local Folders");
user_pref("mail.server.server2.type", "none");
user_pref("mail.server.server3.directory-rel", "[ProfD]ImapMail/imap.example.org");
user_pref("mail.server.server3.hostname", "imap.example.org");
user_pref("mail.server.server3.type", "imap");
user_pref("mail.server.server4.directory-rel", "[ProfD]Mail/Feeds");
user_pref("mail.server.server4.type", "rss");
user_pref("mail.server.server5.directory-rel", "[ProfD]Mail/gone.example.org");
user_pref("mail.server.server5.type", "pop3");
"""


def fetched(*numbers: int, status: bytes = b"0001", keys: bytes = b"") -> bytes:
    """Write messages as Thunderbird's POP3 sink does."""
    return b"".join(
        SINK % (number, status, keys.ljust(80)) + plain(number) + b"\r\n" for number in numbers
    )


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    profile = tmp_path / "home" / ".thunderbird" / "abcd.default-release"
    for name in ("Mail/pop.example.org", "Mail/Local Folders/Old.sbd", "ImapMail/imap.example.org"):
        (profile / name).mkdir(parents=True)
    (profile / "prefs.js").write_text(PREFS)
    mail = profile / "Mail" / "pop.example.org"
    (mail / "Inbox").write_bytes(fetched(1, status=b"0001") + fetched(2, status=b"0000"))
    (mail / "Inbox.msf").write_bytes(b'// <!-- <mdb:mork:z v="1.4"/> -->\n')
    (mail / "Sent").write_bytes(b"")
    (mail / "Sent.msf").write_bytes(b"")
    (mail / "popstate.dat").write_bytes(b"# POP3 State File\n")
    (mail / "msgFilterRules.dat").write_bytes(b'version="9"\n')
    local = profile / "Mail" / "Local Folders"
    (local / "Old").write_bytes(fetched(3, status=b"1007", keys=b"$label1 holiday"))
    (local / "Old.sbd" / "2004").write_bytes(fetched(4))
    (profile / "ImapMail" / "imap.example.org" / "INBOX").write_bytes(fetched(5))
    (profile.parent / "profiles.ini").write_text(
        "[Profile1]\nName=other\nIsRelative=1\nPath=other.default\nDefault=1\n\n[Profile0]\n"
        "Name=default-release\nIsRelative=1\nPath=abcd.default-release\n\n"
        "[Install4F96D1932A9F858E]\nDefault=abcd.default-release\nLocked=1\n"
    )
    return profile


def test_mail_of_pop3_accounts_and_local_folders_is_there_as_it_was_sent(profile: Path) -> None:
    assert contents_of(profile) == {
        INBOX: [plain(1), plain(2)],
        ("Sent",): [],
        ("Local Folders", "Old"): [plain(3)],
        ("Local Folders", "Old", "2004"): [plain(4)],
    }


def test_flags_and_tags_are_those_of_the_program(profile: Path) -> None:
    found = messages_of(source_of(profile))
    assert [one.entry.flags for one in found[INBOX]] == [{"\\Seen"}, set()]
    assert found["Local Folders", "Old"][0].entry.flags == {
        "\\Seen",
        "\\Answered",
        "\\Flagged",
        "$Forwarded",
        "$label1",
        "holiday",
    }


def test_copies_of_what_lies_on_a_server_are_read_when_they_are_wanted(profile: Path) -> None:
    found = messages_of(source_of(profile, wishes=Wishes(with_imap=True)))
    assert [one.content for one in found["imap.example.org", "INBOX"]] == [plain(5)]
    # With two servers each has its own mailboxes.
    assert [one.content for one in found["alice@pop.example.org", "INBOX"]] == [plain(1), plain(2)]


def test_a_profile_is_found_in_the_homes_of_all_systems(profile: Path) -> None:
    home = profile.parents[1]
    assert thunderbird.find_profile(home) == profile
    assert thunderbird.profile_at(profile.parent) == profile
    (home / "Library").mkdir()
    profile.parent.rename(home / "Library" / "Thunderbird")
    assert thunderbird.find_profile(home) == home / "Library" / "Thunderbird" / profile.name
    assert thunderbird.find_profile(home / "Library") is None


def test_what_is_deleted_and_not_compacted_is_left_out_and_a_part_is_named(profile: Path) -> None:
    inbox = profile / "Mail" / "pop.example.org" / "Inbox"
    inbox.write_bytes(
        fetched(1) + fetched(2, status=b"0009") + fetched(3, status=b"0401") + fetched(4)
    )
    scan = scans_of(source_of(profile))[INBOX]
    assert len(scan.entries) == 2
    (named,) = scan.unlisted
    assert "only the beginning of this message (Message number 3)" in named
    taken = scans_of(source_of(profile, wishes=Wishes(with_deleted=True)))[INBOX]
    assert len(taken.entries) == 3


def test_one_file_a_message_is_read_as_the_mbox_is(profile: Path) -> None:
    folder = profile / "Mail" / "pop.example.org" / "Inbox"
    folder.unlink()
    (folder / "cur").mkdir(parents=True)
    (folder / "tmp").mkdir()
    for number, status in ((1, b"0005"), (2, b"0009"), (3, b"0400")):
        written = fetched(number, status=status).partition(b"\r\n")[2].removesuffix(b"\r\n")
        (folder / "cur" / f"{number}.eml").write_bytes(written)
    scan = scans_of(source_of(profile))[INBOX]
    assert [entry.flags for entry in scan.entries] == [{"\\Seen", "\\Flagged"}]
    assert "fetched only its beginning" in scan.unlisted[0]
    assert contents_of(profile)[INBOX] == [plain(1)]


def test_a_message_has_one_key_in_both_of_thunderbirds_ways_to_keep_it(profile: Path) -> None:
    folder = profile / "Mail" / "pop.example.org" / "Inbox"
    before = [entry.ref for entry in scans_of(source_of(profile))[INBOX].entries]
    folder.unlink()
    (folder / "cur").mkdir(parents=True)
    for number in (1, 2):
        written = fetched(number).partition(b"\r\n")[2].removesuffix(b"\r\n")
        (folder / "cur" / f"{number}").write_bytes(written)
    assert [entry.ref for entry in scans_of(source_of(profile))[INBOX].entries] == before


def test_a_folder_whose_name_no_disk_takes_has_its_real_name(profile: Path) -> None:
    local = profile / "Mail" / "Local Folders"
    (local / "Projects9f8e7d6c").write_bytes(fetched(6))
    (local / "Projects9f8e7d6c.msf").write_bytes(b"")
    (local / "Projects9f8e7d6c.sbd").mkdir()
    (local / "Projects9f8e7d6c.sbd" / "2024").write_bytes(fetched(7))
    (profile / "folderCache.json").write_text(
        json.dumps(
            {
                "C:\\Users\\alice\\abcd\\Mail\\Local Folders\\Projects9f8e7d6c.msf": {
                    "folderName": "Projects: #1; a very long name"
                },
                "/broken": 7,
            }
        )
    )
    found = contents_of(profile)
    assert found["Local Folders", "Projects: #1; a very long name"] == [plain(6)]
    assert found["Local Folders", "Projects: #1; a very long name", "2024"] == [plain(7)]


def test_a_broken_profile_is_read_as_far_as_it_goes(profile: Path) -> None:
    (profile / "folderCache.json").write_bytes(b"\xff{")
    (profile / "Mail" / "Local Folders" / "Old.sbd" / "round.sbd").symlink_to(
        profile / "Mail" / "Local Folders", target_is_directory=True
    )
    assert len(contents_of(profile)) == 4
    (profile / "prefs.js").write_bytes(b"\0\xff")
    # Nobody knows any more what account a directory was of.
    assert contents_of(profile)["pop.example.org", "INBOX"] == [plain(1), plain(2)]


def test_a_profile_is_known_when_it_is_seen(profile: Path) -> None:
    assert detect.detect(profile).kinds == ("thunderbird",)
    assert detect.detect(profile.parent).kinds == ("thunderbird",)


def test_values_of_preferences_may_hold_quotes_and_letters_of_any_kind() -> None:
    written = 'user_pref("a.b", "x\\"y \\u00e9");\nuser_pref("n", -3);\nuser_pref("t", true);\n'
    assert mozilla.preferences(written.encode()) == {"a.b": 'x"y é', "n": "-3", "t": "true"}


@given(st.binary(max_size=200))
def test_any_octets_can_be_read_as_what_the_program_writes_down(written: bytes) -> None:
    mozilla.servers(mozilla.preferences(b'user_pref("mail.x", "' + written + b'");\n' + written))
    mozilla.profiles(b"[Profile0]\n" + written)
    mozilla.folder_names(written)


def test_mail_that_a_removed_account_left_behind_is_there(profile: Path) -> None:
    left = profile / "Mail" / "old.example.org"
    left.mkdir()
    (left / "Inbox").write_bytes(fetched(8))
    found = contents_of(profile)
    assert found["old.example.org", "INBOX"] == [plain(8)]
    assert found[INBOX] == [plain(1), plain(2)]


@pytest.mark.parametrize("name", ["notes.txt", "Old.bak", ".hidden", "Filter.dat"])
def test_a_folder_may_have_any_name(profile: Path, name: str) -> None:
    (profile / "Mail" / "pop.example.org" / name).write_bytes(fetched(9))
    assert contents_of(profile)[name,] == [plain(9)]
