"""Believe nothing: whatever a server says, the end is right, or the run names what is wrong and
does not end with 0. What becomes of each lie stands in docs/lies.md, and is held to it here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults import lies_table
from tests.faults.lie_trials import AVOIDED, COMMANDS, TO, Runner, commands, tried
from tests.faults.lies_table import cell, outcomes
from tests.messages import plain, ugly, varied
from tests.servers.liar import Lie
from tests.servers.lies import IMAP_LIES, LIES, POP3_LIES

SEED = 11
TRIALS = [(lie, command) for lie in LIES for command in commands(lie)]
SAMPLE = {
    (lie.protocol, lie.name, random.Random(f"{SEED} {lie.name}").choice(commands(lie)))
    for lie in LIES
}
"""A plain run tries every lie once, `--long` over every command."""


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    one = Runner()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("lie", "command"),
    [
        pytest.param(
            lie,
            command,
            id=f"{command}, {lie.protocol}: {lie.name}",
            marks=() if (lie.protocol, lie.name, command) in SAMPLE else pytest.mark.long,
        )
        for lie, command in TRIALS
    ],
)
def test_a_lie_costs_no_message_and_is_never_called_complete(
    lie: Lie, command: str, tmp_path: Path, runner: Runner
) -> None:
    trial = tried((lie,), command, tmp_path, runner)

    assert trial.findings == [], trial.codes
    assert trial.told or lie.name in AVOIDED, (
        "this command never asks what the lie would be an answer to"
    )
    row = lies_table.read()[lie.protocol, lie.name]
    assert cell(trial) == row.codes[command]
    assert outcomes(lie, command, trial) <= row.outcomes


def test_every_lie_has_its_row_and_no_other() -> None:
    rows = lies_table.read()

    assert set(rows) == {(lie.protocol, lie.name) for lie in LIES}
    for lie in LIES:
        row = rows[lie.protocol, lie.name]
        assert row.wire == lie.wire
        assert {name for name, codes in row.codes.items() if codes} == set(commands(lie))


@pytest.mark.parametrize("command", [*COMMANDS, *TO])
def test_a_trial_without_a_lie_ends_with_0_throughout(
    command: str, tmp_path: Path, runner: Runner
) -> None:
    protocol = "pop3" if command.startswith("delete") else "imap"
    truth = Lie("the server tells the truth", "nothing", protocol)
    trial = tried((truth,), command, tmp_path, runner)

    assert trial.findings == []
    assert trial.codes == ([0, 3] if command == "verify" else [0] * len(trial.codes))


def test_a_run_that_never_ends_is_caught(tmp_path: Path, runner: Runner) -> None:
    """By what it is told, not by the clock: a server that lists mailboxes for ever."""
    endless = next(lie for lie in LIES if lie.name == "an answer to LIST never ends")
    trial = tried((endless,), "pull", tmp_path, runner)

    assert trial.codes[-1] == 0


PLAIN = st.integers(0, 40).map(plain)
ANY = st.one_of(
    PLAIN,
    st.sampled_from(sorted(one for one in ugly().values() if one)),
    st.sampled_from(varied(30, 5)),
)
FOUND = [lie for lie in IMAP_LIES if lie.side != "destination"]
SENT = [lie for lie in IMAP_LIES if lie.side != "source"]


def several(lies: list[Lie]) -> st.SearchStrategy[list[Lie]]:
    return st.lists(st.sampled_from(lies), min_size=2, max_size=3, unique_by=lambda lie: lie.name)


def together(
    long: bool,
    runner: Runner,
    tmp_path_factory: pytest.TempPathFactory,
    command: str,
    contents: st.SearchStrategy[bytes],
    lies: st.SearchStrategy[list[Lie]],
) -> None:
    """Tell lies together over any messages; the examples are the same in every run."""

    @settings(
        max_examples=100 if long else 8,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(found=st.lists(contents, min_size=1, max_size=14, unique=True), lies=lies)
    def holds(found: list[bytes], lies: list[Lie]) -> None:
        mailbox = b"INBOX" if command == "pull" else b"Work"
        messages = [(mailbox, content) for content in found]
        trial = tried(tuple(lies), command, tmp_path_factory.mktemp("home"), runner, messages)

        assert trial.findings == [], trial.codes

    holds()


def test_lies_told_together_cost_a_pull_no_message(
    long: bool, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    together(long, runner, tmp_path_factory, "pull", ANY, several(FOUND))


def test_lies_told_together_over_pop3_cost_a_pull_no_message(
    long: bool, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    together(long, runner, tmp_path_factory, "pull", ANY, several(list(POP3_LIES)))


def test_lies_told_together_cost_a_push_no_message(
    long: bool, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    together(long, runner, tmp_path_factory, "push", PLAIN, several(SENT))
