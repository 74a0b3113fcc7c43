"""Logging in with a browser: on this machine, where it brings its answer to a port that only this
machine can reach (RFC 8252 section 7.3), or anywhere, where a person brings the answer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from mailsync.app.oauth.authorization import Authorization
from mailsync.app.oauth.person import Person
from mailsync.config.oauth.client import RegisteredClient
from mailsync.config.oauth.token_file import TokenSet
from mailsync.errors import AuthenticationFailed, ConfigError, MailsyncError

PATIENCE: Final = 600.0
"""Seconds somebody has for logging in."""

_TRIES: Final = 3
_PORT: Final = 8765
"""Where a browser elsewhere is sent, that has nobody to bring its answer to."""

_HERE: Final = "127.0.0.1"

Query = dict[str, str]


def by_browser(
    client: RegisteredClient, person: Person, username: str, patience: float = PATIENCE
) -> TokenSet:
    """Log in with a browser on this machine. Raises AuthenticationFailed when nobody does in
    `patience` seconds, or another MailsyncError.
    """
    # Without a slash at its end, as providers have it registered.
    wanted = urlsplit(client.redirect_url or f"http://{client.redirect_host}")
    with _listening(client.account, wanted.port or 0, wanted.path or "/") as listener:
        host = f"{wanted.hostname}:{listener.server_port}"
        redirect_url = wanted._replace(netloc=host).geturl()
        asked = Authorization(client, redirect_url, username)
        listener.is_answer = asked.is_answer
        person.visit(username, asked.url)
        try:
            answer = listener.answers.get(timeout=patience)
        except queue.Empty:
            raise AuthenticationFailed(
                client.account,
                f"nobody logged in within {patience / 60:g} minutes; run `mailsync login"
                f" {client.account}` again, with --paste where the browser is on another machine",
            ) from None
    return asked.tokens(answer)


def by_paste(client: RegisteredClient, person: Person, username: str) -> TokenSet:
    """Log in with a browser anywhere, whose last address a person brings. Raises ConfigError for
    what is no such address, or another MailsyncError.
    """
    wanted = client.redirect_url or f"http://{client.redirect_host}:{_PORT}"
    asked = Authorization(client, wanted, username)
    missed = ""
    for _ in range(_TRIES):
        answer = _query(person.paste(username, asked.url, missed))
        if asked.is_answer(answer):
            return asked.tokens(answer)
        missed = (
            "that is not the address at which this login ended: it begins with"
            f" {wanted} and holds `code=`; copy the whole line"
        )
    raise ConfigError(missed)


def _query(address: str) -> Query:
    _, _, behind = address.strip().partition("?")
    return dict(parse_qsl(behind.partition("#")[0]))


class _Listener(ThreadingHTTPServer):
    """Takes the first answer to a login on this machine, and no other visitor's."""

    daemon_threads = True
    answers: queue.SimpleQueue[Query]
    path: str
    is_answer: Callable[[Query], bool]


class _Visit(BaseHTTPRequestHandler):
    timeout = 30
    server: _Listener

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        if address.path != self.server.path or not self.server.is_answer(query):
            self._say(404, "This is no answer to a login that mailsync has begun.")
            return
        self._say(200, "mailsync has the answer. Close this page, and look at the terminal.")
        self.server.answers.put(query)

    def _say(self, status: int, words: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        # The address holds the code: it goes to nobody else.
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(words.encode() + b"\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the code."""


@contextlib.contextmanager
def _listening(account: str, port: int, path: str) -> Iterator[_Listener]:
    try:
        listener = _Listener((_HERE, port), _Visit)
    except OSError as error:
        raise MailsyncError(
            f"port {port} of this machine, where the browser would bring the login of {account},"
            f" cannot be listened at: {error.strerror}; use --paste"
        ) from None
    with listener:
        listener.answers = queue.SimpleQueue()
        listener.path = path
        listener.is_answer = lambda _: False
        thread = threading.Thread(target=listener.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()
