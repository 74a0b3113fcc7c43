"""`mailsync schema`: what commands print with `--json`, for programs that check it."""

from __future__ import annotations

import json

import click

from mailsync.app.json_schema import COMMANDS, schema
from mailsync.cli import options


@click.command("schema")
@click.argument("command", required=False, metavar="[COMMAND]", type=click.Choice(list(COMMANDS)))
@options.common
def command(command: str | None) -> int:
    """Print a JSON Schema of what COMMAND prints with --json, or of what any command does.

    docs/json.md has the same as tables, with examples. The version is 2: a key that changes its
    name or its meaning changes it too, new keys may come without that. The schema of the
    configuration is another one: mailsync config schema.
    """
    click.echo(json.dumps(schema(command or ""), indent=2))
    return 0
