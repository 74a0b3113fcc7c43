"""How a process ends: exceptions become words on standard error and an exit code, here and nowhere
else.

The codes themselves, and how those of several accounts become one, stand in `mailsync.exit_codes`.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence

import click

from mailsync import exit_codes
from mailsync.app.containment import in_words
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.engine.report import JSON_VERSION
from mailsync.errors import ConfigError, MailsyncError, UnexpectedError
from mailsync.formats.redaction import Redactor, password_in
from mailsync.formats.terminal import plain


def report(error: BaseException, session: Session, arguments: Sequence[str] = ()) -> int:
    """Tell what ended the command, people on standard error and with `--json` programs too; return
    the exit code.

    A password that was written into one of the `arguments` is not repeated.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else exit_codes.UNEXPECTED
    redactor = Redactor()
    for argument in arguments:
        redactor.learn(password_in(argument))
    if session.debug and not isinstance(error, click.ClickException):
        _traceback(error, session, arguments)
    _first_column(session, error)
    code, said = explain(error, session)
    lines = [redactor.hidden(line) for line in said]
    try:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            lines = ["no command was given"]
        elif isinstance(error, click.UsageError):
            _usage(error.ctx)
            say(f"Error: {redactor.hidden(error.format_message())}", err=True)
        else:
            for line in lines:
                say(f"{click.style('mailsync:', fg='red')} {plain(line)}", err=True)
        if session.json:
            problems = (
                [
                    {"where": problem.where, "what": redactor.hidden(problem.what)}
                    for problem in error.problems
                ]
                if isinstance(error, ConfigError)
                else []
            )
            print_json(session, code, {"error": "\n".join(lines), "problems": problems})
    except BrokenPipeError:
        return exit_codes.BROKEN_PIPE
    return code


def _usage(ctx: click.Context | None) -> None:
    if ctx is not None:
        click.echo(ctx.get_usage(), err=True)
        say(f"`{ctx.command_path} --help` explains it.\n", err=True)


def _first_column(session: Session, error: BaseException) -> None:
    """Take away the bars, and what the terminal wrote among them, such as ^C; leave the line of a
    question.
    """
    for one in session.watched:
        one.end()
    if session.watched and sys.stderr.isatty() and session.environ.get("TERM") != "dumb":
        click.echo("\r\x1b[J", nl=False, err=True)
    elif isinstance(error, click.Abort | KeyboardInterrupt) and sys.stderr.isatty():
        click.echo(err=True)


def explain(error: BaseException, session: Session) -> tuple[int, list[str]]:
    """Return the exit code of an exception and what to say about it."""
    if isinstance(error, MailsyncError):
        return exit_codes.of_error(error), str(error).splitlines()
    if isinstance(error, click.Abort | KeyboardInterrupt):
        reached = "; ".join(filter(None, (one.reached() for one in session.watched)))
        far = f" ({reached} done)" if reached else ""
        if session.command == "init" and not session.watched:
            return exit_codes.INTERRUPTED, [
                "interrupted; nothing was written, unless it says so above"
            ]
        again = "nothing is lost: run the same command again and it goes on from here"
        return exit_codes.INTERRUPTED, [f"interrupted{far}; {again}"]
    if isinstance(error, click.ClickException):
        return error.exit_code, [error.format_message()]
    told = in_words(error)
    return exit_codes.of_error(told), [str(told)]


def trace(error: MailsyncError, session: Session) -> None:
    """Show with --debug where a mistake of our own that stands in a report came from."""
    if session.debug and isinstance(error, UnexpectedError):
        _traceback(error, session)


def _traceback(error: BaseException, session: Session, arguments: Sequence[str] = ()) -> None:
    redactor = Redactor()
    for secret in (*session.passwords, *map(password_in, arguments)):
        redactor.learn(secret)
    for line in "".join(traceback.format_exception(error)).splitlines():
        click.echo(redactor.hidden(line), err=True)


def head(session: Session, code: int) -> dict[str, object]:
    """Return the keys with which every JSON report begins."""
    return {
        "version": JSON_VERSION,
        "command": session.command,
        "exit_code": code,
        "complete": code in exit_codes.COMPLETE,
        "error": None,
        "problems": [],
    }


def print_json(session: Session, code: int, content: dict[str, object]) -> None:
    """Write the one JSON report of this command to standard output."""
    json.dump({**head(session, code), **content}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.stdout.flush()
