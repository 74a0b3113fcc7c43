"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mailsync.cli import moments
from mailsync.cli.session import Session

if TYPE_CHECKING:
    from mailsync.app.accounts import Trust
    from mailsync.app.requests import Choice

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


_COMMON: Final[Sequence[tuple[str, str, Mapping[str, Any]]]] = (
    ("--debug", "debug", {"is_flag": True, "help": "Show a traceback when something fails."}),
    (
        "--json",
        "json",
        {"is_flag": True, "help": "Print one JSON report on standard output, for programs."},
    ),
    (
        "-q/--quiet",
        "quiet",
        {"is_flag": True, "help": "Say nothing unless something is wrong (for cron)."},
    ),
    (
        "-v/--verbose",
        "verbose",
        {"is_flag": True, "help": "Tell more: every mailbox, every remark."},
    ),
    (
        "--config",
        "config",
        {
            "metavar": "FILE",
            "type": click.Path(path_type=Path, dir_okay=False),
            "help": (
                "The configuration. Default: $MAILSYNC_CONFIG, ./mailsync.yaml,"
                " ~/.config/mailsync/mailsync.yaml."
            ),
        },
    ),
)


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep a switch for the length of the call; what is said behind the command's name holds."""
    session = ctx.find_object(Session)
    if session is None or parameter.name is None:
        return
    if ctx.parent is not None:
        session.command = ctx.command_path.removeprefix("mailsync ")
    setattr(session, parameter.name, value or getattr(session, parameter.name))


def common(command: Command) -> Command:
    """Add what every command takes, before the command's name and behind it: --config, -v, -q,
    --json and --debug.
    """
    for flags, name, settings in _COMMON:
        command = click.option(
            *flags.split("/"), name, expose_value=False, callback=_remember, **settings
        )(command)
    return command


def _pairs(
    _: click.Context, __: click.Parameter, written: tuple[str, ...]
) -> dict[tuple[str, ...], tuple[str, ...]]:
    from mailsync.mapping import parse_name  # noqa: PLC0415  not needed to list the options

    pairs = {}
    for pair in written:
        old, sign, new = pair.partition("=")
        if not (sign and old and new):
            raise click.BadParameter(f"{pair!r} must be OLD=NEW, such as 'Sent Items=Sent'")
        pairs[parse_name(old)] = parse_name(new)
    return pairs


def _name(_: click.Context, __: click.Parameter, written: str | None) -> tuple[str, ...]:
    from mailsync.mapping import parse_name  # noqa: PLC0415  not needed to list the options

    return parse_name(written) if written else ()


_CHOICES: Final[tuple[tuple[str, str, str, Callable[..., Any] | None, str], ...]] = (
    (
        "--digest",
        "digests",
        "DIGEST",
        None,
        (
            "Only the message whose digest begins so, as `list` shows it, also where it left the"
            " server; may be repeated."
        ),
    ),
    (
        "--search",
        "search",
        "WORDS",
        None,
        (
            "Only messages with all WORDS, in any order and case, in the sender, the recipients or"
            " the subject."
        ),
    ),
    (
        "--message-id",
        "message_id",
        "ID",
        None,
        "Only the message with this Message-ID, also where it left the server.",
    ),
    (
        "--as-of",
        "moment",
        "TIME",
        moments.end,
        (
            "Mailboxes, messages and flags as the last complete pull by TIME saw them, written as"
            " for --since: 2026-03-01 is the end of that day, 2026-03-01T18:30 a time on it."
        ),
    ),
    (
        "--before",
        "before",
        "DATE",
        moments.begin,
        "Only messages that arrived before DATE, written as for --since.",
    ),
    (
        "--since",
        "since",
        "DATE",
        moments.begin,
        (
            "Only messages that arrived on DATE or later: 2026-03-01, 2026-03-01T18:30, 2026-03,"
            " 2026, today, yesterday, or so long before now: 14d, 36h, 2 weeks, 3mo, 1y."
        ),
    ),
)


def messages(command: Command) -> Command:
    """Add the options that choose messages."""
    for flag, name, metavar, callback, text in _CHOICES:
        command = click.option(
            flag,
            name,
            metavar=metavar,
            callback=callback,
            multiple=name == "digests",
            help=text,
        )(command)
    return command


def places(command: Command) -> Command:
    """Add the options that say where messages go: --map and --into."""
    command = click.option(
        "--into",
        "into",
        metavar="MAILBOX",
        callback=_name,
        help="Put everything below this mailbox.",
    )(command)
    return click.option(
        "--map",
        "renamed",
        metavar="OLD=NEW",
        multiple=True,
        callback=_pairs,
        help="Another name for a mailbox there; may be repeated.",
    )(command)


renamed: Final = click.option(
    "--map",
    "renamed",
    metavar="OLD=NEW",
    multiple=True,
    callback=_pairs,
    help="Another name for a mailbox; may be repeated.",
)


