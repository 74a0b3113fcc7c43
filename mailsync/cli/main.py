"""The `mailsync` command: finds the subcommand, runs it, and turns whatever comes of it into an
exit code.

Start-up knows the commands by this table alone; a command's module, and everything it needs, is
imported when it is called.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from mailsync import __version__, exit_codes
from mailsync.cli import streams
from mailsync.cli.session import Session

COMMANDS: Final = {
    "check": "Connect, log in, and tell what the server can do.",
    "pull": "Bring new messages from the servers into the archive.",
    "push": "Send an archive's messages to an IMAP server.",
    "restore": "Bring messages of the archive back to a server.",
    "migrate": "Move a mailbox: pull and push in one go.",
    "verify": "Prove every file of the archive against its digest.",
    "reindex": "Build a lost or damaged catalogue again.",
    "prune": "Remove messages that left the server long ago.",
    "status": "Tell how old and how large each archive is.",
    "list": "List mailboxes, or the messages in them.",
    "show": "Show one message.",
    "duplicates": "List messages in several places, and look-alikes.",
    "config": "Help with the configuration file.",
}

EPILOG: Final = """\b
Begin here:
  mailsync migrate pop3s://alice@old.example imaps://alice@new.example
  mailsync migrate --help
\b
Exit codes: 0 all done, 2 usage or configuration, 3 incomplete, 4 nothing matches,
  12 login refused, 13 damage, 14 TLS, 15 destination full, 74 disk full,
  75 try again later, 130 interrupted (nothing is lost: run it again). All of them: README.md.
"""


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Name the commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command's module, which holds it under the name `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mailsync.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that is not there."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib  # noqa: PLC0415  only a typing mistake needs it

            near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {name!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Write the table above; click's own way would import every command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's signature
        """Run a command; a reader that went away (`mailsync list … | head`) is no error to speak
        of.
        """
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(exit_codes.BROKEN_PIPE) from None
        return result


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config",
    "config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help=(
        "The configuration. Default: $MAILSYNC_CONFIG, ./mailsync.yaml,"
        " ~/.config/mailsync/mailsync.yaml."
    ),
)
@click.option("-v", "--verbose", is_flag=True, help="Tell more: every mailbox, every remark.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Say nothing unless something is wrong (for cron)."
)
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.version_option(
    __version__, "--version", prog_name="mailsync", message="%(prog)s %(version)s"
)
@click.pass_obj
def cli(session: Session, config: Path | None, *, verbose: bool, quiet: bool, debug: bool) -> None:
    """Move and keep mail: POP3 and IMAP into an archive of your own, and back to any IMAP server.

    A server that is read from stays as it is, unless you ask otherwise; every message is kept byte
    for byte, and sent only once.
    """
    session.config = config
    session.verbose |= verbose
    session.quiet |= quiet
    session.debug |= debug
    if session.environ.get("NO_COLOR"):
        click.get_current_context().color = False


def run(arguments: Sequence[str], session: Session) -> int:
    """Run one command line; returns the exit code and lets no exception out."""
    session.debug |= "--debug" in arguments
    try:
        code = cli.main(list(arguments), prog_name="mailsync", standalone_mode=False, obj=session)
    except BaseException as error:  # noqa: BLE001  the one place where every failure becomes an exit code
        from mailsync.cli import exits  # noqa: PLC0415  only a failure needs it

        return exits.report(error, session, arguments)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line of this process."""
    # A service manager's SIGTERM is a Ctrl-C without a keyboard: unwind, leave a safe state, say
    # so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    streams.prepare()
    sys.exit(streams.ended(run(sys.argv[1:], Session(environ=os.environ))))


if __name__ == "__main__":
    main()
