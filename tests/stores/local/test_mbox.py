"""mbox files and trees of them as a source; every expected answer was written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mailsync.model import INBOX, MailboxPath, Message, Scan, ScanRequest, Unfetched
from mailsync.plan import stands_still
from mailsync.stores.local import detect, folder, mbox
from mailsync.stores.local.detect import Wishes
from tests.messages import plain
from tests.stores.local.files import contents_of, entries_of, messages_of, scans_of, source_of

LINE = b"From - Thu Nov 25 10:11:12 2021\n"


def lf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def written(*contents: bytes, status: bytes = b"") -> bytes:
    return b"".join(LINE + status + lf(content) + b"\n" for content in contents)


def test_a_file_is_a_mailbox_of_its_name_with_messages_as_they_were_sent(tmp_path: Path) -> None:
    (tmp_path / "Old.mbox").write_bytes(written(plain(1), plain(2)))
    assert contents_of(tmp_path / "Old.mbox") == {("Old",): [plain(1), plain(2)]}


def test_a_tree_of_files_is_a_tree_of_mailboxes_however_it_is_written(tmp_path: Path) -> None:
    for name in ("Inbox", "Sent", "Archive.sbd/2024", "Old.mbox/mbox", ".Work.directory/deep.mbox"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(written(plain(1)))
    (tmp_path / "Inbox.msf").write_bytes(b'// <!-- <mdb:mork:z v="1.4"/> -->\n')
    (tmp_path / "notes.txt").write_bytes(b"From me to you: no mail\n")
    assert set(contents_of(tmp_path)) == {
        INBOX,
        ("Sent",),
        ("Archive", "2024"),
        ("Old",),
        ("Work", "deep"),
    }


def test_flags_and_dates_are_those_of_the_file(tmp_path: Path) -> None:
    undated = b"From: a@example.org\r\nSubject: undated\r\n\r\nx\r\n"
    (tmp_path / "a").write_bytes(
        written(plain(1), status=b"Status: RO\nX-Status: F\n") + written(undated, plain(2))
    )
    flagged, undated_one, unread = entries_of(tmp_path / "a")
    assert flagged.flags == {"\\Seen", "\\Flagged"}
    # Others bear a status, so that these were never opened.
    assert undated_one.flags == unread.flags == set()
    assert undated_one.internaldate == 1637835072
    # 5 January 2004, 8:00, and so many hours: what the top Received field says.
    assert flagged.internaldate == 1073289600 + 3600


def test_messages_of_files_that_tell_nothing_count_as_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(written(plain(1)))
    assert [entry.flags for entry in entries_of(tmp_path / "a")] == [{"\\Seen"}]


def test_what_is_deleted_is_left_out_unless_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(
        written(plain(1), status=b"X-Mozilla-Status: 0009\n")
        + written(plain(2), status=b"X-Mozilla-Status: 0001\n")
    )
    assert contents_of(tmp_path / "a") == {("a",): [plain(2)]}
    every = messages_of(source_of(tmp_path / "a", wishes=Wishes(with_deleted=True)))
    assert [message.content for message in every["a",]] == [plain(1), plain(2)]


def test_a_message_whose_body_was_never_fetched_is_named_with_its_octets(tmp_path: Path) -> None:
    whole = written(plain(1), status=b"X-Mozilla-Status: 0001\n")
    (tmp_path / "a").write_bytes(whole + written(plain(2), status=b"X-Mozilla-Status: 0401\n"))
    scan = scans_of(source_of(tmp_path / "a"))["a",]
    assert len(scan.entries) == 1
    (named,) = scan.unlisted
    assert named.startswith(f"bytes {len(whole):,} to ")
    assert "Message number 2" in named


def test_the_flags_that_imap_backup_keeps_beside_are_the_messages_own(tmp_path: Path) -> None:
    first = written(plain(1))
    (tmp_path / "INBOX.mbox").write_bytes(first + written(plain(2)))
    listed = {
        "version": 3,
        "uid_validity": 7,
        "messages": [
            {"uid": 1, "offset": 0, "length": len(first), "flags": ["Seen", "Recent", "$Work"]},
            {"uid": 2, "offset": len(first), "length": 9, "flags": []},
        ],
    }
    (tmp_path / "INBOX.imap").write_text(json.dumps(listed))
    assert [entry.flags for entry in entries_of(tmp_path)] == [{"\\Seen", "$Work"}, set()]


@pytest.mark.parametrize("rubbish", [b"", b"[]", b"{", b'{"version":3,"messages":[{"offset":{}}]}'])
def test_a_broken_list_beside_a_file_tells_nothing(rubbish: bytes) -> None:
    assert mbox.flags_beside(rubbish) == {}


def test_notes_of_the_mail_program_are_left_out(tmp_path: Path) -> None:
    notes = (
        b"From: Mail System Internal Data <MAILER-DAEMON@host>\r\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\nX-IMAP: 1 2\r\n\r\nx\r\n"
    )
    (tmp_path / "a").write_bytes(written(notes, plain(1)))
    assert contents_of(tmp_path / "a") == {("a",): [plain(1)]}
    (tmp_path / "a").write_bytes(written(plain(1), notes))
    assert len(contents_of(tmp_path / "a")["a",]) == 2


@pytest.mark.parametrize("status", [b"0008", b"0400", b"0408"])
def test_a_sender_cannot_have_his_message_left_out(tmp_path: Path, status: bytes) -> None:
    forged = b"X-Mozilla-Status: " + status + b"\n"
    (tmp_path / "a").write_bytes(written(plain(1), status=forged) + written(plain(2)))
    scan = scans_of(source_of(tmp_path / "a"))["a",]
    assert (len(scan.entries), scan.unlisted) == (2, ())


def test_equal_messages_are_as_many_as_there_are_and_keep_their_keys(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(written(plain(1), plain(1), plain(2)))
    before = [entry.ref for entry in entries_of(tmp_path / "a")]
    assert len(set(before)) == 3
    (tmp_path / "a").write_bytes(
        written(plain(0)) + written(plain(1), plain(1), plain(2), status=b"Status: RO\n")
    )
    assert [entry.ref for entry in entries_of(tmp_path / "a")][1:] == before


def test_a_file_that_stands_still_is_not_read_again_and_any_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(written(plain(1)))
    source = source_of(path)
    state = scans_of(source)["a",].state
    assert stands_still(source.mailboxes()[0], state)
    path.write_bytes(written(plain(2)))
    os.utime(path, ns=(1, 1))
    assert not stands_still(source_of(path).mailboxes()[0], state)


def test_a_file_that_changes_while_it_is_read_leaves_its_mailbox_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(written(plain(1)))
    keep = mbox.Look._keep

    def disturbed(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        with path.open("ab") as file:
            file.write(written(plain(2)))

    monkeypatch.setattr(mbox.Look, "_keep", disturbed)
    (text,) = scans_of(source_of(path))["a",].unlisted
    assert "changed while they were read" in text


def test_a_message_that_is_another_one_when_it_is_fetched_does_not_come(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(written(plain(1), plain(2)))
    source = source_of(path)
    entries = scans_of(source)["a",].entries
    path.write_bytes(written(plain(3), plain(2)))
    first, second = source.fetch(entries)
    assert isinstance(first, Unfetched)
    assert not first.expunged
    assert isinstance(second, Message)


def test_a_mailbox_whose_file_went_away_is_missing_or_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(written(plain(1)))
    source = source_of(path)
    requests = list(map(ScanRequest, source.mailboxes()))
    path.unlink()
    (scan,) = source.scan(requests)
    assert not isinstance(scan, Scan)


def test_a_file_cut_anywhere_gives_all_messages_before_the_cut(tmp_path: Path) -> None:
    whole = written(plain(1), plain(2))
    first = len(written(plain(1)))
    for cut in range(first, len(whole), 17):
        path = tmp_path / f"cut{cut}"
        path.write_bytes(whole[:cut])
        assert contents_of(path)[path.name,][0] == plain(1)


def test_octets_that_a_power_cut_lost_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    text = written(plain(1), plain(2))
    (tmp_path / "a").write_bytes(text + b"\0" * 5000)
    scan = scans_of(source_of(tmp_path / "a"))["a",]
    assert len(scan.entries) == 2
    assert scan.unlisted[0].startswith(f"bytes {len(text):,} to {len(text) + 5000:,}: only NULs")


def test_rubbish_in_front_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"rubbish\n\n" + written(plain(1)))
    scan = scans_of(source_of(tmp_path / "a", "mbox"))["a",]
    assert len(scan.entries) == 1
    assert scan.unlisted == ("bytes 0 to 9: no message begins there",)


def test_what_is_too_large_to_be_a_message_is_named_and_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mbox, "LARGEST_MESSAGE", 2_000)
    large = plain(2) + b"x" * 3_000 + b"\r\n"
    (tmp_path / "a").write_bytes(written(plain(1), large, plain(3)))
    scan = scans_of(source_of(tmp_path / "a"))["a",]
    assert len(scan.entries) == 2
    assert "too large" in scan.unlisted[0]


def test_a_sparse_file_of_20_gb_is_read_where_there_is_something(tmp_path: Path) -> None:
    path = tmp_path / "large"
    at = 20_000_000_000
    with path.open("wb") as file:
        file.write(written(plain(1)))
        file.seek(at)
        file.write(b"\n" + written(plain(2)))
    source = source_of(path)
    scan = scans_of(source)["large",]
    assert [got.content for got in source.fetch(scan.entries) if isinstance(got, Message)] == [
        plain(1),
        plain(2),
    ]
    assert scan.entries[1].ref.place[1] == at + 1  # type: ignore[union-attr]
    assert len(scan.unlisted) == 1


def test_links_in_a_circle_are_followed_once_and_a_pipe_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(written(plain(1)))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    assert set(contents_of(tmp_path)) == {("a",)}


@pytest.mark.parametrize("name", ["a.mbox", "A", "x.sbd", ".mbox", "mbox", "\udcff"])
def test_every_file_has_a_name_that_is_text(name: str) -> None:
    (part,) = mbox.name_of((name,))
    assert part
    part.encode()


def test_folders_that_are_given_one_name_are_one_mailbox(tmp_path: Path) -> None:
    from mailsync.progress import Silence  # noqa: PLC0415
    from mailsync.stores.local.source import LocalSource  # noqa: PLC0415

    for name, number in (("a", 1), ("b", 2), ("c", 1)):
        (tmp_path / name).write_bytes(written(plain(number)))
    rules: dict[MailboxPath, MailboxPath] = {(name,): INBOX for name in "abc"}
    source = LocalSource(
        "files", lambda: detect.folders("mbox", tmp_path, Wishes()), Silence(), rules=rules
    )
    assert [message.content for message in messages_of(source)[INBOX]] == [
        plain(1),
        plain(2),
        plain(1),
    ]


def test_keys_are_made_of_contents() -> None:
    assert len(folder.key_of(b"")) == 32
