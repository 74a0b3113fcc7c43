"""What every command prints with `--json`, as JSON Schema (2020-12): the one place where keys have
a type and a meaning. `scripts/json-page` writes the tables of docs/json.md.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from mailsync.app.json_schema import looking, runs, servers, upkeep
from mailsync.app.json_schema.shape import Head, Shape
from mailsync.engine.report import JSON_VERSION

COMMANDS: Final[dict[str, type[Shape]]] = {
    "pull": runs.Runs,
    "import": runs.Runs,
    "push": runs.Runs,
    "restore": runs.Runs,
    "migrate": runs.Runs,
    "verify": upkeep.Verified,
    "check": servers.Checked,
    "certificate": servers.Certificates,
    "status": looking.States,
    "list": looking.Listed,
    "show": looking.Shown,
    "duplicates": looking.Duplicates,
    "prune": upkeep.Pruned,
    "reindex": upkeep.Reindexed,
    "account rename": upkeep.Renamed,
    "init": servers.SetUp,
    "providers": servers.Providers,
    "login": servers.LoggedIn,
    "logout": servers.LoggedOut,
}
"""Commands and the shape of what follows the head of their reports."""

_MODE: Final = "serialization"


def schema(command: str = "") -> dict[str, Any]:
    """Return the JSON Schema of what a command prints, of any command when none is named.

    Raises KeyError for a command that prints no report.
    """
    named = [command] if command else list(COMMANDS)
    shapes: dict[type[Shape], None] = dict.fromkeys([Head, *(COMMANDS[name] for name in named)])
    references, known = models_json_schema([(shape, _MODE) for shape in shapes])
    kinds = {name: _answer(name, references[COMMANDS[name], _MODE]) for name in named}
    failed = {
        "description": "A command that could not begin.",
        "allOf": [references[Head, _MODE]],
        "properties": {"error": {"type": "string"}},
    }
    title = f"mailsync {command} --json" if command else "mailsync … --json"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{title}, version {JSON_VERSION}",
        "anyOf": [*kinds.values(), failed],
        "$defs": _plain(known["$defs"]),
    }


def _answer(command: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return what a command prints that has begun: the head, and the content behind it."""
    return {
        "description": f"What `mailsync {command}` did or found.",
        "allOf": [{"$ref": "#/$defs/Head"}, content],
        "properties": {"version": {"const": JSON_VERSION}, "command": {"const": command}},
    }


def _plain(known: Any) -> Any:  # noqa: ANN401  any JSON
    """Leave out the titles that pydantic makes of names, and the ends of lines in descriptions."""
    if isinstance(known, list):
        return [_plain(one) for one in known]
    if not isinstance(known, dict):
        return known
    told = {name: _plain(inner) for name, inner in known.items()}
    if isinstance(told.get("title"), str):
        del told["title"]
    if isinstance(told.get("description"), str):
        told["description"] = " ".join(told["description"].split())
    return told
