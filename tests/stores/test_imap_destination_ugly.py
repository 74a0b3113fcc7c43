"""Five hundred ugly messages, sent to real servers: each comes out as it went in, but for what is
known of its server, or is told.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailsync.model import INBOX, Appended, Refused
from tests import messages
from tests.servers import pymap
from tests.servers.dovecot import Dovecot
from tests.stores.destination_contract import parcel
from tests.stores.imap_destination_servers import ImapAccount, dovecot_keeps, pymap_keeps
from tests.unit.engine.rig import Rig

COUNT = 500
SEED = 1

Uglier = Callable[[random.Random, bytes], bytes]


def inserted(what: bytes) -> Uglier:
    def insert(rng: random.Random, content: bytes) -> bytes:
        at = rng.randrange(len(content) + 1)
        return content[:at] + what + content[at:]

    return insert


def fielded(field: bytes) -> Uglier:
    """Add a field at the top."""
    return lambda _, content: field + b"\r\n" + content


UGLIER: list[Uglier] = [
    *map(inserted, (b"\0", b"\r", b"\n", b"\r\r\n", b"\n\r", b"\xff",
                    b"\xc3", b"\xe6\x97\xa5", b"\x1b[2J", b"{5}", b"\r\n.\r\n")),
    *map(fielded, (b"Subject: \xe9t\xe9", b"From ", b"no field at all", b": nothing",
                    b"Message-ID: <\xfc@x>", b"Message-ID:")),
    inserted(b"y" * 20_000),
    fielded(b"X: " + b"z" * 9_000),
    lambda rng, content: content[: rng.randrange(len(content) + 1)],
    lambda rng, content: content[rng.randrange(len(content) + 1) :],
    lambda _, content: content.replace(b"\r\n\r\n", b"\r\n", 1),
    lambda _, content: content.replace(b"\r\n", b"\n"),
    lambda _, content: re.sub(rb"(?im)^message-id:[^\n]*\n", b"", content),
    lambda _, content: content.rstrip(b"\r\n"),
    lambda _, content: content + b"\r",
    lambda rng, content: content + rng.randbytes(300),
]  # fmt: skip


def ugly(count: int, seed: int) -> list[bytes]:
    """Make different messages, each made ugly in a few ways; the first one is empty."""
    rng = random.Random(seed)
    bases = [*messages.ugly().values(), *messages.varied(60, seed)]
    found = {b"": None}
    while len(found) < count:
        content = rng.choice(bases)[:30_000]
        for _ in range(rng.randrange(1, 4)):
            content = rng.choice(UGLIER)(rng, content)
        found[content] = None
    return list(found)


def pymap_shows(content: bytes) -> bool:
    """Whether pymap shows the header as it is: not when it has no end, or when a line of blanks
    comes before that.
    """
    found = re.search(rb"(?:\A|\n)([ \t]*)\r?\n", content)
    return found is not None and not found[1]


@dataclass(frozen=True, slots=True)
class Shown(ImapAccount):
    """An account, and whether its server shows a message's header as it is."""

    shows: Callable[[bytes], bool] = lambda _: True


@pytest.fixture(params=["dovecot", "abreast", "pymap"])
def account(request: pytest.FixtureRequest) -> Iterator[Shown]:
    if request.param == "pymap":
        with pymap.start() as server:
            yield Shown(server.port, server.user, server.password, pymap_keeps, shows=pymap_shows)
    else:
        server_: Dovecot = request.getfixturevalue(
            "dovecot" if request.param == "dovecot" else "dovecot_plain_uid"
        )
        yield Shown(server_.imap_port, server_.user(), server_.password, dovecot_keeps)


@pytest.mark.parametrize("repair", [True, False])
def test_each_ugly_message_arrives_as_it_was_or_is_told(account: Shown, repair: bool) -> None:
    sent = ugly(COUNT, SEED)
    to = account.destination(repair=repair)
    answers = list(to.append(map(parcel, sent)))
    to.close()
    assert Counter(answer.parcel.content for answer in answers) == Counter(sent)
    there = {one.uid: one.content for one in account.arrived(INBOX)}
    verbatim = [
        answer for answer in answers if isinstance(answer, Appended) and not answer.repaired
    ]
    for answer in verbatim:
        assert answer.uid is None or there.pop(answer.uid) == account.kept(answer.parcel.content), (
            answer.parcel.content[:300]
        )
    repaired = [answer for answer in answers if isinstance(answer, Appended) and answer.repaired]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    # These servers take every message but the empty one.
    assert {answer.parcel.content for answer in repaired} | {
        answer.parcel.content for answer in refused
    } <= {b""}
    assert all("the server" in answer.repaired for answer in repaired)
    assert all(answer.why for answer in refused)
    assert len(repaired) <= repair


def test_no_ugly_message_is_sent_twice_without_the_ledger(account: Shown, tmp_path: Path) -> None:
    rig = Rig(tmp_path / "archive")
    for content in filter(account.shows, ugly(COUNT, SEED + 1)):
        rig.old.deliver(INBOX, content)
    rig.pull()
    to = account.destination()
    first = rig.push(store=to)
    assert first.exit_code == 0
    arrived = len(account.arrived(INBOX))
    rig.forget_ledger()
    report = rig.push(store=to)
    to.close()
    assert (report.exit_code, report.total.new) == (0, 0)
    assert len(account.arrived(INBOX)) == arrived
