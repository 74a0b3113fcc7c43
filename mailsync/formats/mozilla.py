"""What Thunderbird writes down about its profiles and accounts: `profiles.ini`, `prefs.js`,
`folderCache.json`.

Pure; takes any bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_PREFERENCE: Final = re.compile(
    rb'^\s*user_pref\("([^"\\]{1,300})"\s*,\s*("(?:[^"\\\n]|\\.)*"|-?\d{1,18}|true|false)\s*\)',
    re.MULTILINE,
)
_SECTION: Final = re.compile(r"\[([^\]]*)\]")

ServerKind = Literal["pop3", "imap", "none", "other", "left"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """An account of a profile: where its mail lies, relative to the profile or absolute; `kind`
    "none" is the one for mail that lies on this computer only, "left" what an account left behind.
    """

    name: str
    kind: ServerKind
    directory: str


def profiles(written: bytes) -> list[tuple[str, bool]]:
    """Return the paths that a `profiles.ini` names, each with whether it is relative, the one that
    is used by itself first.
    """
    sections: list[dict[str, str]] = []
    for line in written.decode("utf-8", "replace").splitlines():
        if found := _SECTION.fullmatch(line.strip()):
            sections.append({"": found[1].lower()})
        elif sections and "=" in line:
            key, _, value = line.partition("=")
            sections[-1].setdefault(key.strip().lower(), value.strip())
    chosen = [
        one["default"] for one in sections if one[""].startswith("install") and "default" in one
    ]
    named = [one for one in sections if one[""].startswith("profile") and one.get("path")]
    named.sort(key=lambda one: (one["path"] not in chosen, one.get("default") != "1"))
    return [(one["path"], one.get("isrelative", "1") != "0") for one in named]


def preferences(written: bytes) -> dict[str, str]:
    """Return what a `prefs.js` sets, every value as text."""
    found: dict[str, str] = {}
    for name, value in _PREFERENCE.findall(written):
        found[name.decode("ascii", "replace")] = _text(value)
    return found


def _text(value: bytes) -> str:
    plain = value.decode("utf-8", "replace")
    if not plain.startswith('"'):
        return plain
    try:
        return str(json.loads(plain))
    except ValueError:
        return plain[1:-1]


def servers(preferences: Mapping[str, str]) -> list[MailServer]:
    """Return the accounts that preferences name, in the order in which they are shown."""
    accounts = preferences.get("mail.accountmanager.accounts", "").split(",")
    keys = [preferences.get(f"mail.account.{account.strip()}.server", "") for account in accounts]
    found = []
    for key in dict.fromkeys(filter(None, keys)):
        told = f"mail.server.{key}."
        directory = preferences.get(f"{told}directory-rel", "")
        directory = directory.removeprefix("[ProfD]").removeprefix("[ProfLD]")
        directory = directory or preferences.get(f"{told}directory", "")
        if directory:
            user, host = (preferences.get(f"{told}{part}", "") for part in ("userName", "hostname"))
            name = preferences.get(f"{told}name") or (f"{user}@{host}" if user else host) or key
            found.append(MailServer(name, _kind(preferences.get(f"{told}type", "")), directory))
    return found


def _kind(written: str) -> ServerKind:
    if written == "pop3":
        return "pop3"
    if written == "imap":
        return "imap"
    return "none" if written == "none" else "other"


def folder_names(written: bytes) -> dict[str, str]:
    """Return the names of folders by the paths that a `folderCache.json` has of them, with slashes
    and without `.msf`; empty for anything else.
    """
    try:
        listed = json.loads(written)
        return {
            path.replace("\\", "/").removesuffix(".msf"): told["folderName"]
            for path, told in listed.items()
            if isinstance(told, dict) and isinstance(told.get("folderName"), str)
            if told["folderName"]
        }
    except (ValueError, AttributeError, RecursionError):
        return {}
