"""`mailsync config`: help with the configuration file."""

from __future__ import annotations

import json

import click

from mailsync.cli import options
from mailsync.config.schema import schema


@click.group("config")
def command() -> None:
    """Help with the configuration file."""


@command.command("schema", short_help="Print its JSON Schema, for editors.")
@options.common
def schema_command() -> int:
    """Print a JSON Schema of mailsync.yaml, for editors that complete and check it.

    Put it beside your configuration and name it on the first line there:

    \b
      mailsync config schema > mailsync.schema.json
      # yaml-language-server: $schema=mailsync.schema.json
    """
    click.echo(json.dumps(schema(), indent=2))
    return 0
