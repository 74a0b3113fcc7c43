"""No answer of a POP3 server is taken for another message's, and no part for the whole."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.liar import Exchange, Lie, Says, ended
from tests.servers.lies import LIES
from tests.system.pop3_nights import HEAD, Nights, filled

NAMED = {lie.name: lie for lie in LIES if lie.protocol == "pop3"}

DOORS = [HEAD + b"Door %d is open.\r\n" % number for number in range(1, 10)]
"""All of one size, and with one header."""

VARIED = [plain(number) + b"more\r\n" * number for number in range(1, 10)]


def lie(answer: object = None, instead: object = None) -> Lie:
    return Lie("a lie", "", "pop3", answer=answer, instead=instead)  # type: ignore[arg-type]


def placed(nights: Nights) -> dict[bytes, bytes]:
    """Return under which UIDL the archive has which content, by digest."""
    with closing(sqlite3.connect(nights.directory / "catalogue.sqlite3")) as catalogue:
        rows = catalogue.execute("SELECT uidl, digest FROM placements WHERE retired = 0")
        return dict(rows.fetchall())


def true_places(nights: Nights) -> dict[bytes, bytes]:
    """Return what really is under which UIDL."""
    return {
        b"uidl-%06d" % one.uid: sha256(ended(one.content)).digest()
        for one in nights.server.mail.box(b"INBOX").messages
    }


@pytest.mark.parametrize("contents", [DOORS, VARIED], ids=["one size", "many sizes"])
@pytest.mark.parametrize("pipelining", ["auto", "off"])
def test_a_surplus_refusal_shifts_no_message_to_its_neighbours_name(
    tmp_path: Path, contents: list[bytes], pipelining: str
) -> None:
    with filled(
        *contents, lies=(NAMED["a surplus -ERR comes before the first message"],)
    ) as server:
        nights = Nights(tmp_path, server, options={"pipelining": pipelining})
        report = nights.pull()
        assert nights.archived() == set(contents)
        assert report.exit_code == 0
        server.set()
        again = nights.pull()
        assert (again.exit_code, again.total.new, again.total.duplicate) == (0, 0, 0)
        assert placed(nights) == true_places(nights)


@pytest.mark.parametrize("contents", [DOORS, VARIED], ids=["one size", "many sizes"])
def test_an_answer_given_twice_shifts_no_message_to_its_neighbours_name(
    tmp_path: Path, contents: list[bytes]
) -> None:
    def twice(asked: Exchange, said: list[bytes]) -> Says:
        return [*said, *said] if asked.name == "RETR" and asked.line == b"3" else said

    with filled(*contents, lies=(lie(twice),)) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        server.set()
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(contents)
        assert placed(nights) == true_places(nights)


def test_an_answer_that_is_left_out_shifts_no_message_to_its_neighbours_name(
    tmp_path: Path,
) -> None:
    def none(asked: Exchange, said: list[bytes]) -> Says:
        lost = asked.name == "RETR" and asked.line == b"3" and asked.count("lost") == 1
        return [] if lost else said

    with filled(*DOORS, lies=(lie(none),)) as server:
        nights = Nights(tmp_path, server, options={"timeout": 1})
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(DOORS)
        assert placed(nights) == true_places(nights)


def test_a_server_that_sends_the_next_message_is_not_believed(tmp_path: Path) -> None:
    with filled(*VARIED, lies=(NAMED["each RETR brings the next message"],)) as server:
        nights = Nights(tmp_path, server)
        report = nights.pull()
        assert report.exit_code == 3
        assert nights.archived() == set()
        server.set()
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(VARIED)


def half(asked: Exchange, said: list[bytes]) -> Says:
    """Send half of the lines, whichever way a message is asked for."""
    if asked.name == "LIST" or len(said) < 3:
        return said
    lines = said[1].splitlines(keepends=True)
    return [said[0], b"".join(lines[: len(lines) // 2]), said[2]]


@pytest.mark.parametrize("what", ["half", "nothing"])
def test_a_part_is_named_and_fetched_again(tmp_path: Path, what: str) -> None:
    def nothing(asked: Exchange, said: list[bytes]) -> Says:
        return [b"+OK\r\n", b".\r\n"] if asked.name in {"RETR", "TOP"} else said

    def lies(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name not in {"RETR", "TOP"}:
            return said
        return half(asked, said) if what == "half" else nothing(asked, said)

    with filled(*VARIED, lies=(lie(lies),)) as server:
        nights = Nights(tmp_path, server)
        for _ in range(2):
            report = nights.pull()
            assert report.exit_code == 3
            assert sum("octets that the server announced" in one.text for one in report.notes) == 9
            assert len(nights.archived()) == (9 if what == "half" else 0)
        server.set()
        assert nights.pull().exit_code == 0
        assert nights.archived() >= set(VARIED)
        last = nights.pull()
        assert (last.exit_code, last.total.new) == (0, 0)


@pytest.mark.parametrize("name", ["RETR is cut short", "RETR is empty"])
def test_what_retr_does_not_bring_whole_top_does(tmp_path: Path, name: str) -> None:
    with filled(*VARIED, lies=(NAMED[name],)) as server:
        nights = Nights(tmp_path, server)
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(VARIED)


@pytest.mark.parametrize("at", [4, 0])
def test_a_dot_that_was_not_doubled_ends_no_message(tmp_path: Path, at: int) -> None:
    odd = HEAD + b"one\r\n.\r\ntwo\r\n"
    contents = [*VARIED[:4], odd, *VARIED[4:]] if at else [*VARIED, odd]
    with filled(*contents, lies=(NAMED["dots are not doubled"],)) as server:
        nights = Nights(tmp_path, server)
        assert nights.pull().exit_code == 0
        assert nights.archived() == {odd, *VARIED}


def whole(number: int) -> bytes:
    """A message that shows its own end."""
    return (
        b"Subject: %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\n%s--b--\r\n" % (number, b"more\r\n" * (40 + number))
    )


def test_sizes_that_are_estimates_cost_no_message_and_no_second_fetch_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailsync.stores.pop3.retrieve.WINDOW_COMMANDS", 16)

    def estimated(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name != "LIST" or asked.line:
            return said
        sizes = [one.split() for one in said[1:-1]]
        return [
            said[0],
            *(b"%s %d\r\n" % (number, int(size) * 11 // 10) for number, size in sizes),
            said[-1],
        ]

    contents = [whole(number) for number in range(60)]
    with filled(*contents, lies=(lie(estimated),)) as server:
        nights = Nights(tmp_path, server)
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(contents)
        asked = sum(line.startswith(b"RETR") for line in nights.said())
        assert asked < 90


def test_a_message_without_end_costs_no_other_message(tmp_path: Path) -> None:
    def endless(asked: Exchange) -> Says | None:
        if asked.name != "RETR" or asked.line != b"2":
            return None

        def flood() -> Says:
            yield b"+OK\r\n"
            for _ in range(1200):
                yield b"x" * 65534 + b"\r\n"

        return flood()

    with filled(*VARIED[:4], lies=(lie(instead=endless),)) as server:
        nights = Nights(tmp_path, server)
        report = nights.pull()
        assert report.exit_code == 3
        assert nights.archived() == {VARIED[0], *VARIED[2:4]}


def test_a_server_that_makes_no_sense_at_all_is_given_up(tmp_path: Path) -> None:
    def babble(asked: Exchange) -> Says | None:
        return (
            [b"-ERR 1\r\n-ERR 2\r\n+OK 3\r\n"]
            if asked.name in {"RETR", "LIST"} and (asked.line)
            else None
        )

    with filled(*VARIED, lies=(lie(instead=babble),)) as server:
        report = Nights(tmp_path, server, options={"timeout": 0.5}).pull()
        assert report.exit_code != 0


def portions(asked: Exchange, said: list[bytes]) -> Says:
    """Show ten messages a session, and none again that was fetched, as Gmail does."""
    fetched = asked.server.setdefault("fetched", set())
    assert isinstance(fetched, set)
    messages = asked.session.get("messages")
    if asked.name == "PASS" and isinstance(messages, list):
        messages[:] = [one for one in messages if one.uid not in fetched][:10]
    if asked.name == "RETR" and isinstance(messages, list):
        fetched.add(messages[int(asked.line) - 1].uid)
    return said


def test_a_server_that_shows_its_mailbox_in_portions_is_asked_until_nothing_new_is_shown(
    tmp_path: Path,
) -> None:
    contents = [plain(number) + b"more\r\n" * number for number in range(25)]
    with filled(*contents, lies=(lie(portions),)) as server:
        nights = Nights(tmp_path, server)
        report = nights.pull()
        assert (report.exit_code, report.total.new, report.total.seen) == (0, 25, 25)
        assert nights.archived() == set(contents)
        assert nights.pull().exit_code == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("the mailbox is shown in portions of 10", 10),
        ("UIDL and LIST leave out the last message, STAT does not", 13),
    ],
)
def test_a_server_that_counts_more_than_it_shows_leaves_the_run_incomplete(
    tmp_path: Path, name: str, shown: int
) -> None:
    contents = [plain(number) + b"more\r\n" * number for number in range(14)]
    with filled(*contents, lies=(NAMED[name],)) as server:
        nights = Nights(tmp_path, server)
        for _ in range(2):
            report = nights.pull()
            assert report.exit_code == 3
            (note,) = report.notes
            assert f"counts 14 messages, but shows {shown}" in note.text
            assert report.total.seen == 14
        server.set()
        assert nights.pull().exit_code == 0
        assert nights.archived() == set(contents)


def hashes(asked: Exchange, said: list[bytes]) -> Says:
    """Give UIDLs that look like no counter."""
    if asked.name != "UIDL":
        return said
    return [re.sub(rb"uidl-(\d+)", rb"\1a5f0c2e\1", one) for one in said]


@pytest.mark.parametrize("names", ["counter", "hash"])
@pytest.mark.parametrize("kind", ["bodies", "messages"])
def test_other_messages_under_reused_uidls_of_the_same_sizes_are_fetched_too(
    tmp_path: Path, names: str, kind: str
) -> None:
    lies = (lie(hashes),) if names == "hash" else ()
    with filled(*VARIED, lies=lies) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        reuse = NAMED[f"UIDLs are reused for other {kind} of the same size"].between
        assert reuse is not None
        reuse(server.mail)

        report = nights.pull()

        assert nights.archived() == {*VARIED, *nights.on_server()}
        assert (report.exit_code, report.total.new) == (0, 9)
        assert "UIDLs of 9 messages" in report.notes[-1].text
        assert nights.pull().total.new == 0


def test_one_reused_name_of_a_counter_is_found(tmp_path: Path) -> None:
    with filled(*DOORS) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        other = DOORS[4].replace(b"open", b"shut")
        server.mail.box(b"INBOX").messages[4].content = other
        nights.pull()
        assert nights.archived() == {*DOORS, other}


def test_names_are_checked_in_one_flight_and_not_where_nothing_is_known(tmp_path: Path) -> None:
    with filled(*VARIED) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        assert not any(line.startswith(b"TOP") for line in nights.said())
        nights.pull()
        assert sum(line.startswith(b"TOP") for line in nights.said()) == 9
        assert sum(line.startswith(b"RETR") for line in nights.said()) == 9


def test_a_server_whose_top_lies_does_not_cost_everything_again(tmp_path: Path) -> None:
    contents = [plain(number) + b"more\r\n" * number for number in range(40)]
    with filled(*contents) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        server.set(NAMED["TOP gives another header"])
        report = nights.pull()
        assert (report.exit_code, report.total.new) == (0, 0)
        assert sum(line.startswith(b"RETR") for line in nights.said()) <= 44


@pytest.mark.parametrize(
    "name",
    ["UIDL leaves out the last message", "LIST sizes are 100 too many", "all UIDLs are equal"],
)
def test_what_comes_again_in_every_session_is_no_reason_for_another(
    tmp_path: Path, name: str
) -> None:
    with filled(*VARIED, DOORS[0], lies=(NAMED[name],)) as server:
        Nights(tmp_path, server, thorough=True).pull()
        assert len(server.conversations) <= 4


def test_a_neighbours_message_of_the_same_size_is_not_taken_for_the_one_asked_for(
    tmp_path: Path,
) -> None:
    one, other = plain(101), plain(102)
    assert len(one) == len(other)

    def wrong(asked: Exchange, said: list[bytes]) -> list[bytes]:
        return [part.replace(other, one) for part in said] if asked.name == "RETR" else said

    with filled(one, other) as server:
        nights = Nights(tmp_path, server)
        server.set(lie(answer=wrong))
        assert nights.pull().exit_code == 3
        server.set()
        assert nights.pull().exit_code == 0
        assert nights.archived() == {one, other}


@pytest.mark.parametrize("old_one_stays", [True, False])
def test_what_was_made_of_a_message_by_an_edit_is_fetched(
    tmp_path: Path, *, old_one_stays: bool
) -> None:
    first = plain(1) + b"a line of text\r\n" * 40 + b"the price is 100 EUR\r\n"
    second = first.replace(b"100", b"900")
    with filled(first) as server:
        nights = Nights(tmp_path, server)
        nights.pull()
        server.mail.put(b"INBOX", second)
        if not old_one_stays:
            del server.mail.box(b"INBOX").messages[0]
        assert nights.pull().exit_code == 0
        assert nights.archived() == {first, second}
