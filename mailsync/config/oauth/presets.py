"""Where known providers give out tokens, so that a configuration need not say it; facts only.

The addresses and scopes are those in the providers' own documentation, and in the mail programs
that log in there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

GMAIL: Final = "https://mail.google.com/"


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider; `{tenant}` in an address stands for the organisation.

    `scopes`, `application_scopes` and `delegated_scopes` are by protocol: for a login, for an
    application without anybody's login, and for a service account. `redirect_host` is how the
    provider wants this machine to be called. An address that is empty is not offered for mail.
    """

    authorization_url: str
    token_url: str
    scopes: Mapping[str, tuple[str, ...]]
    device_url: str = ""
    revocation_url: str = ""
    application_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delegated_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked_beside: Mapping[str, str] = field(default_factory=dict)
    redirect_host: str = "127.0.0.1"
    demands_secret: bool = False
    ended: str = ""


def _outlook(permission: str) -> dict[str, tuple[str, ...]]:
    office = "https://outlook.office.com"
    return {
        protocol: (f"{office}/{protocol.upper().rstrip('3')}.{permission}", "offline_access")
        for protocol in ("imap", "pop3")
    }


_MICROSOFT: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0"

PRESETS: Final[Mapping[str, Preset]] = {
    "google": Preset(
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        {"imap": (GMAIL,), "pop3": (GMAIL,)},
        revocation_url="https://oauth2.googleapis.com/revoke",
        delegated_scopes={
            "imap": ("https://www.googleapis.com/auth/gmail.imap_admin",),
            "pop3": (GMAIL,),
        },
        # Without both Google gives no refresh token to whoever logs in a second time.
        asked_beside={"access_type": "offline", "prompt": "consent"},
        demands_secret=True,
        ended=(
            "a login through a Google client that is still in “Testing” ends after 7 days: publish"
            " the client"
        ),
    ),
    "microsoft": Preset(
        f"{_MICROSOFT}/authorize",
        f"{_MICROSOFT}/token",
        _outlook("AccessAsUser.All"),
        device_url=f"{_MICROSOFT}/devicecode",
        application_scopes=dict.fromkeys(
            ("imap", "pop3"), ("https://outlook.office365.com/.default",)
        ),
        redirect_host="localhost",
    ),
    "fastmail": Preset(
        "https://api.fastmail.com/oauth/authorize",
        "https://api.fastmail.com/oauth/refresh",
        {
            "imap": ("https://www.fastmail.com/dev/protocol-imap",),
            "pop3": ("https://www.fastmail.com/dev/protocol-pop",),
        },
        revocation_url="https://api.fastmail.com/oauth/revoke",
    ),
}
