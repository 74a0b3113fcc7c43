"""What Proton Mail's export tool writes, written by hand after what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats import proton
from mailsync.model import INBOX
from mailsync.stores.local import detect
from tests.messages import plain
from tests.stores.local.files import contents_of, messages_of, source_of


def put(export: Path, number: int, labels: list[str], **more: object) -> None:
    export.mkdir(parents=True, exist_ok=True)
    (export / f"id{number}==.eml").write_bytes(plain(number))
    told = {"ID": f"id{number}==", "LabelIDs": labels, "Time": 1_600_000_000 + number, **more}
    (export / f"id{number}==.metadata.json").write_text(json.dumps({"Version": 1, "Payload": told}))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    export = tmp_path / "alice@proton.example" / "mail_20240101_120000"
    put(export, 1, ["0", "5", "15"], Unread=1)
    put(export, 2, ["0", "5", "10", "tag"], Unread=0, IsReplied=1, IsForwarded=1)
    put(export, 3, ["2", "5", "7"], Unread=0)
    put(export, 4, ["5", "folder"], Unread=0)
    put(export, 5, ["1", "5", "8"], Unread=0)
    put(export, 6, ["5", "15"], Unread=0)
    labels = [
        {"ID": "tag", "Name": "Important", "Path": "Important", "Type": 1},
        {"ID": "folder", "Name": "2024", "Path": "Projects/2024", "Type": 3},
        {"ID": "group", "Name": "Friends", "Type": 2},
    ]
    (export / "labels.json").write_text(json.dumps({"Version": 1, "Payload": labels}))
    return export


def test_folders_and_labels_are_mailboxes(export: Path) -> None:
    assert detect.detect(export.parent) == detect.Detected(("proton",))
    assert contents_of(export.parent) == {
        INBOX: [plain(1), plain(2)],
        ("Labels", "Important"): [plain(2)],
        ("Sent",): [plain(3)],
        ("Projects", "2024"): [plain(4)],
        ("Drafts",): [plain(5)],
        ("Archive",): [plain(6)],
    }


def test_flags_and_times_are_those_of_the_export(export: Path) -> None:
    found = messages_of(source_of(export))
    assert [one.entry.flags for one in found[INBOX]] == [
        set(),
        {"\\Seen", "\\Flagged", "\\Answered", "$Forwarded"},
    ]
    assert found["Drafts",][0].entry.flags == {"\\Seen", "\\Draft"}
    assert found[INBOX][0].entry.internaldate == 1_600_000_001


def test_a_message_of_which_nothing_is_said_is_in_the_archive(export: Path) -> None:
    (export / "id1==.metadata.json").write_bytes(b"{")
    (export / "id4==.metadata.json").unlink()
    assert contents_of(export)["Archive",] == [plain(1), plain(4), plain(6)]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        {},
        {"LabelIDs": 7},
        {"LabelIDs": [7, None]},
        {"LabelIDs": ["0"], "Time": "x", "Unread": "x"},
        [{"Type": 3, "ID": 7, "Path": 9}, {"Type": 1, "ID": "a", "Path": ["x", 1]}],
    ],
)
def test_any_payload_is_read_as_far_as_it_goes(payload: object) -> None:
    written = json.dumps({"Payload": payload}).encode()
    proton.placed(written, proton.labels(written))


@given(st.binary(max_size=100))
def test_any_octets_tell_something_or_nothing(written: bytes) -> None:
    assert proton.placed(written, proton.labels(written)) is None
