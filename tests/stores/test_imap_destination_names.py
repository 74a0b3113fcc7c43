"""Mailboxes whose names a server cannot have as they are: each gets one of its own, is told, and is
found again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.engine.report import Report
from mailsync.model import INBOX, MailboxPath
from mailsync.stores.imap.mailbox_names import Names
from mailsync.stores.imap.plainer_names import fitted, proposals
from tests.messages import plain
from tests.servers import dovecot as dovecots
from tests.servers.dovecot import Dovecot
from tests.stores.imap_destination_servers import ImapAccount, destination, dovecot_keeps
from tests.unit.engine.rig import Rig

DOTTED = "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}\n"
MEETING: list[MailboxPath] = [
    ("a.b",),
    ("a_b",),
    ("a.b", "c"),
    ("a_b", "c"),
    ("a", "b"),
    ("x",),
    ("INBOX", "x"),
    INBOX,
]
ODD: list[MailboxPath] = [
    ("a.b",),
    ("a.b", "below"),
    ("~tilde",),
    ("é" * 200,),
    ("tab\there",),
    ("Plain",),
    ("Jürgen & Söhne", "日本語"),
]

PARTS = st.text("ab._/\\-é& ", min_size=1, max_size=4) | st.just("INBOX")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def dotted() -> Iterator[Dovecot]:
    with dovecots.start(extra=DOTTED) as server:
        yield server


class Move:
    """An archive with one message in each mailbox, and where it is pushed to."""

    def __init__(self, folder: Path, paths: list[MailboxPath], server: Dovecot) -> None:
        self.rig = Rig(folder / "archive")
        for number, path in enumerate(paths):
            self.rig.old.deliver(path, plain(number))
        self.rig.pull()
        self.account = ImapAccount(server.imap_port, server.user(), server.password, dovecot_keeps)

    def push(self) -> Report:
        to = destination(self.account.port, self.account.user)
        try:
            return self.rig.push(store=to)
        finally:
            to.close()

    def there(self) -> dict[str, list[bytes]]:
        """What each mailbox holds."""
        found: dict[str, list[bytes]] = {}
        with self.account.client() as client:
            for flags, _, name in client.list_folders():
                if (
                    b"\\Noselect" not in flags
                    and client.select_folder(name, readonly=True)[b"EXISTS"]
                ):
                    found[name] = [
                        one[b"BODY[]"]
                        for one in client.fetch(client.search("ALL"), ["BODY.PEEK[]"]).values()
                    ]
        return found


def renamed(report: Report) -> dict[str, str]:
    return {note.mailbox: note.text for note in report.notes if note.kind == "renamed"}


def test_names_that_would_meet_behind_a_delimiter_get_mailboxes_of_their_own(
    dotted: Dovecot, tmp_path: Path
) -> None:
    move = Move(tmp_path, MEETING, dotted)
    report = move.push()
    assert (report.total.new, report.exit_code) == (len(MEETING), 0)
    there = move.there()
    assert sorted(map(len, there.values())) == [1] * len(MEETING)
    assert [there[name] for name in ("INBOX.a_b", "INBOX.a_b.c", "INBOX.a.b", "INBOX.x")] == [
        [plain(n)] for n in (1, 3, 4, 5)
    ]
    assert renamed(report).keys() == {"a.b", "a.b/c", "INBOX/x"}
    assert "INBOX" not in renamed(report)
    for forgetting in (False, True):
        if forgetting:
            move.rig.forget_ledger()
        report = move.push()
        assert (report.total.new, report.total.duplicate, report.exit_code) == (0, len(MEETING), 0)
        assert move.there() == there


def test_a_name_that_only_gains_a_prefix_is_not_called_renamed(
    dotted: Dovecot, tmp_path: Path
) -> None:
    move = Move(tmp_path, [("INBOX", "Lists"), ("Work", "2024")], dotted)
    assert renamed(move.push()) == {}
    assert move.there() == {"INBOX.Lists": [plain(0)], "INBOX.Work.2024": [plain(1)]}
    move.rig.forget_ledger()
    assert move.push().total.new == 0


def test_refused_names_are_told_and_their_messages_go_to_plainer_ones(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    move = Move(tmp_path, ODD, dovecot)
    report = move.push()
    assert (report.total.new, report.exit_code) == (len(ODD), 0), report.notes
    there = move.there()
    assert Counter(content for found in there.values() for content in found) == Counter(
        map(plain, range(len(ODD)))
    )
    assert sorted(map(len, there.values())) == [1] * len(ODD)
    assert [there[name] for name in ("Plain", "Jürgen & Söhne/日本語")] == [[plain(5)], [plain(6)]]
    words = renamed(report)
    assert {"a.b", "a.b/below"} <= words.keys()
    assert "refuses its name" in words["a.b"]
    assert "a_b-" in words["a.b"]
    for forgetting in (False, True):
        if forgetting:
            move.rig.forget_ledger()
        report = move.push()
        assert (report.total.new, report.total.duplicate, report.exit_code) == (0, len(ODD), 0)
        assert move.there() == there


@given(
    st.lists(PATHS, unique=True, max_size=12),
    st.sampled_from([b"/", b".", b"\\", None]),
    st.sampled_from([b"", b"INBOX."]),
)
def test_no_two_mailboxes_are_ever_written_alike(
    paths: list[MailboxPath], delimiter: bytes | None, prefix: bytes
) -> None:
    names = Names([(prefix, delimiter)])
    paths = [path for path in paths if len(path) > 1 or path[0].upper() != "INBOX"]
    found = fitted(names, paths)
    written = [names.written(found[path]) for path in paths]
    assert len(set(written)) == len(paths)
    for path in paths:
        again = Names([(prefix, delimiter)])
        assert again.learn(names.written(found[path]), delimiter) == found[path]


@given(st.lists(PATHS, unique=True, max_size=12))
def test_a_server_that_can_write_every_name_changes_none(paths: list[MailboxPath]) -> None:
    paths = [tuple(part.replace("/", "") or "x" for part in path) for path in paths]
    paths = [path for path in paths if path[0].upper() != "INBOX"]
    assert fitted(Names([(b"", b"/")]), paths) == {path: path for path in paths}


@given(PATHS, PATHS)
def test_plainer_names_are_stable_and_different(one: MailboxPath, other: MailboxPath) -> None:
    assert list(proposals(one)) == list(proposals(one))
    assert all(part.isascii() for path in proposals(one) for part in path)
    if one != other:
        assert list(proposals(one))[-1] != list(proposals(other))[-1]


def test_a_mailbox_with_an_empty_level_in_its_name_stays_where_it_is_listed() -> None:
    names = Names([(b"", b"/")])
    listed = [names.learn(name, b"/") for name in (b"a", b"a//b", b"a//b//", b"x//y")]
    paths = [path for path in listed if path]
    assert len(set(paths)) == 4
    assert fitted(names, paths) == {path: path for path in paths}
    assert fitted(names, [("a", "", "b", "c")])["a", "", "b", "c"] not in paths
