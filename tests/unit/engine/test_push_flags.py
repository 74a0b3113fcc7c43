"""Flags that a destination does not keep: the messages arrive, and the report says once a mailbox
what they came without.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailsync.model import INBOX
from tests.messages import plain
from tests.unit.engine.rig import Rig

WORK = ("Work",)


def test_flags_a_mailbox_does_not_keep_are_told_once_a_mailbox_and_harm_nothing(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "archive")
    for number in range(4):
        rig.old.deliver(INBOX, plain(number), "\\Seen", "work", *(["$Forwarded"] if number else []))
        rig.old.deliver(WORK, plain(10 + number), "\\Seen")
    rig.new.permanent = frozenset({"\\Seen", "\\Flagged"})
    rig.pull()
    report = rig.push()
    assert (report.exit_code, report.total.new) == (0, 8)
    (note,) = report.notes
    assert (note.kind, note.mailbox) == ("flags-left-out", "INBOX")
    assert "work (4), $Forwarded (3)" in note.text
    assert {message.flags for message in rig.new.boxes[INBOX].messages.values()} == {
        frozenset({"\\Seen"})
    }
    again = rig.push()
    assert (again.total.new, again.total.flags, again.notes) == (0, 0, [])


@pytest.mark.parametrize("turned", [True, False])
def test_two_copies_of_one_message_are_sent_with_the_star_of_either(
    tmp_path: Path, turned: bool
) -> None:
    rig = Rig(tmp_path / "archive")
    both = [("\\Flagged", "work"), ("\\Seen",)]
    for flags in reversed(both) if turned else both:
        rig.old.deliver(INBOX, plain(1), *flags)
    rig.migrate()
    (there,) = rig.new.boxes[INBOX].messages.values()
    assert there.flags == {"\\Flagged", "work"}
    _, pushed = rig.migrate()
    assert pushed.total.flags == 0
