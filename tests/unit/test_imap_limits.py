"""How long a server may say that it is still at it."""

from __future__ import annotations

import pytest

from mailsync.errors import ConnectionLost
from mailsync.stores.imap.limits import REMARKING_LIMIT, Limits


def test_remarks_alone_do_not_keep_a_command_going_for_ever() -> None:
    now = [0.0]
    limits = Limits("home", "mx.example:993", lambda: now[0])
    limits.remarked()
    now[0] = REMARKING_LIMIT
    limits.remarked()
    now[0] += 1
    with pytest.raises(ConnectionLost, match="for 30 minutes that it is still at it"):
        limits.remarked()


def test_an_answer_between_remarks_begins_the_time_anew() -> None:
    now = [0.0]
    limits = Limits("home", "mx.example:993", lambda: now[0])
    for _ in range(5):
        now[0] += REMARKING_LIMIT
        limits.remarked()
        limits.answered()
