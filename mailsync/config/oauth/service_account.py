"""Google service accounts with domain-wide delegation: a signed statement that stands for a person
of the domain is exchanged for a token (RFC 7523).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailsync.config.account import ImapAccount, Pop3Account
from mailsync.config.oauth.client import RegisteredClient, web_proxy
from mailsync.config.oauth.presets import PRESETS
from mailsync.config.oauth.settings import ServiceAccount
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Delegation:
    """A service account, standing for `username`."""

    client: RegisteredClient
    username: str
    email: str
    key: str = field(repr=False)

    def token(self) -> TokenSet:
        """Ask for a token. Raises NoTokens, StoreUnavailable, ConfigError."""
        from oauthlib.oauth2 import ServiceApplicationClient  # noqa: PLC0415  few accounts have one

        account = self.client.account
        grant = ServiceApplicationClient(
            self.email, self.key, self.username, self.email, self.client.token_url
        )
        try:
            from jwt.exceptions import PyJWTError  # noqa: PLC0415  an extra

            body = grant.prepare_request_body(scope=list(self.client.scopes))
        except (ImportError, NotImplementedError):
            raise ConfigError(
                f"{account} has a service account, which needs one more package:"
                " pip install 'mailsync-archive[service-account]'"
            ) from None
        except (PyJWTError, ValueError, TypeError):
            raise ConfigError(
                f"the key of the service account of {account} cannot be used: download a new one,"
                " as JSON"
            ) from None
        return self.client.granted(body, "", body.partition("assertion=")[2].partition("&")[0])


def delegation(
    account: str,
    settings: ServiceAccount,
    login: Pop3Account | ImapAccount,
    environ: Mapping[str, str],
) -> Delegation:
    """Read a service account's key. Raises ConfigError, which tells nothing of it."""
    path = settings.service_account
    told = _key_file(path, account)
    url = settings.token_url or told["token_uri"]
    if not url.startswith("https://"):
        raise ConfigError(f"{path} names no address that gives out tokens (token_uri)")
    scopes = settings.scopes or PRESETS["google"].delegated_scopes[login.protocol]
    proxy = web_proxy(login, url, environ)
    client = RegisteredClient(account, told["client_email"], str, url, scopes, proxy=proxy)
    return Delegation(client, login.username, told["client_email"], told["private_key"])


def _key_file(path: Path, account: str) -> dict[str, str]:
    try:
        told = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"the service account of {account} cannot be read: {path}: {error.strerror}"
        ) from None
    except (ValueError, RecursionError):
        told = None
    wanted = ("client_email", "private_key", "token_uri")
    if not isinstance(told, dict) or not all(isinstance(told.get(key), str) for key in wanted):
        raise ConfigError(
            f"{path} is no key of a service account: download one as JSON, from the Google console"
        )
    return {key: told[key] for key in wanted}