def gone(command: Command) -> Command:
    """Add the options about messages that left their server: --include-gone (or --gone),
    --gone-since and --also-moved.
    """
    command = click.option(
        "--also-moved",
        is_flag=True,
        help="Of these, also messages that live in another mailbox now.",
    )(command)
    command = click.option(
        "--gone-since",
        "gone_since",
        metavar="DATE",
        callback=moments.begin,
        help="Only messages that left the server on DATE or later, written as for --since.",
    )(command)
    return click.option(
        "--include-gone",
        "--gone",
        "include_gone",
        is_flag=True,
        help="Also messages that are no longer on the server they came from.",
    )(command)


mailbox: Final = click.option(
    "--mailbox",
    "globs",
    metavar="GLOB",
    multiple=True,
    help=(
        'Only these mailboxes and those below them; may be repeated. * and ? match, "!" in front'
        ' leaves out: --mailbox Work --mailbox "!Work/*" is Work without what is below it.'
    ),
)
archive: Final = click.option(
    "--archive",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help=(
        "Where the archive lies. Default: the configured place; for a URL"
        " ./mailsync-archive/USER@HOST, or USER@HOST,PORT where the port is not a standard one."
    ),
)
moved: Final = click.option(
    "--moved",
    is_flag=True,
    help=(
        "The account's mail has another server than it came from: match it by its content, not by"
        " what only the old server knew. Said once."
    ),
)
report: Final = click.option(
    "--report",
    "report",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    expose_value=False,
    callback=_remember,
    help="Also write what was done as a page to keep and show; it replaces an earlier report.",
)
dry_run: Final = click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be done, with counts and sizes, and change nothing.",
)
wait: Final = click.option(
    "--wait",
    metavar="SECONDS",
    default="0",
    callback=moments.seconds,
    help="Wait so long for an archive that another run is writing.",
)
gone_for: Final = click.option(
    "--gone-for",
    metavar="AGE",
    required=True,
    callback=moments.age,
    help="How long they must have been gone from the server, such as 365d, 6mo or 1y.",
)
max_age: Final = click.option(
    "--max-age",
    metavar="AGE",
    callback=moments.seconds,
    help="End with exit code 3 if an account's last complete pull is older, such as 26h.",
)


def choice(globs: tuple[str, ...], chosen: Mapping[str, Any]) -> Choice:
    """Return what `mailbox`, `messages` and `gone` chose, as a command's arguments hold it."""
    from mailsync.app.requests import Choice  # noqa: PLC0415  not needed to list the options

    return Choice(
        mailboxes=globs,
        since=chosen["since"],
        before=chosen["before"],
        as_of=chosen["moment"],
        message_id=chosen["message_id"] or "",
        search=chosen["search"] or "",
        digests=chosen["digests"],
        include_gone=chosen["include_gone"],
        gone_since=chosen["gone_since"],
        also_moved=chosen["also_moved"],
    )


def given(chosen: Mapping[str, Any], prefix: str = "") -> dict[str, str | None]:
    """Pick what `login(prefix)` brought of a password out of a command's arguments, under the words
    command, env and file.
    """
    under = f"{prefix}_" if prefix else ""
    return {form: chosen[f"{under}password_{form}"] for form in ("command", "env", "file")}


def trust(chosen: Mapping[str, Any], prefix: str = "") -> Trust:
    """Pick what `login(prefix)` brought of a certificate out of a command's arguments."""
    from mailsync.app.accounts import Trust  # noqa: PLC0415  not needed to list the options

    under = f"{prefix}_" if prefix else ""
    return Trust(chosen[f"{under}ca_file"], chosen[f"{under}tls_name"])


class _Plain(click.Option):
    """An option that other commands have under a longer name, which is understood and not shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        every, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = every


def certificate(
    prefix: str = "", whose: str = "the account", also: str = ""
) -> Callable[[Command], Command]:
    """Add --[prefix-]ca-file and --[prefix-]tls-name, as `login` does."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
    name, ca = _named("tls-name", prefix, also), _named("ca-file", prefix, also)

    def add(command: Command) -> Command:
        text = f"The name in the certificate of {whose}, where it is not the host's."
        command = click.option(*name, cls=_Plain, metavar="NAME", help=text)(command)
        text = f"The CA that signed the certificate of {whose}, or that certificate itself (PEM)."
        return click.option(*ca, cls=_Plain, metavar="FILE", type=file, help=text)(command)

    return add


def login(
    prefix: str = "", whose: str = "the account", also: str = ""
) -> Callable[[Command], Command]:
    """Add --[prefix-]password-command, -env and -file, and the options of `certificate`; all may be
    written with the prefix `also` too.
    """

    def add(command: Command) -> Command:
        command = certificate(prefix, whose, also)(command)
        for form, metavar, text in (
            ("file", "FILE", "The first line of FILE is"),
            ("env", "NAME", "The environment variable NAME holds"),
            ("command", "COMMAND", "The first line COMMAND prints is"),
        ):
            command = click.option(
                *_named(f"password-{form}", prefix, also),
                cls=_Plain,
                metavar=metavar,
                help=f"{text} the password of {whose}.",
            )(command)
        return command

    return add


def _named(name: str, prefix: str, also: str) -> tuple[str, ...]:
    """Return how an option may be written, and under which name a command gets it."""
    long = f"{prefix}-{name}" if prefix else name
    return (f"--{long}", *([f"--{also}-{name}"] if also else []), long.replace("-", "_"))
