"""A server before any work: whether it can be reached, its certificate is trusted, and it takes the
password.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from mailsync import exit_codes
from mailsync.app import stores
from mailsync.app.accounts import Login, Trust
from mailsync.config.local import LocalFiles
from mailsync.errors import AuthenticationFailed, ConfigError, StoreUnavailable, TlsError
from mailsync.stores.certificate import Certificate
from mailsync.stores.door import certificate_of, knock


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate a server shows; `distrust` says what is wrong with it ("is …"), empty where
    it is trusted; `by_file` tells that a file of the user's own decides that, and `by_name` that
    another name than the host's was allowed.
    """

    account: str
    server: str
    certificate: Certificate
    distrust: str
    by_file: bool = False
    by_name: bool = False

    @property
    def exit_code(self) -> int:
        """Return what the process ends with."""
        return exit_codes.of_error(TlsError(self.account, "")) if self.distrust else exit_codes.DONE

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "account": self.account,
            "server": self.server,
            "trusted": not self.distrust,
            "distrust": self.distrust or None,
            "names": list(self.certificate.names),
            "issuer": self.certificate.issuer or None,
            "valid_until": self.certificate.until or None,
            "fingerprint": self.certificate.fingerprint,
            "pem": self.certificate.pem,
        }


def reach(login: Login) -> None:
    """Connect to a login's server, where it has one, as the work will, and hang up.

    Raises StoreUnavailable.
    """
    if not isinstance(login.settings, LocalFiles):
        knock(stores.endpoint(login.settings), login.shown)


def refusal(login: Login, secret: str) -> AuthenticationFailed | None:
    """Try a password and return why it was refused; None also where something else went wrong, for
    the work itself will tell that.
    """
    if isinstance(login.settings, LocalFiles):
        return None
    try:
        with closing(stores.trial(login.shown, login.settings, secret)) as source:
            source.capabilities()
    except AuthenticationFailed as error:
        return error
    except StoreUnavailable:
        return None
    return None


def certificate(login: Login) -> Shown:
    """Look at the certificate of a login's server; nobody logs in. Raises StoreUnavailable, and
    ConfigError where no certificate is used.
    """
    endpoint = None if isinstance(login.settings, LocalFiles) else stores.endpoint(login.settings)
    if endpoint is None or endpoint.security == "none":
        raise ConfigError(
            f"{login.shown} is not encrypted, so that no certificate is shown; use imaps:// or"
            " pop3s:// (`security: tls`)"
        )
    distrust = ""
    try:
        knock(endpoint, login.shown)
    except TlsError as error:
        distrust = error.distrust
    found = certificate_of(endpoint, login.shown)
    if found is None:
        raise TlsError(login.shown, distrust or f"{endpoint} showed no certificate")
    by_file, by_name = endpoint.ca_file is not None, endpoint.certified != endpoint.host
    return Shown(login.shown, str(endpoint), found, distrust, by_file, by_name)


def name_to_use(login: Login, kept: Trust, names: Sequence[str]) -> str:
    """Return under which name the certificate is trusted that `kept` keeps as this server's: empty
    for the host's own, else the first of `names`, those it bears.

    Raises TlsError where it is trusted under neither.
    """
    try:
        reach(kept.applied(login))
    except TlsError:
        name = next((name for name in names if "*" not in name), None)
        if name is None:
            raise
        reach(replace(kept, tls_name=name).applied(login))
        return name
    return ""
