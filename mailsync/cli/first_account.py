"""`mailsync init`, its second part: the login, what there is, and where it is kept."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from pydantic import ValidationError

from mailsync.app.accounts import Login
from mailsync.app.trial import Trial, room, try_login
from mailsync.cli.dialogue import Dialogue
from mailsync.cli.first_server import Chosen
from mailsync.cli.lines import complain
from mailsync.cli.passwords import ATTEMPTS
from mailsync.cli.tables import table
from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.document import Document
from mailsync.config.keyring import trusted_backends
from mailsync.config.mistakes import problems
from mailsync.config.providers import SIGN_IN_WORDS, Provider
from mailsync.errors import AuthenticationFailed, ConfigError
from mailsync.formats.quantities import messages, octets
from mailsync.formats.servers import PORTS
from mailsync.formats.terminal import plain

SHOWN: Final = 20
_SCARCE: Final = 1_000_000_000


def settings_of(chosen: Chosen, more: Mapping[str, object]) -> Pop3Account | ImapAccount:
    """Return the account that these answers describe. Raises ConfigError, with words for what
    cannot be.
    """
    given: dict[str, Any] = {**lines_of(chosen), **more}
    kind = ImapAccount if chosen.protocol == "imap" else Pop3Account
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        found = problems(error.errors(include_url=False, include_input=False), Document("", given))
        raise ConfigError("; ".join(problem.what for problem in found)) from None


def lines_of(chosen: Chosen) -> dict[str, str | int]:
    """Return what is configured of a server, less what goes without saying."""
    lines: dict[str, str | int] = {"protocol": chosen.protocol, "host": chosen.host}
    if chosen.security != "tls":
        lines["security"] = chosen.security
    usual = PORTS[chosen.protocol, "tls" if chosen.security == "tls" else "starttls"]
    if chosen.port != usual:
        lines["port"] = chosen.port
    lines["username"] = chosen.username
    return lines


def explain_sign_in(provider: Provider | None, dialogue: Dialogue) -> None:
    """Say which password a provider wants, and where it is made."""
    if provider is None:
        return
    if provider.sign_in not in {"password", "oauth2"}:
        dialogue.tell(f"{provider.name} wants {SIGN_IN_WORDS[provider.sign_in]}.")
    for page, words in (
        (provider.password_page, "Make it at"),
        (provider.enable_page, "Mail programs are let in once this is switched on:"),
    ):
        if page:
            dialogue.tell(f"  {words} {page}")
    for note in provider.notes:
        dialogue.tell(f"  {note}")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login that worked: with which password, and what was found."""

    password: str
    trial: Trial


def log_in(
    login: Login, known: str | None, remember: Callable[[str], None], dialogue: Dialogue
) -> LoggedIn:
    """Log in with the password that is `known`, or with one that is typed, which is asked for again
    when it is refused; `remember` is told each, so that nothing shows it.

    Raises StoreError; ConfigError where nobody is there to type one.
    """
    settings = login.settings
    assert isinstance(settings, Pop3Account | ImapAccount)  # noqa: S101  init makes no other
    if known is not None:
        remember(known)
        return LoggedIn(known, try_login(login.shown, settings, known))
    if not dialogue.attended:
        raise ConfigError(
            "there is no terminal to ask for the password on: give one of --password-command,"
            " --password-file, --password-env, --password-keyring and --password-credential"
        )
    for left in reversed(range(ATTEMPTS)):
        password = dialogue.secret(f"Password for {plain(settings.username)}")
        if not password:
            raise ConfigError("no password was entered")
        remember(password)
        try:
            return LoggedIn(password, try_login(login.shown, settings, password))
        except AuthenticationFailed as error:
            if not left:
                raise
            complain(f"{plain(str(error))}. Please try again.")
    raise AssertionError("every attempt returns or raises")


def show_found(trial: Trial, dialogue: Dialogue) -> None:
    """Say what there is to fetch."""
    boxes = f"{len(trial.mailboxes):,} mailbox{'' if len(trial.mailboxes) == 1 else 'es'}"
    many = f", {messages(trial.messages)}" if trial.messages is not None else ""
    size = f", {octets(trial.octets)}" if trial.octets is not None else ""
    dialogue.tell(f"{click.style('Logged in.', fg='green')} There are {boxes}{many}{size}.")
    largest = sorted(trial.mailboxes, key=lambda box: (box.view, -(box.messages or 0)))
    rows = [
        [
            plain(box.name),
            "?" if box.messages is None else f"{box.messages:,}",
            "shows messages of the others" if box.view else "",
        ]
        for box in largest[:SHOWN]
    ]
    if len(rows) > 1:
        any_view = any(row[2] for row in rows)
        cut = 3 if any_view else 2
        heads = ["mailbox", "messages", ""]
        shown = table([row[:cut] for row in rows], heads[:cut], "lrl"[:cut], drop=[""][: cut - 2])
        dialogue.tell(shown)
    if len(largest) > SHOWN:
        dialogue.tell(f"… and {len(largest) - SHOWN:,} smaller ones")


