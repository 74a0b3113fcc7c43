"""Writes the tables of docs/json.md from the JSON Schema that `mailsync schema` prints; what stands
above the mark there is written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mailsync.app.json_schema import COMMANDS, schema

PAGE: Final = Path(__file__).parents[1] / "docs" / "json.md"
MARK: Final = "<!-- From here on scripts/json_page.py writes this page. -->\n"
NAMES: Final = {
    "boolean": "true or false",
    "integer": "number",
    "null": "null",
    "object": "object",
    "string": "text",
}


def tables() -> str:
    """Return a table for what every command prints, and one for each group of commands."""
    known = schema()["$defs"]
    groups: dict[str, list[str]] = {}
    for command, shape in COMMANDS.items():
        groups.setdefault(shape.__name__, []).append(command)
    parts = [_table("every command", known["Head"], known)]
    parts += [_table(", ".join(names), known[shape], known) for shape, names in groups.items()]
    return "\n".join(parts)


def _table(heading: str, shape: dict[str, Any], known: dict[str, Any]) -> str:
    rows = "".join(f"| `{key}` | {kind} | {words} |\n" for key, kind, words in _keys(shape, known))
    told = shape["description"]
    return f"## {heading}\n{told}\n\n| key | type | what it says |\n|---|---|---|\n{rows}"


def _keys(
    shape: dict[str, Any], known: dict[str, Any], at: str = ""
) -> Iterator[tuple[str, str, str]]:
    for name, told in shape["properties"].items():
        kind, inner = _kind(told)
        yield f"{at}{name}", kind, told.get("description", "")
        if inner:
            mark = "[]." if kind.startswith("list") else "."
            yield from _keys(known[inner], known, f"{at}{name}{mark}")


def _kind(told: dict[str, Any]) -> tuple[str, str]:
    """Return a type in words, and the name of the shape it is made of."""
    if "anyOf" in told:
        kinds = [_kind(one) for one in told["anyOf"]]
        return " or ".join(kind for kind, _ in kinds), next((name for _, name in kinds if name), "")
    if "$ref" in told:
        return "object", told["$ref"].rpartition("/")[2]
    if "allOf" in told:
        return _kind(told["allOf"][0])
    if "enum" in told:
        return ", ".join(f"`{one}`" for one in told["enum"]), ""
    if "const" in told:
        return f"`{told['const']}`", ""
    if told["type"] == "array":
        kind, name = _kind(told["items"])
        return f"list of {kind}s" if kind in {"object", "text", "number"} else "list", name
    return NAMES[told["type"]], ""


def main() -> int:
    """Write the page, or with --check only say whether it is as it would be written."""
    by_hand, _, _ = PAGE.read_text().partition(MARK)
    wanted = f"{by_hand}{MARK}\n{tables()}"
    if "--check" in sys.argv:
        return int(PAGE.read_text() != wanted)
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
