"""`mailsync schema`: what commands print with `--json`, for programs that check it."""

from __future__ import annotations

import json

import click

from mailsync.app.json_schema import COMMANDS, schema
from mailsync.cli import options


@click.command("schema")
@click.argument("words", nargs=-1, metavar="[COMMAND]")
@options.common
def command(words: tuple[str, ...]) -> int:
    """Print a JSON Schema of what COMMAND prints with --json, or of what any command does.

    docs/json.md has the same as tables, with examples. The version is 2: a key that changes its
    name or its meaning changes it too, new keys may come without that. The schema of the
    configuration is another one: mailsync config schema.
    """
    name = " ".join(words)
    if name and name not in COMMANDS:
        raise click.BadParameter(f"{name!r} is not one of: {', '.join(COMMANDS)}")
    click.echo(json.dumps(schema(name), indent=2))
    return 0
