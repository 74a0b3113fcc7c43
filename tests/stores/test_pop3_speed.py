"""How far away a POP3 server may be, and what a mailbox costs: promises of the design, counted in
waits and steps, which no busy machine changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from mailsync.model import Message, Scan, ScanRequest
from scripts.benchmark.messages import messages
from tests.servers import wan
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3
from tests.stores.pop3_source_servers import DovecotAccount, close_all, source

COUNT, OCTETS = 1_400, 30_000_000
"""As much as is asked for in one go, so that no answer has to be heard before the last question.
"""

RTT = 0.2


def pull(
    port: int, user: str, security: str, dovecot: Dovecot | None = None, **options: str
) -> None:
    """Bring everything."""
    one = source(
        port,
        user,
        security=security,
        ca_file=dovecot.ca_file if dovecot and security != "none" else None,
        **options,
    )
    scans = one.scan(map(ScanRequest, one.mailboxes()))
    octets = [
        len(got.content)
        for got in one.fetch(e for s in scans if isinstance(s, Scan) for e in s.entries)
        if isinstance(got, Message)
    ]
    close_all()
    assert len(octets) == COUNT
    assert sum(octets) > OCTETS * 0.95


def trips(port: int, user: str, security: str, dovecot: Dovecot | None = None) -> int:
    """Count the waits for an answer of a pull through a far line."""
    with wan.Proxy(port, rtt=RTT) as proxy:
        pull(proxy.port, user, security, dovecot)
        (traffic,) = proxy.traffic()
    return traffic.turns + 1  # TCP's handshake


def test_a_mailbox_far_away_costs_eight_round_trips_at_most(
    dovecot: Dovecot, pop3_server: Callable[..., Pop3]
) -> None:
    user = dovecot.user()
    for content in messages(COUNT, OCTETS, 1):
        DovecotAccount(dovecot, user).put(content)
    assert trips(dovecot.pop3_port, user, "none") <= 8
    assert trips(dovecot.pop3_port, user, "starttls", dovecot) <= 8
    assert trips(dovecot.pop3s_port, user, "tls", dovecot) <= 8
    dovecot.forget(user)
    assert trips(pop3_server(list(messages(COUNT, OCTETS, 1))).port, "demo", "none") <= 8


@pytest.mark.parametrize("pipelining", ["auto", "off"])
def test_a_message_of_a_large_mailbox_costs_few_steps(
    pop3_server: Callable[..., Pop3], pipelining: str
) -> None:
    server = pop3_server(list(messages(COUNT, OCTETS, 1)))
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and "mailsync" in frame.f_code.co_filename

    sys.setprofile(count)
    try:
        pull(server.port, "demo", "none", pipelining=pipelining)
    finally:
        sys.setprofile(None)
    assert calls / COUNT < 100
