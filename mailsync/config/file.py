"""The configuration file: where it is looked for, and how it becomes settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.document import Document, parse
from mailsync.config.mistakes import problems
from mailsync.config.settings import Settings
from mailsync.config.values import safe_name
from mailsync.errors import ConfigError, Problem
from mailsync.formats.redaction import without_password

NAME = "mailsync.yaml"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Validated settings and the file they came from."""

    path: Path
    settings: Settings

    def account(self, name: str) -> Pop3Account | ImapAccount:
        """Return the account of that name. Raises ConfigError that names those there are."""
        account = self.settings.accounts.get(name)
        if account is None:
            # Behind a colon may stand a password: no account has one in its name.
            called = f"account {name!r}" if ":" not in name else "account of that name"
            raise ConfigError(
                f"there is no {called} in {self.path}; there is:"
                f" {', '.join(self.settings.accounts)}"
            )
        return account

    def archive_directory(self, name: str) -> Path:
        """Return where the archive of an account lies; accounts that name the same `archive` share
        one.
        """
        return self.settings.archive.root / (self.account(name).archive or name)


def places(environ: Mapping[str, str], here: Path, home: Path) -> list[Path]:
    """Return where a configuration is looked for when none is named, best first."""
    xdg = environ.get("XDG_CONFIG_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base = Path(xdg) if xdg.startswith("/") else home / ".config"
    return [here / NAME, base / "mailsync" / NAME]


def find(named: Path | None, environ: Mapping[str, str], here: Path, home: Path) -> Path:
    """Choose the configuration file: the one named, $MAILSYNC_CONFIG, or the first there is.

    Raises ConfigError.
    """
    if named is not None:
        return named
    if environ.get("MAILSYNC_CONFIG"):
        return Path(environ["MAILSYNC_CONFIG"])
    candidates = places(environ, here, home)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise ConfigError(
        f"no configuration found; looked for {looked}. `mailsync init` makes one; or name one"
        " with --config FILE, or use URLs such as imaps://alice@mail.example.org"
    )


def load(path: Path) -> Configuration:
    """Read and validate a configuration.

    Raises ConfigError with every problem found, in the order of the lines.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from None
    document, found = parse(raw, str(path))
    if document.value is None and not found:
        raise ConfigError([Problem(str(path), "is empty; it needs `archive:` and `accounts:`")])
    found += _unusable_names(document)
    try:
        settings = Settings.of(document.value, path.absolute().parent)
    except ValidationError as error:
        # Without `from`: pydantic's error holds what was written, and that may be a password.
        found += problems(error.errors(include_url=False, include_input=False), document)
        raise ConfigError(sorted(found, key=_line)) from None
    if found:
        raise ConfigError(sorted(found, key=_line))
    return Configuration(path, settings)


def _unusable_names(document: Document) -> Iterator[Problem]:
    accounts = document.value.get("accounts") if isinstance(document.value, dict) else None
    for name in accounts if isinstance(accounts, dict) else ():
        try:
            safe_name(name)
        except ValueError as error:
            yield Problem(
                document.where(("accounts", name)),
                f"the account name {without_password(name)!r} {error}",
            )


def _line(problem: Problem) -> int:
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0
