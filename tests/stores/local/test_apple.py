"""What Apple Mail keeps on a Mac, written by hand after what it writes."""

from __future__ import annotations

import base64
import plistlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import emlx
from mailsync.model import INBOX
from mailsync.stores.local import detect
from mailsync.stores.local.detect import Wishes
from tests.messages import plain
from tests.stores.local.files import contents_of, messages_of, scans_of, source_of

READ = 1
DELETED = 1 << 1
ANSWERED = 1 << 2
FLAGGED = 1 << 4
ATTACHMENTS = 3 << 10

PARTS = b"""\
From: a@example.org
Message-Id: <one@example.org>
Date: Thu, 21 Apr 2011 15:55:37 +0200
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: text/plain

hello

--outer
Content-Type: multipart/related; boundary=inner

--inner
Content-Type: image/png
Content-Transfer-Encoding: base64
%b
%b
--inner
Content-Type: text/plain; name=short.txt
Content-Transfer-Encoding: 7bit
%b
%b
--inner--

--outer--
"""
PICTURE = bytes(range(256))
TEXT = b"short\nand sweet"
ENCODED = b"\n".join(
    base64.b64encode(PICTURE)[at : at + 76] for at in range(0, len(base64.b64encode(PICTURE)), 76)
)
WHOLE = (PARTS % (b"", ENCODED, b"", TEXT)).replace(b"\n\n\n", b"\n\n")


def emlx_of(content: bytes, flags: int = READ, received: int = 1_303_394_185) -> bytes:
    lines = content.replace(b"\r\n", b"\n")
    listed = plistlib.dumps({"date-received": received, "flags": flags, "remote-id": "7"})
    return b"%-10d\n" % len(lines) + lines + listed


def partial(picture: int = len(ENCODED), text: int = len(TEXT)) -> bytes:
    return PARTS % (
        b"X-Apple-Content-Length: %d\n" % picture,
        b"",
        b"X-Apple-Content-Length: %d\n" % text,
        b"",
    )


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    return tmp_path / "Library" / "Mail"


def put(mail: Path, mailbox: str, name: str, content: bytes) -> Path:
    path = mail / mailbox / "5A9C" / "Data" / "3" / "Messages" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def attach(message: Path, part: str, content: bytes, name: str = "a.png") -> None:
    number = message.name.partition(".")[0]
    place = message.parents[1] / "Attachments" / number / part
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(content)


def test_messages_have_their_flags_and_dates(mail: Path) -> None:
    put(mail, "V10/ACCOUNT/INBOX.mbox", "1.emlx", emlx_of(plain(1), READ | FLAGGED | ATTACHMENTS))
    put(mail, "V10/ACCOUNT/INBOX.mbox", "2.emlx", emlx_of(plain(2), ANSWERED, 1_500_000_000))
    first, second = messages_of(source_of(mail))[INBOX]
    assert (first.content, second.content) == (plain(1), plain(2))
    assert first.entry.flags == {"\\Seen", "\\Flagged"}
    assert second.entry.flags == {"\\Answered"}
    assert (first.entry.internaldate, second.entry.internaldate) == (1_303_394_185, 1_500_000_000)


def test_the_newest_version_counts_and_levels_are_mailboxes(mail: Path) -> None:
    put(mail, "V9/ACCOUNT/INBOX.mbox", "1.emlx", emlx_of(plain(9)))
    put(mail, "V10/ACCOUNT/INBOX.mbox", "1.emlx", emlx_of(plain(1)))
    put(mail, "V10/ACCOUNT/Archive.mbox/2024.mbox", "2.emlx", emlx_of(plain(2)))
    put(mail, "V10/Mailboxes/Old.mbox", "3.emlx", emlx_of(plain(3)))
    assert contents_of(mail) == {
        INBOX: [plain(1)],
        ("Archive", "2024"): [plain(2)],
        ("On My Mac", "Old"): [plain(3)],
    }


def test_a_mailbox_of_many_directories_is_one(mail: Path) -> None:
    for number in range(3):
        path = mail / "V10" / "A" / "INBOX.mbox" / "G" / "Data" / str(number) / "Messages"
        path.mkdir(parents=True)
        (path / f"{number}.emlx").write_bytes(emlx_of(plain(number)))
    assert contents_of(mail) == {INBOX: [plain(0), plain(1), plain(2)]}


def test_several_accounts_are_called_by_their_users(mail: Path) -> None:
    put(mail, "V10/AAAA/INBOX.mbox", "1.emlx", emlx_of(plain(1)))
    put(mail, "V10/IMAP-bob@example.org/INBOX.mbox", "2.emlx", emlx_of(plain(2)))
    names = mail / "V10" / "MailData" / "Signatures" / "AccountsMap.plist"
    names.parent.mkdir(parents=True)
    url = "imap://alice%40example.org@imap.example.org/"
    names.write_bytes(plistlib.dumps({"AAAA": {"AccountURL": url}}))
    assert set(contents_of(mail)) == {
        ("alice@example.org@imap.example.org", "INBOX"),
        ("IMAP-bob@example.org", "INBOX"),
    }
    names.write_bytes(b"rubbish")
    assert ("AAAA", "INBOX") in contents_of(mail)


