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
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from mailsync import __version__, exit_codes
from mailsync.cli import options, streams
from mailsync.cli.lines import width_of
from mailsync.cli.session import Session

COMMANDS: Final = {
    "init": "Set up an account, from an e-mail address on.",
    "login": "Log in at a provider that gives out access tokens (OAuth2).",
    "logout": "End such a login.",
    "check": "Connect, log in, and tell what the server can do.",
    "pull": "Bring new messages from the servers into the archive.",
    "import": "Bring messages from a mail program's files.",
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
    "providers": "What is known of mail providers: servers, sign-in.",
    "account": "Go on with an account under another name.",
    "certificate": "Show a server's certificate, and keep it as trusted.",
    "config": "Help with the configuration file.",
    "schema": "Print what commands print with --json, as a JSON Schema.",
    "help": "Explain a command.",
}

EPILOG: Final = """\b
Begin here:
  mailsync init
  mailsync migrate pop3s://alice@old.example imaps://alice@new.example
  mailsync help migrate

Exit codes: 0 all done, 2 usage or configuration, 3 incomplete, 4 nothing matches, 12 login refused,
13 damage, 14 TLS, 15 destination full, 74 disk full, 75 try again later, 130 interrupted (nothing
is lost: run it again). All of them: README.md.
"""


class _Narrow(click.HelpFormatter):
    """Writes help in as many columns as the terminal has, from 40 on; click's own needs 50, and 30
    of them for the names of options.
    """

    def __init__(self, width: int | None = None, max_width: int | None = None) -> None:
        columns = min(width_of(sys.stdout), max_width or 80)
        super().__init__(width=width or max(columns - 1, 30))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names and what they mean, side by side."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class NarrowContext(click.Context):
    """Explains itself on narrow terminals too."""

    formatter_class = _Narrow


def _narrow(command: click.Command) -> None:
    command.context_class = NarrowContext
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _narrow(inner)


class LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    context_class = NarrowContext

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Name the commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command's module, which holds it under the name `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mailsync.cli.commands.{cmd_name}")
        command: click.Command = module.command
        _narrow(command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell where an option of a command stands, when it stands before the command's name."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(
                f"no option {error.option_name} stands before the command; what a command takes"
                f" stands behind it, as in `mailsync pull {error.option_name}`",
                ctx,
            ) from None

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
    context_settings={"help_option_names": ["-h", "--help"]},
)
@options.common
@click.version_option(
    __version__, "--version", prog_name="mailsync", message="%(prog)s %(version)s"
)
@click.pass_obj
def cli(session: Session) -> None:
    """Move and keep mail: POP3 and IMAP into an archive of your own, and back to any IMAP server.

    A server that is read from stays as it is, unless you ask otherwise; every message is kept byte
    for byte, and sent only once.
    """
    if session.environ.get("NO_COLOR"):
        click.get_current_context().color = False


def run(arguments: Sequence[str], session: Session) -> int:
    """Run one command line; returns the exit code and lets no exception out."""
    # An error may come before the switches are read.
    session.debug |= "--debug" in arguments
    session.json |= "--json" in arguments
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
