"""How a process ends: exceptions become words on standard error and an exit code, here and nowhere
else.

The codes themselves stand with the exceptions (`mailsync.errors`); those of several accounts are
joined by `engine.report`.
"""

from __future__ import annotations

import errno
import json
import sys
import traceback
from typing import Final

import click

from mailsync.cli.session import BROKEN_PIPE, Session
from mailsync.errors import EXIT_INTERRUPTED, ConfigError, DiskFull, MailsyncError
from mailsync.formats.terminal import plain

JSON_VERSION: Final = 2
UNEXPECTED: Final = 1


def report(error: BaseException, session: Session) -> int:
    """Return what ended the command, for people on standard error and with `--json` for programs;
    returns the exit code.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else UNEXPECTED
    if session.debug and not isinstance(error, click.ClickException):
        traceback.print_exception(error)
    code, lines = explain(error)
    try:
        if isinstance(error, click.UsageError):
            error.show()
        else:
            for line in lines:
                click.echo(f"{click.style('mailsync:', fg='red')} {plain(line)}", err=True)
        if session.json:
            problems = (
                [{"where": problem.where, "what": problem.what} for problem in error.problems]
                if isinstance(error, ConfigError)
                else []
            )
            print_json(
                session, code, {"error": "\n".join(lines), "problems": problems, "reports": []}
            )
    except BrokenPipeError:
        return BROKEN_PIPE
    return code


def explain(error: BaseException) -> tuple[int, list[str]]:
    """Return the exit code of an exception and what to say about it."""
    if isinstance(error, MailsyncError):
        return error.exit_code, str(error).splitlines()
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return EXIT_INTERRUPTED, [
            "interrupted; nothing is lost: run the same command again and it goes on from here"
        ]
    if isinstance(error, click.ClickException):
        return error.exit_code, [error.format_message()]
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull.exit_code, [
            "no space left on the disk; make room and run the same command again"
        ]
    if isinstance(error, OSError) and error.strerror:
        return UNEXPECTED, [
            f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        ]
    # Not the exception's own words: a library may have put anything into them, a password included.
    return UNEXPECTED, [
        (
            f"a mistake in mailsync ({type(error).__name__}); "
            "please report it with what `mailsync --debug …` shows"
        )
    ]


def print_json(session: Session, code: int, content: dict[str, object]) -> None:
    """Write the one JSON report of this command to standard output."""
    json.dump(
        {
            "version": JSON_VERSION,
            "command": session.command,
            "exit_code": code,
            "complete": code == 0,
            **content,
        },
        sys.stdout,
        indent=2,
    )
    sys.stdout.write("\n")
    sys.stdout.flush()
