"""`mailsync help`: explain a command, as `--help` behind it does."""

from __future__ import annotations

import click

from mailsync.cli import options


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]…")
@options.common
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Explain COMMAND, or name all commands."""
    explained = ctx.find_root()
    for word in words:
        group = explained.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{explained.command_path} has no command {word!r}", explained)
        name, found, _ = group.resolve_command(explained, [word])
        if found is None:
            raise click.UsageError(f"{explained.command_path} has no command {word!r}", explained)
        explained = ctx.__class__(found, parent=explained, info_name=name)
    click.echo(explained.get_help())
    return 0
