"""Where a password comes from, and how it is brought; a secret never stands in a repr, a message or
a log.

A command runs without a shell, gets no standard input, and has two minutes: time enough to unlock a
key ring.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag

from mailsync.config.paths import UserPath
from mailsync.errors import ConfigError

COMMAND_TIMEOUT: Final = 120.0
FORMS: Final = (
    'must be {command: "…"}, {env: NAME}, {file: path}, {keyring: SERVICE} or {credential: NAME},'
    " or the password itself in quotes"
)
_STDERR_SHOWN: Final = 400
_FILE_READ: Final = 65_536
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Octets with which some editors and shells begin a text, and the encoding they announce."""


def _splittable(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("has an opened quotation mark that is not closed") from None
    if not words:
        raise ValueError("is empty: write the command that prints the password")
    return command


def _plain_file_name(name: str) -> str:
    if not name or name in {".", ".."} or re.search(r"[/\0]", name):
        raise ValueError("must be the plain name of a credential, as in LoadCredential=")
    return name


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FromEnvironment(_Given):
    """The password stands in an environment variable."""

    env: Annotated[
        str,
        Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the environment variable."),
    ]


class FromCommand(_Given):
    """The first line a command prints is the password."""

    command: Annotated[
        str,
        AfterValidator(_splittable),
        Field(
            repr=False,
            description=(
                "A program and its arguments, run without a shell; the first line it prints is the"
                " password."
            ),
        ),
    ]


class FromFile(_Given):
    """The first line of a file is the password."""

    file: Annotated[
        UserPath,
        Field(description="A file whose first line is the password; readable by you alone."),
    ]


class FromKeyring(_Given):
    """The password lies in the key ring of the desktop, under the account's user name."""

    keyring: Annotated[
        str,
        Field(
            min_length=1,
            description=(
                "The service under which the desktop's key ring keeps it, as in `keyring set"
                " SERVICE USERNAME`; needs the extra [keyring]."
            ),
        ),
    ]


class FromCredential(_Given):
    """The service manager hands the password over (systemd's LoadCredential=)."""

    credential: Annotated[
        str,
        AfterValidator(_plain_file_name),
        Field(description="The name of a systemd credential, in $CREDENTIALS_DIRECTORY."),
    ]


Place: TypeAlias = FromEnvironment | FromCommand | FromFile | FromKeyring | FromCredential
_PLACES: Final[dict[str, type[Place]]] = {
    "env": FromEnvironment,
    "command": FromCommand,
    "file": FromFile,
    "keyring": FromKeyring,
    "credential": FromCredential,
}


def _form(given: object) -> str | None:
    """Return which of the forms is written, so that only its own mistakes are reported."""
    if isinstance(given, str | SecretStr):
        return "literal"
    if isinstance(given, dict) and len(given) == 1:
        (key,) = given
        return key if key in _PLACES else None
    return next((form for form, kind in _PLACES.items() if isinstance(given, kind)), None)


Secret = Annotated[
    Annotated[SecretStr, Field(min_length=1), Tag("literal")]
    | Annotated[FromEnvironment, Tag("env")]
    | Annotated[FromCommand, Tag("command")]
    | Annotated[FromFile, Tag("file")]
    | Annotated[FromKeyring, Tag("keyring")]
    | Annotated[FromCredential, Tag("credential")],
    Discriminator(
        _form,
        custom_error_type="secret_form",
        custom_error_message=FORMS,
    ),
]


def reveal(
    secret: SecretStr | Place, whose: str, environ: Mapping[str, str], username: str = ""
) -> str:
    """Bring the password of `whose`, who logs in as `username`.

    Raises ConfigError that tells what is missing, never what was found.
    """
    if isinstance(secret, SecretStr):
        password = secret.get_secret_value()
    elif isinstance(secret, FromEnvironment):
        password = environ.get(secret.env, "")
        if not password:
            raise ConfigError(
                f"the password of {whose} should be in the environment variable {secret.env}, which"
                " is not set or empty"
            )
    elif isinstance(secret, FromCommand):
        password = _first_line(
            _run(secret.command, whose, environ), f"the password command of {whose}"
        )
    elif isinstance(secret, FromKeyring):
        from mailsync.config.keyring import entry  # noqa: PLC0415  most have their password elsewhere

        password = entry(secret.keyring, username, whose)
    elif isinstance(secret, FromCredential):
        password = _first_line(
            _read(_credential(secret.credential, whose, environ), whose),
            f"the credential {secret.credential} of {whose}",
        )
    else:
        password = _first_line(
            _read(secret.file, whose), f"the password file {secret.file} of {whose}"
        )
    if re.search(r"[\r\n\0]", password):
        raise ConfigError(
            f"the password of {whose} contains a line break or NUL; no mail server can take that"
        )
    return password


def imprudence(secret: SecretStr | Place, whose: str) -> str | None:
    """Return what is careless about how a password is kept, or None."""
    if isinstance(secret, SecretStr):
        return (
            f"the password of {whose} stands in the configuration as plain text; better: password:"
            ' {command: "pass show mail"}'
        )
    if isinstance(secret, FromFile) and os.name == "posix":
        try:
            mode = secret.file.stat().st_mode
        except OSError:
            return None
        if mode & 0o004:
            return (
                f"the password file {secret.file} of {whose} can be read by everybody on this"
                f" machine: chmod 600 {secret.file}"
            )
    return None


def _run(
    command: str, whose: str, environ: Mapping[str, str], timeout: float = COMMAND_TIMEOUT
) -> bytes:
    words = shlex.split(command)
    program = _program(words[0], whose, environ)
    try:
        done = subprocess.run(  # noqa: S603  the owner's own command, split without a shell
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=dict(environ),
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"the password command of {whose} ({program} …) did not end in {timeout:g} s"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a NUL in its arguments"
        raise ConfigError(
            f"the password command of {whose} ({program} …) cannot be run: {reason}"
        ) from None
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-_STDERR_SHOWN:]
        how = (
            f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
        )
        raise ConfigError(
            f"the password command of {whose} ({program} …) failed with"
            f" {how}{': ' if said else ''}{said}"
        )
    return done.stdout


def _program(name: str, whose: str, environ: Mapping[str, str]) -> str:
    """Return the name of a program that is there, which may be shown; its arguments may not.

    The name of one that is not may be the password itself, written where its command belongs.
    """
    if shutil.which(name, path=environ.get("PATH")) is None:
        raise ConfigError(
            f"the password command of {whose} cannot be run: there is no such program. Its name is"
            " not shown, as it may be the password: a command stands as {command: …}, a password"
            " as text or in a file, {file: …}"
        )
    return name


def _credential(name: str, whose: str, environ: Mapping[str, str]) -> Path:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise ConfigError(
            f"the password of {whose} is the credential {name}, which only systemd hands over: run"
            f" mailsync as its service, with LoadCredential={name}:FILE or"
            f" LoadCredentialEncrypted={name}:FILE ($CREDENTIALS_DIRECTORY is not set)"
        )
    return Path(directory) / name


def _read(path: Path, whose: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_READ)
    except OSError as error:
        raise ConfigError(
            f"the password file of {whose} cannot be read: {path}: {error.strerror}"
        ) from None


def _first_line(output: bytes, what: str) -> str:
    """Read the password; a byte order mark before it, and the CR of a line end, are none of it."""
    mark, encoding = next(
        (known for known in _MARKS if output.startswith(known[0])), (b"", "utf-8")
    )
    text = output.removeprefix(mark)
    if encoding == "utf-8":
        text = text.partition(b"\n")[0]  # what follows is nobody's business
    try:
        password = text.decode(encoding).partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ConfigError(
            f"{what} gave something that is not UTF-8 text; if it is Latin-1, or another encoding,"
            " save it as UTF-8"
        ) from None
    if not password:
        raise ConfigError(f"{what} gave nothing: its first line must be the password")
    return password