def test_the_way_of_old_versions_and_one_mailbox_alone_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Old.mbox" / "Messages"
    path.mkdir(parents=True)
    (path / "1.emlx").write_bytes(emlx_of(plain(1)))
    assert detect.detect(tmp_path / "Old.mbox").kinds == ("apple",)
    assert contents_of(tmp_path / "Old.mbox") == {("Old",): [plain(1)]}


def test_files_that_were_copied_out_of_there_are_read(tmp_path: Path) -> None:
    (tmp_path / "Work").mkdir()
    (tmp_path / "Work" / "Re Lunch.emlx").write_bytes(emlx_of(plain(1)))
    (tmp_path / "2.emlx").write_bytes(emlx_of(plain(2)))
    assert contents_of(tmp_path) == {("Work",): [plain(1)], ("Imported",): [plain(2)]}


def test_attachments_go_back_where_they_were_and_their_lengths_prove_it(mail: Path) -> None:
    path = put(mail, "V10/A/INBOX.mbox", "7.partial.emlx", emlx_of(partial()))
    attach(path, "2.1", PICTURE)
    attach(path, "2.2", TEXT, "short.txt")
    assert contents_of(mail) == {INBOX: [WHOLE.replace(b"\n", b"\r\n")]}


def test_attachments_that_cannot_be_proved_make_a_rebuilt_message(mail: Path) -> None:
    path = put(mail, "V10/A/INBOX.mbox", "7.partial.emlx", emlx_of(partial(picture=999)))
    attach(path, "2.1", PICTURE)
    attach(path, "2.2", TEXT)
    ((content,),) = contents_of(mail).values()
    assert content == b"X-Mailsync-Rebuilt: apple-mail\r\n" + WHOLE.replace(b"\n", b"\r\n")


def test_what_was_never_fetched_is_named_and_the_rest_is_kept(mail: Path) -> None:
    path = put(mail, "V10/A/INBOX.mbox", "7.partial.emlx", emlx_of(partial()))
    attach(path, "2.2", TEXT)
    scan = scans_of(source_of(mail))[INBOX]
    assert len(scan.entries) == 1
    assert scan.unlisted[0].endswith("kept without what was never fetched whole: part 2.1")


def test_a_message_that_is_there_in_whole_too_counts_once(mail: Path) -> None:
    put(mail, "V10/A/INBOX.mbox", "7.partial.emlx", emlx_of(partial()))
    put(mail, "V10/A/INBOX.mbox", "7.emlx", emlx_of(WHOLE))
    assert contents_of(mail) == {INBOX: [WHOLE.replace(b"\n", b"\r\n")]}


def test_deleted_messages_are_left_out_unless_they_are_wanted(mail: Path) -> None:
    put(mail, "V10/A/INBOX.mbox", "1.emlx", emlx_of(plain(1), READ | DELETED))
    put(mail, "V10/A/INBOX.mbox", "2.emlx", emlx_of(plain(2)))
    assert contents_of(mail) == {INBOX: [plain(2)]}
    every = scans_of(source_of(mail, wishes=Wishes(with_deleted=True)))[INBOX]
    assert len(every.entries) == 2


@pytest.mark.parametrize("count", [b"1", b"99999", b"0"])
def test_a_length_that_is_wrong_cuts_nothing_off(mail: Path, count: bytes) -> None:
    raw = count.ljust(10) + emlx_of(plain(1))[10:]
    put(mail, "V10/A/INBOX.mbox", "1.emlx", raw)
    assert contents_of(mail) == {INBOX: [plain(1)]}


def test_a_file_that_is_no_message_or_cut_is_named_or_read_as_far_as_it_goes(mail: Path) -> None:
    put(mail, "V10/A/INBOX.mbox", "1.emlx", b"rubbish\n")
    put(mail, "V10/A/INBOX.mbox", "2.emlx", emlx_of(plain(2))[:200])
    scan = scans_of(source_of(mail))[INBOX]
    assert len(scan.entries) == 1
    assert "is no message of Apple Mail" in scan.unlisted[0]


def test_an_exported_bundle_is_a_plain_mbox(tmp_path: Path) -> None:
    (tmp_path / "Old.mbox").mkdir()
    (tmp_path / "Old.mbox" / "mbox").write_bytes(
        b"From a@example.org Thu Apr 21 15:56:24 2011\n" + plain(1).replace(b"\r\n", b"\n") + b"\n"
    )
    (tmp_path / "Old.mbox" / "table_of_contents").write_bytes(b"\0\1\2")
    assert contents_of(tmp_path) == {("Old",): [plain(1)]}
    assert contents_of(tmp_path / "Old.mbox") == {("Old",): [plain(1)]}


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(raw: bytes) -> None:
    emlx.parse(b"12\n" + raw)
    emlx.parse(raw)
    emlx.rejoin(raw, lambda _: b"x")


@given(st.lists(st.sampled_from(PARTS.splitlines(keepends=True)), max_size=40))
def test_any_order_of_lines_has_parts_or_none(lines: list[bytes]) -> None:
    content = b"".join(lines).replace(b"%b", b"X-Apple-Content-Length: 3\n")
    joined = emlx.rejoin(content, lambda _: None)
    assert joined.content == content
    assert joined.proven is not bool(joined.missing)
