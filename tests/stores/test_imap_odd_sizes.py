"""What comes with another size than the one listed, and an INBOX that no list names."""

from __future__ import annotations

from mailsync.model import INBOX, Entry, Mailbox, Message, Scan, ScanRequest, UidRef, Unfetched
from mailsync.stores.credentials import Credentials
from mailsync.stores.imap.body_size import BodySizes
from mailsync.stores.imap.destination import ImapDestination
from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import PASSWORD, USER, Liar, Lie, Mail
from tests.servers.lies import bodies, named
from tests.stores.imap_source_servers import close_all, endpoint, source

CONTENTS = [plain(number) + b"more\r\n" * number for number in range(12)]


def served(*lies: Lie) -> Liar:
    mail = Mail()
    for content in CONTENTS:
        mail.put(b"INBOX", content)
    return liar.imap(mail, *lies)


def fetched(server: Liar) -> list[Message | Unfetched]:
    user = source(server.port, USER, PASSWORD)
    try:
        (scan,) = user.scan([ScanRequest(Mailbox(INBOX))])
        assert isinstance(scan, Scan)
        return list(user.fetch(scan.entries))
    finally:
        close_all()


def test_of_a_message_of_which_far_less_comes_than_was_listed_the_part_is_kept_as_one() -> None:
    with served(named("a body is cut to its half, and so is its literal")) as server:
        found = fetched(server)

    assert len(found) == len(CONTENTS)
    parts = [one for one in found if isinstance(one, Message)]
    assert [one.entry.ref for one in parts] == [
        UidRef(INBOX, 1_700_000_000, n) for n in range(1, 13)
    ]
    assert all("octets that the server announced" in one.lacking for one in parts)


def test_a_message_of_which_most_came_is_kept_as_a_part_where_the_server_has_more_of_it() -> None:
    cut = Lie("cut", "80 %", "imap", answer=bodies(lambda one: one[: len(one) * 8 // 10]))
    with served(cut) as server:
        found = fetched(server)

    parts = [one for one in found if isinstance(one, Message)]
    assert len(parts) == len(CONTENTS)
    assert all(one.lacking for one in parts)


def test_a_neighbours_body_is_not_taken_for_the_message() -> None:
    with served(named("each body comes under its neighbour's UID")) as server:
        found = fetched(server)

    assert [one.content for one in found if isinstance(one, Message)] == CONTENTS[-1:]
    assert len(found) == len(CONTENTS)


def test_a_message_of_another_size_is_believed_by_its_header() -> None:
    with served(named("sizes are ten octets too many")) as server:
        found = fetched(server)

    assert sorted(one.content for one in found if isinstance(one, Message)) == sorted(CONTENTS)


def test_a_server_whose_sizes_are_estimates_is_not_asked_for_ever() -> None:
    sizes = BodySizes()
    entry = Entry(UidRef(INBOX, 1, 1), len(CONTENTS[0]) + 10, frozenset(), None)
    for _ in range(8):
        assert sizes.needs_header(entry, CONTENTS[0])
        assert sizes.is_shown(CONTENTS[0], CONTENTS[0])

    assert not sizes.needs_header(entry, CONTENTS[0])
    assert not sizes.doubt(entry, CONTENTS[0], alone=False)


def test_right_sizes_cost_no_second_question() -> None:
    with served() as server:
        fetched(server)

    assert sum(b"UID FETCH" in line for line in server.heard) == 2


def test_an_inbox_that_the_list_leaves_out_is_there_all_the_same() -> None:
    with served(named("LIST leaves out INBOX")) as server:
        there = ImapDestination("new", endpoint(server.port), Credentials.fixed(USER, PASSWORD))
        found = {mailbox.path: mailbox.state for mailbox in there.mailboxes()}
        there.close()

    state = found[INBOX]
    assert state is not None
    assert state.messages == len(CONTENTS)
