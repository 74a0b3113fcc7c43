"""Pydantic's findings as problems a person can mend: where it stands, what is wrong, what to write
instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from mailsync.config.account import ImapAccount, Pop3Account, meant_protocol
from mailsync.config.document import Document, Path, Value
from mailsync.config.oauth.settings import FORMS as OAUTH2_FORMS
from mailsync.config.oauth.settings import form_of
from mailsync.config.secrets import FORMS
from mailsync.config.settings import ArchiveSettings, Settings
from mailsync.errors import Problem
from mailsync.formats.redaction import without_password

_OTHER_WORDS: Final = {
    "user": "username",
    "login": "username",
    "name": "username",
    "email": "username",
    "pass": "password",
    "passwd": "password",
    "secret": "password",
    "server": "host",
    "hostname": "host",
    "address": "host",
    "ssl": "security",
    "tls": "security",
    "encryption": "security",
    "type": "protocol",
    "folders": "mailboxes",
    "ca": "ca_file",
    "cafile": "ca_file",
    "directory": "root",
    "path": "root",
    "account": "accounts",
}
_MISSING: Final = {
    "archive": "say where mail is kept:  archive: {root: ~/mail-archive}",
    "accounts": "name at least one account",
    "root": "say where mail is kept:  root: ~/mail-archive",
    "host": "write the server's name:  host: imap.example.org",
    "username": "write the login name:  username: alice",
    "protocol": "write pop3 or imap",
}


_SECRETS: Final = frozenset({"password", "client_secret", "token"})


def problems(errors: Iterable[Mapping[str, Any]], document: Document) -> list[Problem]:
    """Turn the errors of a ValidationError into problems."""
    return [_problem(error, document) for error in errors]


def _problem(error: Mapping[str, Any], document: Document) -> Problem:
    path = _path(error["loc"], document.value)
    kind = error["type"]
    if kind == "missing":
        what = f"{_shown(path)} is missing: {_MISSING.get(str(path[-1]), 'write it')}"
    elif kind == "extra_forbidden":
        what = _unknown(path, document.value)
    else:
        instead = _instead_of(path, document.value, error.get("ctx", {}))
        what = f"{_shown(path)} {_wrong(error)}{instead}" if path else f"the file {_wrong(error)}"
    return Problem(document.where(path), what)


def _path(loc: Iterable[str | int], value: Value) -> Path:
    """Walk `loc` along the document, leaving out the names pydantic adds for the members of a
    union.
    """
    path: list[str | int] = []
    steps = list(loc)
    for number, step in enumerate(steps):
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]  # type: ignore[index]
            path.append(step)
        elif number == len(steps) - 1 and isinstance(value, dict):
            path.append(step)
    return tuple(path)


def _shown(path: Path) -> str:
    secret = _secret_in(path)
    if secret:
        path = path[: path.index(secret) + 1]
    name = ""
    for step in path:
        name += (
            f"[{step + 1}]"
            if isinstance(step, int)
            else f"{'.' if name else ''}{without_password(step)}"
        )
    return f"`{name}`"


def _secret_in(path: Path) -> str:
    """Return the setting in a path below which a secret may be written; empty where there is
    none.
    """
    return next((str(step) for step in path if step in _SECRETS), "")


def _wrong(error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "literal_error" and error["loc"][-1] == "protocol":
        return "must be pop3 or imap"
    if kind == "literal_error":
        return f"must be {context['expected'].replace(chr(39), '')}"
    if kind in {"int_parsing", "int_type", "int_from_float"}:
        return "must be a whole number"
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        return _bounds(kind, context)
    simple = {
        "string_type": "must be text",
        "secret": "must be text",
        "string_too_short": "must not be empty",
        "string_pattern_mismatch": "must be the name of an environment variable",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "float_parsing": "must be a number of seconds, or 90s, 2m",
        "float_type": "must be a number of seconds, or 90s, 2m",
        "path_type": "must be a path",
        "tuple_type": 'must be a list, such as ["*", "!Spam"]',
        "list_type": 'must be a list, such as ["*", "!Spam"]',
        "dict_type": "must be lines of `key: value`",
        "model_type": "must be lines of `key: value`",
        "model_attributes_type": "must be lines of `key: value`",
        "too_short": "must not be empty",
    }
    if kind in simple:
        return simple[kind]
    return str(error["msg"]).removeprefix("Value error, ")


def _bounds(kind: str, context: Mapping[str, Any]) -> str:
    limit = next(iter(context.values()))
    words = {
        "greater_than": "more than",
        "greater_than_equal": "at least",
        "less_than": "less than",
        "less_than_equal": "at most",
    }
    return f"must be {words[kind]} {limit:g}"


def _instead_of(path: Path, value: Value, context: Mapping[str, Any]) -> str:
    """Quote what was written where it is nearly one of the words that may stand there.

    Any other text may be a password that slipped onto the wrong line; the number of the line tells
    its owner where to look.
    """
    for step in path:
        try:
            value = value[step]  # type: ignore[index]
        except (LookupError, TypeError):
            return ""
    words = str(context.get("expected", "")).replace("'", "").replace(",", "").split()
    near = isinstance(value, str) and difflib.get_close_matches(value, words, n=1, cutoff=0.7)
    return f" (not {value!r})" if near else ""


def _unknown(path: Path, value: Value) -> str:
    key = str(path[-1])
    secret = _secret_in(path[:-1])
    if secret:
        return f"`{secret}` {FORMS}"
    section = _section(path[:-1], value)
    reason = getattr(section, "later", {}).get(key)
    if reason:
        return f"{_shown(path)} is not for here: {reason}; remove the line"
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.6) or [
        _OTHER_WORDS.get(key.lower(), "")
    ]
    if near[0] in known:
        return f"{_shown(path)} is not a setting: did you mean `{near[0]}`?"
    return f"{_shown(path)} is not a setting; possible here: {', '.join(known)}"


def _section(path: Path, value: Value) -> type[BaseModel]:
    """Find the class whose keys are allowed at `path`."""
    if not path:
        return Settings
    if path[0] == "archive":
        return ArchiveSettings
    for step in path:
        value = value[step]  # type: ignore[index]
        if step == "oauth2":
            return OAUTH2_FORMS[form_of(value)]
    return Pop3Account if meant_protocol(value) == "pop3" else ImapAccount
