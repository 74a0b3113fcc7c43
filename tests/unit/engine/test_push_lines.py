"""Pushes over bad lines: what had no answer is sent again as long as that helps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mailsync.model import INBOX, Appended, Parcel, Refused, Unanswered
from mailsync.stores.memory import Break, MemoryServer, MemoryStore
from tests.unit.engine.rig import Rig, kinds
from tests.unit.engine.test_push import filled


@pytest.fixture(params=[True, False], ids=["uidplus", "plain"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return Rig(tmp_path / "archive", new=MemoryServer(uidplus=request.param))


@pytest.mark.parametrize("then", ["lost", "kept", "late"])
def test_a_bad_line_gets_every_message_through_in_one_push(rig: Rig, then: str) -> None:
    everything = filled(rig)
    rig.new.breaks = [Break(1, then), Break(16, then), Break(3, then), Break(2, then)]  # type: ignore[arg-type]
    rig.clock.while_asleep = rig.new.settle
    report = rig.push()
    assert (report.exit_code, report.total.new) == (0, 20)
    assert rig.there(INBOX) == everything
    assert rig.new.taken == 20


def test_a_message_that_breaks_every_line_is_left_and_the_others_go(rig: Rig) -> None:
    everything = filled(rig)

    class Poisoned(MemoryStore):
        def append(self, parcels: Iterable[Parcel]) -> Iterator[Appended | Refused | Unanswered]:
            for each in parcels:
                if each.content == everything[7]:
                    yield Unanswered(each)
                else:
                    yield from super().append([each])

    report = rig.push(store=Poisoned(rig.new, "new"))
    assert (report.exit_code, report.total.new, kinds(report)["unanswered"]) == (3, 19, 1)
    assert len(rig.clock.slept) == 1
    assert rig.push().total.new == 1
    assert rig.there(INBOX) == everything
