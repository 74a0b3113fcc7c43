"""Print what of mailsync/ has grown too large to be read at once, and fail if anything has."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODULE: Final = 400
CLASS: Final = 250
FUNCTION: Final = 40
"""Lines at most, from `def` or `class` to the last one, docstrings included."""


def oversized(path: Path) -> Iterator[str]:
    """Yield a line for each thing in a module that is larger than allowed."""
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if lines > MODULE:
        yield f"{path}:1: the module has {lines} lines (at most {MODULE})"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            what, most = "class", CLASS
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            what, most = "function", FUNCTION
        else:
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > most:
            yield f"{path}:{node.lineno}: {what} {node.name} has {lines} lines (at most {most})"


def main() -> None:
    """Look at every module below the directory that is named, or mailsync/."""
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "mailsync")
    found = [line for path in sorted(place.rglob("*.py")) for line in oversized(path)]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
