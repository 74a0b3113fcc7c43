"""A first configuration file, with lines that explain it, for one account.

Nothing that is there is ever overwritten, and nobody else can read what is written.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from mailsync.errors import ConfigError

_PLAIN: Final = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._@+/-]*")
_WHERE: Final[Mapping[str, str]] = {
    "file": "The first line of a file that only you should be able to read:",
    "env": "An environment variable:",
    "command": "The first line that a program prints:",
    "keyring": "The key ring of your desktop:",
    "credential": "What systemd hands over:",
}


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """What is written of an account; `settings` are its lines by name, in order, and `secret` one
    form of a password, or none where it is asked for each time; `oauth2` takes its place.
    """

    name: str
    settings: Mapping[str, str | int]
    secret: Mapping[str, str] | None
    left_out: Sequence[str] = ()
    oauth2: Mapping[str, str] | None = None


def composed(account: FirstAccount, root: str) -> str:
    """Return the text of a configuration."""
    lines = [
        "# What mailsync fetches, and where it keeps it. `mailsync init` wrote it;",
        "# it is yours to change.",
        "# `mailsync check` reads this file, and tries every account in it.",
        "",
        "archive:",
        "  # Every account gets a directory of its own in here.",
        f"  root: {_scalar(root)}",
        "",
        "accounts:",
        "  # The name is your choice: `mailsync pull NAME`, `mailsync list NAME`.",
        f"  {_scalar(account.name)}:",
    ]
    lines += [f"    {name}: {_scalar(value)}" for name, value in account.settings.items()]
    if account.oauth2 is not None:
        inside = ", ".join(f"{name}: {_scalar(value)}" for name, value in account.oauth2.items())
        lines.append(f"    # Signed in with the browser, by `mailsync login {account.name}`:")
        lines.append(f"    oauth2: {{{inside}}}")
    elif account.secret is None:
        lines.append("    # No password is kept here: it is asked for on the terminal.")
    else:
        ((form, value),) = account.secret.items()
        lines += [f"    # {_WHERE[form]}", f"    password: {{{form}: {_scalar(value)}}}"]
    if account.left_out:
        globs = ", ".join(map(_quoted, ("*", *(f"!{one}" for one in account.left_out))))
        lines += [
            "    # All mailboxes but those with an exclamation mark:",
            f"    mailboxes: [{globs}]",
        ]
    lines += [
        "  # Another account goes below, indented like the one above. All settings:",
        "  # `mailsync config schema`; examples: the directory configs of mailsync.",
        "",
    ]
    return "\n".join(lines)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, readable by its owner alone, and force it to disk; its
    directory is made where it is missing.

    Raises ConfigError; then nothing is there that was not before.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be made: {error.strerror}") from None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already, and is not overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  an open descriptor
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _scalar(value: str | int) -> str:
    """Return a value as YAML reads it back, quoted where it must be."""
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1_000_000)
    return written.rstrip("\n")
