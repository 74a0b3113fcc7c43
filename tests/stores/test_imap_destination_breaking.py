"""Lines that break at the same point every time: whoever asks over them gets on, or gives up after
the retries; nobody asks for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mailsync import exit_codes
from mailsync.errors import StoreUnavailable
from mailsync.model import INBOX, Mailbox, UidRef
from mailsync.stores.imap.destination import ImapDestination
from tests import messages
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.stores.imap_destination_servers import destination

RETRIES = 3
MESSAGES = 300


@pytest.fixture(scope="module")
def user(dovecot: Dovecot) -> str:
    name = dovecot.user()
    for number in range(MESSAGES):
        dovecot.deliver(name, "INBOX", messages.plain(number))
    return name


def breaking(
    dovecot: Dovecot, user: str, after: int, direction: str
) -> Iterator[tuple[ImapDestination, Cutter]]:
    with Cutter(dovecot.imap_port, Cut(after, direction, None)) as line:  # type: ignore[arg-type]
        to = destination(line.port, user, retries=RETRIES)
        yield to, line
        to.close()


def uids(to: ImapDestination, into: list[int]) -> None:
    for present in to.presence(INBOX):
        assert isinstance(present.entry.ref, UidRef)
        into.append(present.entry.ref.uid)


def ended(ask: Callable[[], object]) -> int:
    """Ask, and tell what the program would end with."""
    try:
        ask()
    except StoreUnavailable as error:
        return exit_codes.of_error(error)
    return 0


@pytest.mark.parametrize("after", [100, 700, 1_200, 1_700, 4_000, 20_000, 60_000])
def test_looking_gets_on_with_every_connection_or_is_given_up(
    after: int, dovecot: Dovecot, user: str
) -> None:
    found: list[int] = []
    for to, line in breaking(dovecot, user, after, "from_server"):
        gave_up = ended(partial(uids, to, found))
        assert gave_up == 75 or sorted(found) == list(range(1, MESSAGES + 1))
        assert len(set(found)) == len(found)
        # Each connection but the last few brought a message nobody had seen.
        assert len(line.dialogues) <= len(found) + RETRIES + 1


def test_a_long_look_over_a_line_that_always_breaks_ends_with_every_message(
    dovecot: Dovecot, user: str
) -> None:
    found: list[int] = []
    for to, line in breaking(dovecot, user, 20_000, "from_server"):
        uids(to, found)
        assert len(line.dialogues) > 4
    assert sorted(found) == list(range(1, MESSAGES + 1))


ASKING: dict[str, Callable[[ImapDestination], object]] = {
    "listing": lambda to: to.mailboxes(),
    "making": lambda to: to.create(
        [Mailbox((f"Box {number}",), subscribed=True) for number in range(30)]
    ),
    "rooms": lambda to: to.rooms([INBOX]),
    "state": lambda to: to.state(INBOX),
    "looking": lambda to: list(to.presence(INBOX)),
    "bodies": lambda to: list(to.bodies(INBOX, [7])),
    "flags": lambda to: to.set_flags(
        INBOX, {uid: (frozenset({"\\Seen"}), frozenset()) for uid in range(1, MESSAGES + 1)}
    ),
    "names": lambda to: to.fitted([INBOX, ("a.b",)]),
}


@pytest.mark.parametrize("direction", ["to_server", "from_server"])
@pytest.mark.parametrize("asking", ASKING)
def test_every_question_ends_whatever_the_line_does(
    asking: str, direction: str, dovecot: Dovecot, user: str
) -> None:
    for after in (0, 40, 90, 200, 600, 1_000, 1_400):
        for to, line in breaking(dovecot, user, after, direction):
            assert ended(partial(ASKING[asking], to)) in {0, 75}
            assert len(line.dialogues) <= MESSAGES + RETRIES + 1