def place(given: str | None, home: Path, wanted: int | None, dialogue: Dialogue) -> str:
    """Return where archives are to lie, as it is written: a directory that can be made, or is
    there; `wanted` is how many octets are to be fetched, where that is known.
    """

    def check(text: str) -> str:
        root = _expanded(text, home)
        free = room(root)
        dialogue.tell(f"  {octets(free)} are free there.")
        if free < max(_SCARCE, 2 * (wanted or 0)):
            dialogue.tell(f"{click.style('warning:', fg='yellow')} that may not be enough.")
        return text if text.startswith("~/") else str(root)

    return dialogue.text(
        "Archive directory", check, option="--root", given=given, default="~/mail-archive"
    )


def _expanded(text: str, home: Path) -> Path:
    if not text.strip():
        raise ValueError("must be a directory")
    return home / text[2:] if text.startswith("~/") else Path(text).absolute()


def client(given: str | None, provider: Provider, dialogue: Dialogue) -> dict[str, str]:
    """Return what is configured below `oauth2:` for a provider that takes no passwords. Raises
    ConfigError where nobody is there to say the client's id.
    """
    dialogue.tell(
        f"You sign in to {provider.name} with a browser. For that, mailsync needs the id of a"
        " client (an “app registration”) that you, or your organisation, have registered there."
    )

    def check(text: str) -> str:
        if not text.strip() or not text.strip().isprintable():
            raise ValueError("must be the id of a client")
        return text.strip()

    known = dialogue.text("Client id", check, option="--oauth2-client-id", given=given)
    tenant = {"tenant": "consumers"} if provider.key == "hotmail.com" else {}
    return {"provider": "microsoft", **tenant, "client_id": known}


def keep_password(given: str | None, whose: str, dialogue: Dialogue) -> str:
    """Return how a typed password is to be kept: `file`, `keyring` or `ask`."""
    ways = {"file": "in a file beside the configuration, which only you can read"}
    if given == "keyring" or _has_keyring(whose):
        ways["keyring"] = "in the key ring of your desktop (not at hand for cron)"
    ways["ask"] = "nowhere: you are asked each time (no nightly runs)"
    dialogue.tell("The password can be kept")
    return dialogue.one_of("Keep it", ways, given=given, default="file")


def _has_keyring(whose: str) -> bool:
    try:
        trusted_backends(whose)
    except ConfigError:
        return False
    return True


def command_line(configuration: Path, *words: str, usual: bool) -> str:
    """Return a command that finds its account in a configuration."""
    named = [] if usual else ["--config", str(configuration)]
    return shlex.join(["mailsync", *named, *words])


def cron_line(at: str, configuration: Path, *, usual: bool) -> str:
    """Return the line for `crontab -e` that pulls every night at a time such as 03:17."""
    hour, _, minute = at.partition(":")
    program = shutil.which("mailsync") or str(Path(sys.argv[0]).absolute())
    words = [program, *([] if usual else ["--config", str(configuration)]), "-q", "pull"]
    # A % ends a command there.
    command = shlex.join(words).replace("%", r"\%")
    return f"{int(minute)} {int(hour)} * * *  {command}"


def checked_time(text: str) -> str:
    """Return a time of day, or nothing; raises ValueError, with words."""
    words = text.strip()
    if words in {"", "no", "n"}:
        return ""
    hour, sign, minute = words.partition(":")
    if not (sign and hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
        raise ValueError("must be a time such as 03:17, or no")
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError("must be a time such as 03:17, or no")
    return f"{int(hour):02}:{minute}"


def left_out(
    given: tuple[str, ...], trial: Trial, dialogue: Dialogue, check: Callable[[str], object]
) -> tuple[str, ...]:
    """Return the mailboxes to leave out, by name or pattern."""

    def several(text: str) -> tuple[str, ...]:
        names = tuple(name for name in (part.strip() for part in text.split(",")) if name)
        for name in names:
            check(name)
        return names

    if given or len(trial.mailboxes) < 2:
        return dialogue.text("", several, option="--leave-out", given=",".join(given))
    if dialogue.attended:
        dialogue.tell(
            "All of them are fetched. To leave some out, name them, with commas: Spam, Trash"
        )
    return dialogue.text("Leave out (Enter: none)", several, option="--leave-out", default="")
