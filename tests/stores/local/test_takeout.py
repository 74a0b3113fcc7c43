"""What Google Takeout exports, written by hand after what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import gmail_labels
from mailsync.model import INBOX
from mailsync.stores.local import detect, takeout
from mailsync.stores.local.detect import Wishes
from mailsync.stores.local.folder import CannotRead
from tests.messages import plain
from tests.stores.local.files import contents_of, messages_of, scans_of, source_of


def exported(number: int, labels: bytes) -> bytes:
    return (
        b"From %d@xxx Sun Jan 04 12:00:00 +0000 2015\r\n"
        b"X-GM-THRID: %d\r\nX-Gmail-Labels: %b\r\n%b\r\n"
        % (1_500_000_000 + number, number, labels, plain(number))
    )


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "Takeout" / "Mail" / "All mail Including Spam and Trash.mbox"
    path.parent.mkdir(parents=True)
    path.write_bytes(
        exported(1, b"Inbox,Important,Opened,Category Updates,Projects/2024")
        + exported(2, b'Unread,Inbox,"3. Culture, etc"')
        + exported(3, b"=?UTF-8?Q?Gesendet,Entw=C3=BCrfe?=,\r\n Sent,Starred")
        + exported(4, b"Archived,Opened")
        + exported(5, b"Spam,IMAP_$Forwarded,IMAP_NonJunk")
        + exported(6, b"Drafts,Inbox")
    )
    return path


def test_labels_are_mailboxes_and_one_content_is_in_several(export: Path) -> None:
    assert contents_of(export) == {
        INBOX: [plain(1), plain(2), plain(6)],
        ("Projects", "2024"): [plain(1)],
        ("3. Culture, etc",): [plain(2)],
        ("Gesendet",): [plain(3)],
        ("Entwürfe",): [plain(3)],
        ("Sent",): [plain(3)],
        ("Archive",): [plain(4)],
        ("Spam",): [plain(5)],
        ("Drafts",): [plain(6)],
    }


def test_what_was_read_and_marked_stands_in_the_labels(export: Path) -> None:
    found = messages_of(source_of(export))
    assert [one.entry.flags for one in found[INBOX]] == [
        {"\\Seen"},
        set(),
        {"\\Seen", "\\Draft"},
    ]
    assert found["Sent",][0].entry.flags == {"\\Seen", "\\Flagged"}
    assert found["Spam",][0].entry.flags == {"\\Seen", "$Forwarded", "NonJunk"}


def test_an_export_is_known_as_a_file_and_as_the_directory_it_was_unpacked_to(
    export: Path,
) -> None:
    assert detect.detect(export).kinds == ("takeout",)
    assert detect.detect(export.parents[1]).kinds == ("takeout",)
    assert contents_of(export.parents[1]) == contents_of(export)


def test_a_message_that_several_files_of_an_export_hold_is_one(export: Path) -> None:
    (export.parent / "Inbox.mbox").write_bytes(exported(2, b"Unread,Inbox") * 2)
    assert len(contents_of(export.parent)[INBOX]) == 3


def test_labels_in_another_language_are_named_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(
        exported(1, b"Posteingang,Ungelesen") + exported(2, b"Posteingang,Projekte,Markiert")
    )
    with pytest.raises(CannotRead, match=r"Posteingang \(2\), Ungelesen \(1\)"):
        takeout.folders(path, {})
    own = {"Posteingang": "Inbox", "Ungelesen": "Unread", "Markiert": "Starred"}
    found = messages_of(source_of(path, wishes=Wishes(labels=own)))
    assert [one.entry.flags for one in found[INBOX]] == [set(), {"\\Seen", "\\Flagged"}]
    assert set(found) == {INBOX, ("Projekte",)}


def test_what_cannot_be_read_is_named_once_with_its_file(export: Path) -> None:
    with export.open("ab") as file:
        file.write(bytes(1000))
    scans = scans_of(source_of(export))
    (named,) = [text for scan in scans.values() for text in scan.unlisted]
    assert named.startswith("All mail Including Spam and Trash.mbox, bytes ")


def test_all_mailboxes_have_one_mark_that_is_known_without_reading(export: Path) -> None:
    source = source_of(export)
    marks = {box.state.highestmodseq for box in source.mailboxes() if box.state}
    assert marks == {scan.state.highestmodseq for scan in scans_of(source).values()}
    assert len(marks) == 1


def test_an_export_that_grows_is_read_anew(export: Path) -> None:
    source = source_of(export)
    before = scans_of(source)[INBOX]
    with export.open("ab") as file:
        file.write(exported(7, b"Inbox"))
    after = scans_of(source)[INBOX]
    assert len(after.entries) == len(before.entries) + 1
    assert after.state != before.state


@given(st.binary(max_size=120))
def test_any_octets_are_labels(written: bytes) -> None:
    told = gmail_labels.read(gmail_labels.parse(written), {})
    assert told.mailboxes
    assert all(all(path) for path in told.mailboxes)


@pytest.mark.parametrize("written", [b"", b'"', b",,,", b"/", b'"a""b",c'])
def test_odd_lists_of_labels_are_read_as_far_as_they_go(written: bytes) -> None:
    assert gmail_labels.read(gmail_labels.parse(written), {}).mailboxes
