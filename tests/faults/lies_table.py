"""The table of docs/lies.md: what becomes of every lie. `python -m tests.faults.lies_table` tries
them all and writes it; the tests read it and hold every trial to it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Final

from tests.faults.lie_trials import AVOIDED, COMMANDS, TO, Runner, Trial, commands, tried
from tests.servers.liar import Lie
from tests.servers.lies import LIES

PAGE: Final = Path(__file__).parents[2] / "docs" / "lies.md"

CODES: Final = {
    3: "what lacks, or cannot be compared, is named",
    12: "the login fails, which is said",
    15: "the server is full, which is said",
    16: "the server is given up, which is said",
    75: "the server is left for now, which is said",
}
"""What an exit code says of a run under a lie."""

SECTIONS: Final = (
    ("IMAP, where mail is read from", "imap", COMMANDS[:3]),
    ("IMAP, where mail is sent to", "imap", TO),
    ("POP3", "pop3", COMMANDS),
)

HEAD: Final = """\
# Lies and what becomes of them

*"complete" and "proved" are said only of what was compared with content or with a value that
content implies; where two sources of truth disagree, mailsync looks; where looking is impossible,
it says so and ends with 3.*

This page holds mailsync to that. Two scripted servers, one for IMAP and one for POP3, know what
mail is really there and tell {lies} lies about it. Each lie is told to every command that asks for
what it is an answer to: {trials} trials. A trial passes only if

- a run that ended with 0 brought, or sent, everything that was there, and nothing that was not;
- no message is on a destination twice, and none was deleted from a server that the archive lacks;
- no password reached the output or any file, no run ended in a traceback, and none had no end;
- the next run against the same server, now telling the truth, ends with 0 and lacks nothing.

A cell holds the exit codes of the runs under the lie, one after another (a single code for runs
that all ended alike), and behind an arrow that of the run told the truth where it is not 0: a
message that a server changed twice is not sent a third time, and named until its copy there is
deleted. A dash: this command never asks for it. `verify --remote` is asked when the server has a
message that the archive lacks, so that 3 is right. "delete_after" lies from the first run on,
"delete_after later" only once the holding time is over. Where a destination changes what an earlier
run sent and looked at, the last column says which command sees it.

The table is written by `python -m tests.faults.lies_table` from what really happened, and
`tests/faults/test_lies.py` compares it with what happens: every lie over one command in a plain
run, over all of them with `--long`.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What the page says of a lie; `codes` by command, empty where it is not told."""

    wire: str
    codes: dict[str, str]
    outcomes: frozenset[str]


def cell(trial: Trial) -> str:
    """Write the exit codes of the runs under the lie."""
    codes = [str(code) for code, _ in trial.ends]
    said = codes[0] if len(set(codes)) == 1 else " ".join(codes)
    return f"{said} → {trial.truth}" if trial.truth else said


def outcomes(lie: Lie, command: str, trial: Trial) -> frozenset[str]:
    """Say in words how the runs under the lie ended."""
    return frozenset(_outcome(lie, command, code, whole) for code, whole in trial.ends)


def _outcome(lie: Lie, command: str, code: int | None, whole: bool) -> str:
    if code == 0 and lie.hidden:
        return "nobody could see it, and what is shown is there"
    if code == 0 and lie.removed and not whole:
        return "once named, what is gone counts as taken away there"
    if code == 0 and command == "push" and not whole:
        return "what was changed there later is seen by migrate and restore"
    if code == 0 and command.startswith("delete"):
        return "all is there or in the archive"
    if code == 3 and whole and not lie.hidden and command != "verify":
        return "all is there, and the doubt is named"
    return "all is there" if code == 0 else CODES.get(code or -1, f"ends with {code}")


def read() -> dict[tuple[str, str], Row]:
    """Read the page: what it says of each lie, by protocol and name."""
    rows: dict[tuple[str, str], Row] = {}
    names: list[str] = []
    protocol = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            protocol = line[3:7].lower()
        cells = [one.strip().replace("\\|", "|") for one in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells or cells[0].startswith("-"):
            continue
        if cells[0] == "the server's lie":
            names = cells[2:-1]
            continue
        codes = {
            name: "" if code == "-" else code for name, code in zip(names, cells[2:-1], strict=True)
        }
        key = (protocol, cells[0].replace("`", ""))
        before = rows.get(key, Row(cells[1], {}, frozenset()))
        said = frozenset(cells[-1].split("; "))
        rows[key] = Row(cells[1], before.codes | codes, before.outcomes | said)
    return rows


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(one.replace("|", "\\|") for one in cells) + " |\n"


def page(trials: dict[tuple[Lie, str], Trial]) -> str:
    """Write the page from what happened."""
    text = HEAD.format(lies=len(LIES), trials=len(trials))
    for title, protocol, columns in SECTIONS:
        text += f"\n## {title}\n\n"
        text += _line(["the server's lie", "on the wire", *columns, "what becomes of it"])
        text += "|" + "---|" * (len(columns) + 3) + "\n"
        for lie in LIES:
            told = [one for one in columns if (lie, one) in trials]
            if lie.protocol != protocol or not told:
                continue
            codes = [cell(trials[lie, one]) if one in told else "-" for one in columns]
            said = [outcomes(lie, one, trials[lie, one]) for one in told]
            text += _line([lie.name, lie.wire, *codes, "; ".join(sorted(frozenset().union(*said)))])
    return text


_mine = local()


def _tried(lie: Lie, command: str) -> Trial:
    if not hasattr(_mine, "runner"):
        _mine.runner = Runner()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        trial = tried((lie,), command, Path(name), _mine.runner)
    if trial.findings or not (trial.told or lie.name in AVOIDED):
        codes = " ".join("∞" if code is None else str(code) for code in trial.codes)
        said = "; ".join(trial.findings) or "never told"
        print(f"{lie.protocol}: {lie.name} | {command} | {codes} | {said}", flush=True)
    return trial


def main() -> None:
    """Try everything, two trials at a time; print what is wrong, and write the page if nothing is.

    Arguments choose the lies whose protocol and name hold one of them, and then nothing is written.
    """
    chosen = sys.argv[1:]
    pairs = [
        (lie, command)
        for lie in LIES
        for command in commands(lie)
        if not chosen or any(one in f"{lie.protocol}: {lie.name}" for one in chosen)
    ]
    with ThreadPoolExecutor(2) as pool:
        trials = dict(zip(pairs, pool.map(lambda one: _tried(*one), pairs), strict=True))
    wrong = [
        lie
        for (lie, _), trial in trials.items()
        if trial.findings or not (trial.told or lie.name in AVOIDED)
    ]
    print(f"{len(wrong)} of {len(trials)} trials end wrong")
    if not chosen and not wrong:
        PAGE.write_text(page(trials), encoding="utf-8")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
