"""An authorization server on loopback (RFC 6749, 7636, 7009, 7523, 8628) made of Authlib and Flask,
and a Dovecot that asks it about each token (RFC 7662).

It rotates refresh tokens as strict ones do: whoever comes with one that was used ends the newer one
too.
"""

# ruff: noqa: ARG002  the signatures are Authlib's

from __future__ import annotations

import contextlib
import secrets
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from authlib.integrations.flask_oauth2 import AuthorizationServer as Authlib
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import (
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from flask import Flask, Response, jsonify, request
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from tests.servers import certificates
from tests.servers import dovecot as dovecot_
from tests.servers.processes import HOST

LIFETIME: Final = 3600
ANYBODY: Final = "*"
"""Whom an application's own token is good for."""


@dataclass(slots=True)
class Client(ClientMixin):
    """An application known here; a public one has no secret."""

    client_id: str = "mailsync-tests"
    secret: str = ""
    public_key: str = ""

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.startswith(("http://127.0.0.1:", "http://localhost:"))

    def check_client_secret(self, client_secret: str) -> bool:
        return bool(self.secret) and client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == ("client_secret_post" if self.secret else "none")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass(slots=True)
class Code(AuthorizationCodeMixin):
    """A code on its way through somebody's browser."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    user: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(slots=True)
class Issued(TokenMixin):
    """What was given out in one answer; `family` is the login it goes back to."""

    client_id: str
    user: str
    access_token: str
    refresh_token: str
    scope: str
    ends: float
    family: str
    used: bool = False
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return LIFETIME

    def is_expired(self) -> bool:
        return self.ends < time.time()

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass(slots=True)
class AuthorizationServer:
    """The server's memory: what a test may look at, and change while it runs.

    `person` is who sits at the browser; `interfere` sees every request for a token before the
    server does, and may answer it, also with what the server itself would `answer`.
    """

    url: str
    ca_file: Path
    introspection: str = ""
    person: str = "alice"
    denies: bool = False
    rotates: bool = True
    lasting: bool = True
    lifetime: int = LIFETIME
    token_octets: int = 300
    clients: dict[str, Client] = field(default_factory=lambda: {"mailsync-tests": Client()})
    codes: dict[str, Code] = field(default_factory=dict)
    issued: list[Issued] = field(default_factory=list)
    devices: dict[str, DeviceCredentialDict] = field(default_factory=dict)
    approved: dict[str, tuple[str, bool]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    inspected: list[str] = field(default_factory=list)
    interfere: Callable[[], Response | None] = lambda: None
    answer: Callable[[], Response] = Response
    app_mailbox: str = "alice"

    def reset(self) -> None:
        """Be as at the beginning; what was issued stays good."""
        fresh = AuthorizationServer(self.url, self.ca_file, self.introspection)
        fresh.issued, fresh.clients, fresh.answer = self.issued, self.clients, self.answer
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def issue(self, user: str) -> Issued:
        """Give out tokens as if `user` had logged in just now."""
        tokens = [secrets.token_urlsafe(self.token_octets), secrets.token_urlsafe(60)]
        ends = time.time() + self.lifetime
        one = Issued("mailsync-tests", user, *tokens, "mail", ends, secrets.token_hex(8))
        self.issued.append(one)
        return one

    def refreshed(self) -> int:
        """How many times a refresh token was brought."""
        return sum(form.get("grant_type") == "refresh_token" for form in self.asked)

    def token_of(self, text: str) -> Issued | None:
        return next((one for one in self.issued if text and one.access_token == text), None)

    def end(self, access_token: str) -> None:
        """Let an access token be over from now on; its refresh token stays good."""
        for one in self.issued:
            if one.access_token == access_token:
                one.ends = 0

    def revoke_all(self) -> None:
        """End every login, as a person does at the provider's page."""
        for one in self.issued:
            one.revoked = True

    def save(self, token: dict[str, Any], asked: Any) -> None:
        before: Issued | None = getattr(asked, "refresh_token", None)
        self.issued.append(
            Issued(
                asked.client.client_id,
                asked.user or ANYBODY,
                token["access_token"],
                token.get("refresh_token", ""),
                token.get("scope", ""),
                time.time() + self.lifetime,
                before.family if before else secrets.token_hex(8),
            )
        )

    def told(self, text: str) -> dict[str, object]:
        """Return what a mail server learns of a token (RFC 7662)."""
        self.inspected.append(text)
        one = self.token_of(text)
        if one is None or one.revoked or one.is_expired():
            return {"active": False}
        user = self.app_mailbox if one.user == ANYBODY else one.user
        return {"active": True, "username": user, "scope": one.scope}


def _grants(house: AuthorizationServer) -> list[type[grants.BaseGrant]]:  # noqa: C901
    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_post")

        def save_authorization_code(self, code: str, request: Any) -> None:
            asked = request.payload
            house.codes[code] = Code(
                code,
                request.client.client_id,
                asked.redirect_uri,
                asked.scope or "",
                request.user,
                asked.data.get("code_challenge", ""),
                asked.data.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return house.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del house.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return authorization_code.user

    class RefreshGrant(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_post")

        @property
        def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802  Authlib's name
            return house.rotates

        def authenticate_refresh_token(self, refresh_token: str) -> Issued | None:
            found = next((one for one in house.issued if one.refresh_token == refresh_token), None)
            if found is None or found.revoked:
                return None
            if found.used:
                for one in house.issued:
                    one.revoked |= one.family == found.family
                return None
            return found

        def authenticate_user(self, refresh_token: Issued) -> str:
            return refresh_token.user

        def revoke_old_credential(self, refresh_token: Issued) -> None:
            refresh_token.used = house.rotates

    class DeviceGrant(DeviceCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_post")

        def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
            return house.devices.get(device_code)

        def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
            return house.approved.get(user_code)

        def should_slow_down(self, credential: DeviceCredentialDict) -> bool:
            return False

    class AppGrant(grants.ClientCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)

    class ServiceAccountGrant(JWTBearerGrant):
        def resolve_issuer_client(self, issuer: str) -> Client | None:
            return house.clients.get(issuer)

        def resolve_client_public_key(self, client: Client) -> RSAKey:
            return RSAKey.import_key(client.public_key)

        def authenticate_user(self, subject: str) -> str:
            return subject

        def get_audiences(self) -> list[str]:
            return [f"{house.url}/token"]

        def has_granted_permission(self, client: Client, user: str) -> bool:
            return user != "stranger"

    return [CodeGrant, RefreshGrant, DeviceGrant, AppGrant, ServiceAccountGrant]


def _endpoints(house: AuthorizationServer) -> list[type[Any]]:
    class Device(DeviceAuthorizationEndpoint):
        CLIENT_AUTH_METHODS = ("none", "client_secret_post")
        INTERVAL = 1

        def get_verification_uri(self) -> str:
            return f"{house.url}/activate"

        def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
            house.devices[data["device_code"]] = DeviceCredentialDict(
                client_id=client_id,
                scope=scope,
                expires_at=int(time.time()) + data["expires_in"],
                **data,
            )

    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = ("none", "client_secret_post")

        def query_token(self, token_string: str, token_type_hint: str | None) -> Issued | None:
            wanted = {token_string}
            return next(
                (one for one in house.issued if wanted & {one.refresh_token, one.access_token}),
                None,
            )

        def revoke_token(self, token: Issued, request: Any) -> None:
            for one in house.issued:
                one.revoked |= one.family == token.family

    return [Device, Revocation]


def _application(house: AuthorizationServer) -> Flask:
    app = Flask("authorization")
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    authlib = Authlib(app, query_client=house.clients.get, save_token=house.save)

    def generated(**given: Any) -> dict[str, Any]:
        token: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(house.token_octets),
            "expires_in": house.lifetime,
            "scope": given.get("scope") or "",
        }
        if house.lasting and given.get("include_refresh_token", True):
            token["refresh_token"] = secrets.token_urlsafe(60)
        return token

    authlib.register_token_generator("default", lambda *_, **given: generated(**given))
    for grant in _grants(house):
        extensions = [CodeChallenge(required=True)] if "Code" in grant.__name__[:4] else None
        authlib.register_grant(grant, extensions)
    for endpoint in _endpoints(house):
        authlib.register_endpoint(endpoint)

    house.answer = authlib.create_token_response

    @app.get("/authorize")
    def authorize() -> Any:
        grant = authlib.get_consent_grant(end_user=house.person)
        who = None if house.denies else house.person
        return authlib.create_authorization_response(grant_user=who, grant=grant)

    @app.post("/token")
    def token() -> Any:
        house.asked.append(request.form.to_dict())
        return house.interfere() or house.answer()

    @app.post("/device")
    def device() -> Any:
        return authlib.create_endpoint_response("device_authorization")

    @app.post("/revoke")
    def revoke() -> Any:
        return authlib.create_endpoint_response("revocation")

    @app.post("/introspect")
    def introspect() -> Any:
        return jsonify(house.told(request.form["token"]))

    return app


@contextlib.contextmanager
def start() -> Iterator[AuthorizationServer]:
    """Run an authorization server in this process, over TLS, until the context ends; Dovecot asks
    it without.
    """
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as running:
        known = certificates.make(Path(directory))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(known.good.file)
        house = AuthorizationServer("", known.ca_file)
        app = _application(house)
        for tls in (context, None):
            server = make_server(HOST, 0, app, threaded=True, ssl_context=tls)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            running.callback(thread.join, 10)
            running.callback(server.shutdown)
            if tls:
                house.url = f"https://localhost:{server.server_port}"
            else:
                house.introspection = f"http://{HOST}:{server.server_port}/introspect"
        yield house


@contextlib.contextmanager
def dovecot(
    house: AuthorizationServer, mechanisms: str = "oauthbearer xoauth2"
) -> Iterator[dovecot_.Dovecot]:
    """Run a Dovecot that takes the tokens of `house`, and passwords too."""
    with tempfile.TemporaryDirectory(prefix="oauth2-") as directory:
        Path(directory).chmod(0o755)
        settings = Path(directory) / "oauth2.conf"
        settings.write_text(
            "introspection_mode = post\n"
            f"introspection_url = {house.introspection}\n"
            "username_attribute = username\n"
            "active_attribute = active\n"
            "active_value = true\n"
        )
        extra = (
            f"auth_mechanisms = plain login {mechanisms}\n"
            f"passdb {{\n  driver = oauth2\n  mechanisms = {mechanisms}\n  args = {settings}\n}}\n"
        )
        with dovecot_.start(extra=extra) as server:
            yield server
