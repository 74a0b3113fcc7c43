"""Nothing is deleted on a POP3 server that the archive has not got, whatever the server says and
whatever the clock shows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.archive import Archive
from mailsync.progress import Silence
from tests.messages import plain
from tests.servers.lies import LIES
from tests.system.pop3_nights import DAY, HEAD, YEAR, Nights, filled

NAMED = {lie.name: lie for lie in LIES if lie.protocol == "pop3"}


def test_another_message_under_the_uidl_of_one_without_a_received_line_is_stored_not_lost(
    tmp_path: Path,
) -> None:
    # So long that their beginnings tell nothing.
    head = HEAD + b"All is well.\r\n" * 30
    first, second = head + b"Door 1 is open.\r\n", head + b"Door 7 is open.\r\n"
    with filled(first) as server:
        nights = Nights(tmp_path, server, keep=DAY)
        nights.pull()
        server.mail.box(b"INBOX").messages[0].content = second
        nights.now += 2 * DAY

        report = nights.pull()

        assert nights.on_server() == [second]
        assert nights.archived() == {first, second}
        assert report.total.new == 1
        assert "another one" in report.notes[0].text
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 1
        assert nights.on_server() == []
        assert nights.archived() == {first, second}


def test_a_message_without_a_received_line_goes_once_its_content_was_compared(
    tmp_path: Path,
) -> None:
    with filled(HEAD + b"Door 1 is open.\r\n", plain(1)) as server:
        nights = Nights(tmp_path, server, keep=DAY, whole=False)
        nights.pull()
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 2
        assert nights.on_server() == []
        asked = [line for line in nights.said() if line.startswith(b"RETR")]
        assert asked == [b"RETR 1", b"RETR 2", b"RETR 1"]


def test_what_was_changed_far_down_in_a_message_is_stored_and_not_deleted(tmp_path: Path) -> None:
    """By a scanner, or an edit over IMAP: the same UIDL, size, header and first lines."""
    first = plain(1) + b"a line of text\r\n" * 40 + b"the price is 100 EUR\r\n"
    second = first.replace(b"100", b"900")
    with filled(first) as server:
        nights = Nights(tmp_path, server, keep=DAY)
        nights.pull()
        server.mail.box(b"INBOX").messages[0].content = second
        nights.now += 2 * DAY

        nights.pull()

        assert nights.on_server() == [second]
        assert nights.archived() == {first, second}
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 1
        assert nights.archived() == {first, second}


@pytest.mark.parametrize("whole", [False, True])
def test_comparing_whole_messages_finds_another_body_below_one_header(
    tmp_path: Path, *, whole: bool
) -> None:
    with filled(plain(1)) as server:
        nights = Nights(tmp_path, server, keep=DAY, whole=whole)
        nights.pull()
        nights.now += 2 * DAY
        nights.pull()
        fetched = [line for line in nights.said() if line.startswith(b"RETR")]
        assert len(fetched) == (2 if whole else 1)
        assert nights.on_server() == []


def test_a_server_that_shows_another_header_than_it_sends_keeps_its_message(
    tmp_path: Path,
) -> None:
    with filled(plain(1), plain(2)) as server:
        nights = Nights(tmp_path, server, keep=DAY, whole=False)
        nights.pull()
        server.set(NAMED["TOP gives another header"])
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 0
        assert len(nights.on_server()) == 2


def test_a_message_fetched_again_after_damage_is_held_from_then_on(tmp_path: Path) -> None:
    with filled(plain(1)) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        file = next((tmp_path / "mail" / "cur").iterdir())
        file.write_bytes(file.read_bytes().swapcase())
        with Archive.open(tmp_path, clock=lambda: nights.now) as archive:
            assert list(archive.verify(Silence()))
        nights.keep = 14 * DAY
        nights.now += 30 * DAY

        report = nights.pull()

        assert (report.total.mended, report.total.removed) == (1, 0)
        assert nights.on_server() == [plain(1)]
        nights.now += 13 * DAY
        assert nights.pull().total.removed == 0
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 1


@pytest.mark.parametrize(("first", "then"), [(1_700_000_000, 70 * YEAR), (0, 56 * YEAR)])
def test_a_clock_that_jumped_makes_nothing_old_enough(
    tmp_path: Path, first: int, then: int
) -> None:
    with filled(plain(1)) as server:
        nights = Nights(tmp_path, server, now=first + DAY, keep=14 * DAY)
        nights.pull()
        nights.now += then

        report = nights.pull()

        assert nights.on_server() == [plain(1)]
        assert "the clock of this machine" in report.notes[0].text
        for _ in range(13):
            nights.now += DAY
            assert nights.pull().total.removed == 0
        nights.now += 2 * DAY
        assert nights.pull().total.removed == 1


@pytest.mark.parametrize(
    "lie", ["QUIT is refused", "DELE is OK and nothing is deleted"], ids=["QUIT", "DELE"]
)
def test_what_the_server_kept_after_all_is_neither_lost_nor_doubled(
    tmp_path: Path, lie: str
) -> None:
    with filled(plain(1), plain(2)) as server:
        nights = Nights(tmp_path, server, keep=DAY)
        nights.pull()
        server.set(NAMED[lie])
        nights.now += 2 * DAY
        nights.pull()
        server.set()
        assert sorted(nights.on_server()) == sorted([plain(1), plain(2)])
        nights.now += DAY
        assert nights.pull().total.removed == 2
        assert nights.archived() == {plain(1), plain(2)}
