"""SQL stands in the catalogue and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mailsync

ROOT = Path(mailsync.__file__).parent
CATALOGUE = ROOT / "archive/catalogue"
SQL = re.compile(
    r"\b(SELECT .+ FROM|INSERT (OR [A-Z]+ )?INTO|UPDATE [a-z]+ SET|DELETE FROM|CREATE TABLE)\b"
    r"|\bPRAGMA [a-z]"
)
EXECUTING = {"execute", "executemany", "executescript", "execute_each"}


def speaking(path: Path) -> Iterator[int]:
    """The lines of a module that hold SQL, or execute it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if SQL.search(node.value):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in EXECUTING:
            yield node.lineno


def test_no_sql_is_written_or_executed_outside_the_catalogue() -> None:
    outside = (path for path in ROOT.rglob("*.py") if CATALOGUE not in path.parents)
    found = {str(path.relative_to(ROOT)): list(speaking(path)) for path in outside}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_every_table_of_the_catalogue_would_be_noticed() -> None:
    spoken = {path.name for path in CATALOGUE.glob("*.py") if list(speaking(path))}
    assert {"files.py", "placements.py", "mailboxes.py", "runs.py", "ledger.py"} <= spoken
