"""Accounts with `oauth2:`, as their users meet them: against a real authorization server and a
Dovecot that asks it about every token.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import random
import re
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Response
from hypothesis import given
from hypothesis import strategies as st

from mailsync.app.accounts import Accounts
from mailsync.app.oauth.browser import by_browser
from mailsync.app.oauth.device import by_device
from mailsync.cli.main import run
from mailsync.cli.session import Session
from mailsync.config.account import ImapAccount
from mailsync.config.oauth.client import RegisteredClient, registered
from mailsync.config.oauth.settings import Client as ClientSettings
from mailsync.config.oauth.token_file import TokenFile, TokenSet
from mailsync.errors import AuthenticationFailed, ConfigError
from tests.messages import plain
from tests.secret_echoes import FORMS
from tests.servers.authorization import AuthorizationServer, Client, Issued
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.processes import free_ports
from tests.servers.proxies import RecordingProxy
from tests.servers.scripted import Conversation
from tests.stores.pop3_source_servers import Drop
from tests.system.cli_home import MAILSYNC, Home, arrived, filled, imap, until
from tests.system.test_echoed_passwords import examples, imap_that_says, told

CLIENT = "mailsync-tests"


class Inside(Home):
    """A home in which commands run in this process, which is quicker; `start` makes another."""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments), Session(environ=self.environment()))
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def home(
    tmp_path: Path, authorization: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> Home:
    monkeypatch.setenv("SSL_CERT_FILE", str(authorization.ca_file))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.chdir(tmp_path)
    return Inside(tmp_path)


def oauth2(house: AuthorizationServer, more: str = "") -> str:
    return (
        f"{{client_id: {CLIENT}, authorization_url: '{house.url}/authorize',"
        f" token_url: '{house.url}/token', device_url: '{house.url}/device',"
        f" revocation_url: '{house.url}/revoke', scopes: mail offline_access{more}}}"
    )


def account(server: Dovecot, user: str, oauth: str, protocol: str = "imap") -> str:
    port = server.imap_port if protocol == "imap" else server.pop3_port
    return (
        f"protocol: {protocol}, host: {server.host}, port: {port}, security: none,"
        f" username: {user}, oauth2: {oauth}"
    )


def configured(home: Home, house: AuthorizationServer, server: Dovecot, count: int = 3) -> str:
    user = filled(server, count)
    house.person = user
    home.configure(work=account(server, user, oauth2(house)))
    return user


def visit(house: AuthorizationServer, url: str) -> str:
    """Be a browser: log in at `url`, and go where one is sent; returns the last address."""
    context = ssl.create_default_context(cafile=str(house.ca_file))
    try:
        with urllib.request.urlopen(url, context=context) as page:
            return str(page.url)
    except HTTPError as error:
        with error:
            return str(error.url)


def shown_url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("https://"):
            return line.strip()
    raise AssertionError("no address was shown")


def log_in(home: Home, house: AuthorizationServer, *more: str) -> subprocess.CompletedProcess[str]:
    with home.start("login", "work", *more) as process:
        visit(house, shown_url(process))
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def kept(home: Home) -> Path:
    (file,) = (home.directory / ".local/state/mailsync/tokens").glob("*.json")
    return file


def test_a_login_with_a_browser_is_kept_and_serves_every_later_run(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    done = log_in(home, authorization)
    assert done.returncode == 0, done.stderr
    assert "logged in at" in done.stdout
    assert "5 mailboxes" in done.stdout
    assert stat.S_IMODE(kept(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept(home).parent.stat().st_mode) == 0o700
    home.well("pull")
    assert len(home.archived("work")) == 3
    assert authorization.refreshed() == 0


def test_a_login_on_another_device_needs_only_a_short_code(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = configured(home, authorization, token_dovecot)
    with home.start("login", "work", "--device") as process:
        assert process.stderr is not None
        shown = ""
        while not (code := re.search(r"^  ([A-Z]{4}-[A-Z]{4})$", shown, re.MULTILINE)):
            shown += process.stderr.readline()
        assert f"{authorization.url}/activate" in shown
        authorization.approved[code[1]] = (user, True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    home.well("pull")
    assert len(home.archived("work")) == 3


def pasting(home: Home, house: AuthorizationServer, *before: str) -> tuple[int, str]:
    """Log in with --paste, and paste these lines before the right one."""
    with subprocess.Popen(
        [*MAILSYNC, "login", "work", "--paste"],
        cwd=home.directory,
        env=home.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        address = address_brought_by(house, shown_url(process))
        _, err = process.communicate("".join(f"{line}\n" for line in (*before, address)))
    return process.returncode, err


def address_brought_by(house: AuthorizationServer, url: str) -> str:
    """Log in at `url` with a browser that cannot open what it is sent to."""
    context = ssl.create_default_context(cafile=str(house.ca_file))
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=context)
    with closing(connection):
        connection.request("GET", url)
        place = connection.getresponse().getheader("Location")
    assert place is not None
    return place


def test_a_browser_anywhere_will_do_when_its_last_address_is_pasted(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    other = "http://127.0.0.1:8765/?code=stolen&state=of-another-login"
    code, err = pasting(home, authorization, "what?", other)
    assert code == 0, err
    assert home.well("check", "work")


def test_what_is_no_address_of_this_login_is_told_and_changes_nothing(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    code, err = pasting(home, authorization, "a", "b", "http://127.0.0.1:8765/?code=x&state=y")
    assert code == 2
    assert "copy the whole line" in err
    assert authorization.asked == []


def test_somebody_elses_login_is_refused_and_the_older_one_stays(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    log_in(home, authorization)
    before = kept(home).read_bytes()
    authorization.person = "somebody-else"
    done = log_in(home, authorization)
    assert done.returncode == 12
    assert "log in as the owner of this mailbox" in done.stderr
    assert kept(home).read_bytes() == before


def test_a_person_who_says_no_is_no_mistake_of_ours(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    authorization.denies = True
    done = log_in(home, authorization)
    assert done.returncode == 12
    assert "access_denied" in done.stderr


def logged_in(home: Home, house: AuthorizationServer, user: str) -> Issued:
    """Be logged in as `user`, without the ceremony."""
    one = house.issue(user)
    keep(home, house, one)
    return one


def keep(home: Home, house: AuthorizationServer, one: Issued) -> None:
    file = TokenFile(
        home.directory / ".local/state/mailsync/tokens",
        "work",
        username=one.user,
        token_url=f"{house.url}/token",
        client_id=CLIENT,
        scope="mail offline_access",
    )
    now = int(time.time())
    with file.changing() as draft:
        draft.keep(TokenSet(one.access_token, one.refresh_token, now, now + 3600))


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_token_that_was_ended_is_renewed_once(
    protocol: str, home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = filled(token_dovecot, 3)
    home.configure(work=account(token_dovecot, user, oauth2(authorization), protocol))
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    home.well("pull")
    home.well("pull")
    assert len(home.archived("work")) == 3
    assert authorization.refreshed() == 1


def test_a_token_that_ends_in_the_middle_of_a_run_does_not_end_the_run(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    """The server closes when the token is over, as Gmail and Microsoft do."""
    user = token_dovecot.user()
    for number in range(30):
        token_dovecot.deliver(user, "INBOX", plain(number) + b"x" * 5_000)
    with Cutter(token_dovecot.imap_port, Cut(60_000)) as line:
        settings = account(token_dovecot, user, oauth2(authorization))
        home.configure(work=settings.replace(str(token_dovecot.imap_port), str(line.port)))
        one = logged_in(home, authorization, user)
        line.at_cut = lambda: authorization.end(one.access_token)
        home.well("pull")
    assert len(home.archived("work")) == 30
    assert authorization.refreshed() == 1


def test_a_token_that_ends_in_the_middle_of_a_push_does_not_end_it_nor_double_anything(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    old, new = token_dovecot.user(), token_dovecot.user()
    for number in range(30):
        token_dovecot.deliver(old, "INBOX", plain(number) + b"x" * 5_000)
    with Cutter(token_dovecot.imap_port, Cut(60_000, "to_server")) as line:
        settings = account(token_dovecot, new, oauth2(authorization))
        home.configure(
            old=imap(token_dovecot, old),
            work=settings.replace(str(token_dovecot.imap_port), str(line.port)),
        )
        home.well("pull", "old")
        one = logged_in(home, authorization, new)
        line.at_cut = lambda: authorization.end(one.access_token)
        home.well("push", "old", "work")
    assert len(arrived(token_dovecot, new)) == 30
    assert authorization.refreshed() == 1


def test_runs_that_want_a_newer_token_at_once_ask_for_one(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    """The server rotates: a second one who came with the old token would end the login."""
    user = configured(home, authorization, token_dovecot)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)

    def hold_the_first() -> None:
        # Not for so long that the one who asks gives up, however slowly the others start.
        enough = time.monotonic() + 10
        until(
            lambda: (
                authorization.inspected.count(one.access_token) >= 3 or time.monotonic() > enough
            )
        )

    authorization.interfere = hold_the_first
    runs = [home.start("check", "work") for _ in range(3)]
    codes = [(run.communicate(timeout=100)[1], run.returncode) for run in runs]
    assert [code for _, code in codes] == [0, 0, 0], codes
    assert authorization.refreshed() == 1
    home.well("pull")


def test_a_login_that_was_revoked_ends_with_what_to_do(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = configured(home, authorization, token_dovecot)
    one = logged_in(home, authorization, user)
    one.revoked = True
    done = home.run("pull", "--json")
    assert done.returncode == 12
    report = json.loads(done.stdout)["reports"][0]
    assert "the login of work has ended" in report["error"]
    assert "run `mailsync login work`" in report["error"]


def test_without_a_login_nothing_is_tried_and_no_archive_is_left_behind(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    done = home.run("pull")
    assert done.returncode == 12
    assert "nobody is logged in); run `mailsync login work`" in done.stderr
    assert not (home.directory / "mail").exists()


def killed_while_it_refreshes(
    home: Home, house: AuthorizationServer, how: signal.Signals, user: str
) -> int:
    """Run a pull that gets this signal when the server has made new tokens, before it has them."""
    one = logged_in(home, house, user)
    house.end(one.access_token)
    run = home.start("pull")

    def give_and_kill() -> Any:
        answer = house.answer()
        run.send_signal(how)
        if how == signal.SIGKILL:
            run.wait()
        return answer

    house.interfere = give_and_kill
    run.communicate(timeout=100)
    house.interfere = lambda: None
    return run.returncode


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_while_it_refreshes_keeps_the_new_login(
    how: signal.Signals,
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
) -> None:
    user = configured(home, authorization, token_dovecot)
    assert killed_while_it_refreshes(home, authorization, how, user) == 130
    home.well("pull")
    assert authorization.refreshed() == 1


@pytest.mark.parametrize(("rotates", "code"), [(False, 0), (True, 12)])
def test_a_run_that_is_killed_between_refresh_and_disk_loses_no_more_than_the_login(
    rotates: bool,
    code: int,
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
) -> None:
    user = configured(home, authorization, token_dovecot)
    authorization.rotates = rotates
    killed_while_it_refreshes(home, authorization, signal.SIGKILL, user)
    done = home.run("pull")
    assert done.returncode == code, done.stderr
    assert [file.suffix for file in sorted(kept(home).parent.iterdir())] == [".json", ".lock"]
    if code:
        assert "run `mailsync login work`" in done.stderr
        assert log_in(home, authorization).returncode == 0
        home.well("pull")


def test_where_nothing_can_be_kept_no_server_is_asked(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    """A refresh token that is used up, and a new one that is lost, would end the login."""
    user = configured(home, authorization, token_dovecot)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    # Root may write anywhere; a directory in its place stops the file of anybody.
    (kept(home).with_suffix(".new") / "in the way").mkdir(parents=True)
    done = home.run("pull")
    assert done.returncode == 1
    assert "the login of work cannot be written" in done.stderr
    assert authorization.asked == []


def test_a_login_that_could_not_be_kept_is_not_begun(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    (home.directory / ".local").write_text("a file where a directory should be")
    done = home.run("login", "work")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "https://" not in done.stderr


def test_a_token_that_may_still_do_is_used_while_nobody_gives_out_newer_ones(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = configured(home, authorization, token_dovecot)
    logged_in(home, authorization, user)
    authorization.interfere = lambda: Response("{}", 503)
    keep_alive(home)
    home.well("pull")
    assert authorization.refreshed() >= 1


def keep_alive(home: Home) -> None:
    """Let the kept token look as if 200 of its 3,600 seconds were left."""
    told = json.loads(kept(home).read_text())
    now = int(time.time())
    kept(home).write_text(json.dumps({**told, "obtained": now - 3400, "ends": now + 200}))


def test_a_server_that_takes_only_passwords_gets_no_token(
    home: Home, authorization: AuthorizationServer, dovecot: Dovecot
) -> None:
    user = configured(home, authorization, dovecot)
    logged_in(home, authorization, user)
    done = home.run("pull")
    assert done.returncode == 12
    assert "takes no access tokens" in done.stderr


def test_a_login_that_cannot_be_renewed_is_told_as_such_and_ends(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    authorization.lasting = False
    done = log_in(home, authorization)
    assert done.returncode == 0, done.stderr
    assert "the provider gave no refresh token" in done.stderr
    home.well("pull")
    authorization.end(authorization.issued[-1].access_token)
    done = home.run("pull")
    assert done.returncode == 12
    assert "(the provider gave no refresh token); run `mailsync login work`" in done.stderr


class Elsewhere:
    """Somebody with another device, who does as told with the code."""

    def __init__(self, does: Callable[[str], object]) -> None:
        self.does = does

    def visit(self, *_: object) -> None:
        raise AssertionError

    paste: Any = visit

    def enter(self, username: str, url: str, code: str, seconds: int) -> None:
        assert seconds == 1800
        assert url.endswith("/activate")
        assert username == "alice"
        self.does(code)


def device_client(home: Home, house: AuthorizationServer, server: Dovecot) -> RegisteredClient:
    configured(home, house, server, 0)
    login = Accounts(None, {}, home.directory, home.directory).one("work").settings
    assert isinstance(login, ImapAccount)
    assert isinstance(login.oauth2, ClientSettings)
    return registered("work", login.oauth2, login, {})


def test_a_device_that_is_asked_to_slow_down_does_so_until_somebody_says_yes(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    client = device_client(home, authorization, token_dovecot)
    waits: list[float] = []
    answers = ["slow_down", "authorization_pending"]
    codes: list[str] = []

    def asked() -> Response | None:
        if answers:
            return Response(json.dumps({"error": answers.pop(0)}), 400)
        authorization.approved[codes[0]] = ("alice", True)
        return None

    authorization.interfere = asked
    tokens = by_device(client, Elsewhere(codes.append), "alice", sleep=waits.append)
    assert authorization.token_of(tokens.access_token)
    assert waits == [1, 6, 6]


def test_a_device_whose_code_is_refused_or_forgotten_gives_up(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    client = device_client(home, authorization, token_dovecot)

    def deny(code: str) -> None:
        authorization.approved[code] = ("alice", False)

    with pytest.raises(AuthenticationFailed, match="access_denied"):
        by_device(client, Elsewhere(deny), "alice", sleep=lambda _: None)
    now = [0.0]

    def later(_: float) -> None:
        now[0] += 600

    with pytest.raises(AuthenticationFailed, match="nobody typed the code"):
        by_device(client, Elsewhere(str), "alice", sleep=later, clock=lambda: now[0])
    without = replace(client, device_url="")
    with pytest.raises(ConfigError, match="--paste"):
        by_device(without, Elsewhere(str), "alice")


def test_a_browser_that_never_comes_back_is_not_waited_for_without_end(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    client = device_client(home, authorization, token_dovecot)
    seen: list[str] = []

    class Nobody(Elsewhere):
        def visit(self, *told: object) -> None:
            url = str(told[1])
            seen.append(url)
            back = dict(parse_qsl(urlsplit(url).query))["redirect_uri"]
            for query in ("", "/?code=x", "/?code=x&state=y", "/elsewhere?code=x"):
                # Whoever else finds the port gets nothing, and ends nothing.
                with pytest.raises(HTTPError, match="404"):
                    urllib.request.urlopen(f"{back}{query}")

    with pytest.raises(AuthenticationFailed, match="nobody logged in within"):
        by_browser(client, Nobody(str), "alice", patience=0.1)
    assert "code_challenge_method=S256" in seen[0]


def test_a_provider_that_never_answers_is_given_up(
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailsync.config.oauth.endpoint.TIMEOUT", 0.2)
    monkeypatch.setattr("mailsync.stores.retry.backoff", lambda *_: 0.0)
    user = configured(home, authorization, token_dovecot, 0)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    over = threading.Event()

    def never() -> None:
        over.wait(30)

    authorization.interfere = never
    done = home.run("check", "work")
    over.set()
    assert done.returncode == 75
    assert "was silent" in done.stderr


def test_a_login_is_kept_though_the_mail_server_is_away(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = configured(home, authorization, token_dovecot)
    settings = account(token_dovecot, user, oauth2(authorization))
    (closed,) = free_ports(1)
    home.configure(work=settings.replace(str(token_dovecot.imap_port), str(closed)))
    done = log_in(home, authorization)
    assert done.returncode == 1
    assert "the login is kept, but could not be tried" in done.stderr
    home.configure(work=settings)
    home.well("pull")


def test_logout_ends_the_login_here_and_there(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    configured(home, authorization, token_dovecot)
    log_in(home, authorization)
    assert "here and at the provider" in home.well("logout", "work")
    assert authorization.issued[-1].revoked
    assert home.run("pull").returncode == 12
    assert "was not logged in" in home.well("logout", "work")


def test_a_provider_that_cannot_be_told_is_named_and_the_login_forgotten(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = filled(token_dovecot, 1)
    (closed,) = free_ports(1)
    settings = oauth2(authorization).replace(
        f"{authorization.url}/revoke", f"https://localhost:{closed}/revoke"
    )
    home.configure(work=account(token_dovecot, user, settings))
    logged_in(home, authorization, user)
    done = home.run("logout", "work")
    assert done.returncode == 3
    assert "the provider was not told" in done.stderr
    assert home.run("pull").returncode == 12


def test_a_program_of_ones_own_may_print_the_tokens(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = filled(token_dovecot, 2)
    token = home.directory / "token"
    token.write_text(authorization.issue(user).access_token + "\n")
    home.configure(work=account(token_dovecot, user, "{token: {command: cat token}}"))
    home.well("pull")
    assert len(home.archived("work")) == 2
    token.write_text("not-a-token\n")
    done = home.run("pull")
    assert done.returncode == 12
    assert "see what the `token` of work comes from" in done.stderr
    assert home.run("login", "work").returncode == 2


def test_an_application_opens_a_mailbox_without_anybodys_login(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = filled(token_dovecot, 2)
    authorization.app_mailbox = user
    authorization.clients["app"] = Client("app", "app-secret")
    settings = (
        "{client_id: app, client_secret: {env: PASSWORD}, grant: client-credentials,"
        f" token_url: '{authorization.url}/token', scopes: mail/.default}}"
    )
    home.configure(work=account(token_dovecot, user, settings))
    refused = home.run("pull")
    assert refused.returncode == 12
    assert "check `client_id` and `client_secret`" in refused.stderr
    authorization.clients["app"].secret = "secret"
    home.well("pull")
    assert len(home.archived("work")) == 2
    assert not (home.directory / ".local").exists()


@pytest.fixture(scope="module")
def key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def test_a_service_account_stands_for_the_people_of_its_domain(
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
    key_pair: tuple[str, str],
) -> None:
    user = filled(token_dovecot, 2)
    email = "mover@project.example"
    authorization.clients[email] = Client(email, public_key=key_pair[1])
    key = {
        "client_email": email,
        "private_key": key_pair[0],
        "token_uri": f"{authorization.url}/token",
    }
    (home.directory / "key.json").write_text(json.dumps(key))
    settings = "{service_account: key.json}"
    home.configure(
        work=account(token_dovecot, user, settings),
        other=account(token_dovecot, "stranger", settings),
    )
    home.well("pull", "work")
    assert len(home.archived("work")) == 2
    (asked,) = authorization.asked
    assert asked["scope"] == "https://www.googleapis.com/auth/gmail.imap_admin"
    refused = home.run("pull", "other")
    assert refused.returncode == 12
    assert key_pair[0] not in refused.stderr


def with_service_account(home: Home, server: Dovecot, private_key: str) -> None:
    key = {
        "client_email": "a@b.example",
        "token_uri": "https://localhost:1/token",
        "private_key": private_key,
    }
    (home.directory / "key.json").write_text(json.dumps(key))
    home.configure(work=account(server, "alice", "{service_account: key.json}"))


def test_a_service_account_without_the_package_it_needs_is_told(
    home: Home,
    token_dovecot: Dovecot,
    key_pair: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_service_account(home, token_dovecot, key_pair[0])
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.setitem(sys.modules, "jwt.exceptions", None)
    done = home.run("pull")
    assert done.returncode == 2
    assert "pip install 'mailsync-archive[service-account]'" in done.stderr


@pytest.mark.parametrize("key", ["no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "", "\0"])
def test_a_key_that_is_none_is_told_and_not_shown(
    key: str, home: Home, token_dovecot: Dovecot
) -> None:
    with_service_account(home, token_dovecot, key)
    done = home.run("pull")
    assert done.returncode == 2
    assert "cannot be used: download a new one" in done.stderr
    assert "AAAA" not in done.stderr


def test_a_key_file_that_is_none_is_told(home: Home, token_dovecot: Dovecot) -> None:
    (home.directory / "key.json").write_text("[]")
    home.configure(work=account(token_dovecot, "alice", "{service_account: key.json}"))
    done = home.run("pull")
    assert done.returncode == 2
    assert "is no key of a service account" in done.stderr


def test_a_migration_between_two_accounts_with_tokens_is_proved(
    home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    old, new = filled(token_dovecot, 5), token_dovecot.user()
    home.configure(
        old=account(token_dovecot, old, oauth2(authorization), "pop3"),
        new=account(token_dovecot, new, oauth2(authorization)),
    )
    for user in (old, new):
        keep(home, authorization, authorization.issue(user))
    assert "proved" in home.well("migrate", "old", "new")
    assert len(arrived(token_dovecot, new)) == 5


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (Response("{}", 503), 75, "has no time to give out tokens"),
        (Response("<html>", 200), 16, "something else than a token"),
        (Response('{"access_token": 5}', 200), 16, "something else than a token"),
        (Response("[]", 400), 16, "something else than a token"),
        (Response("", 307, {"Location": "https://localhost:1/"}), 16, "points elsewhere"),
        (Response('{"error": "temporarily_unavailable"}', 400), 75, "gives out no tokens now"),
        (Response('{"error": "unauthorized_client"}', 400), 12, "the client may not do this"),
    ],
)
def test_whatever_keeps_a_provider_from_giving_tokens_is_told_as_it_is(
    answer: Response,
    code: int,
    said: str,
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailsync.stores.retry.backoff", lambda *_: 0.0)
    user = configured(home, authorization, token_dovecot, 0)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    authorization.interfere = lambda: answer
    done = home.run("check", "work")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    authorization.interfere = lambda: None
    home.well("check", "work")


def test_a_provider_whose_certificate_nobody_vouches_for_gets_no_secret(
    home: Home,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = configured(home, authorization, token_dovecot, 0)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    monkeypatch.delenv("SSL_CERT_FILE")
    done = home.run("check", "work")
    assert done.returncode == 14
    assert "cannot be trusted" in done.stderr
    assert authorization.asked == []


@pytest.mark.parametrize("kind", ["socks5", "http"])
def test_tokens_are_asked_for_through_the_proxy_of_the_account(
    kind: str, home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = configured(home, authorization, token_dovecot, 0)
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    hosts = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1"}
    with RecordingProxy(hosts) as proxy:
        home.configure(
            work=f"protocol: imap, host: localhost, port: {token_dovecot.imaps_port},"
            f" ca_file: '{token_dovecot.ca_file}', username: {user},"
            f" oauth2: {oauth2(authorization)}, proxy: '{kind}://127.0.0.1:{proxy.port}'"
        )
        home.well("check", "work")
    assert ("localhost", urlsplit(authorization.url).port) in proxy.asked


LONG = base64.urlsafe_b64encode(random.Random(7).randbytes(1_100)).decode()
BEARER = "oauth2: {token: {env: SECRET}}"


@examples
@given(
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["NO", "BAD", "BYE", "ALERT", "EXAMINE", "AUTH", "RETR"]),
)
def test_a_server_that_repeats_the_token_gets_it_told_nowhere(form: str, place: str) -> None:
    """On no path: neither screen with its traceback, nor JSON, nor catalogue."""
    said = FORMS[form](LONG)
    before = b"you said "
    if place in {"AUTH", "RETR"}:

        def repeat(talk: Conversation, line: bytes) -> bool:
            if not line.startswith(place.encode()):
                if not line.startswith(b"AUTH"):
                    return False
                talk.line("+ ")
                talk.readline()
                talk.line("+OK")
                return True
            talk.send(b"-ERR " + before + said + b"\r\n")
            return True

        capabilities = ["UIDL", "TOP", "SASL XOAUTH2"]
        drop = Drop([(b"u1", plain(1))], capabilities, override=repeat)
        everything = told("pop3", drop, LONG, secret=BEARER)
    else:
        server = imap_that_says(before + said, place)
        server.capability = "IMAP4rev1 AUTH=XOAUTH2 SASL-IR NAMESPACE LIST-EXTENDED LIST-STATUS"
        if place == "EXAMINE":
            server.on = {"EXAMINE": server.on["AUTHENTICATE"]}
        everything = told("imap", server, LONG, secret=BEARER)
    assert "you said" in everything
    assert "***" in everything
    for piece in (LONG[:40], LONG[500:540], LONG[-40:], said[:60].decode("utf-8", "replace")):
        assert piece.lower() not in everything.lower()


@pytest.mark.parametrize("form", ["as it is", "as JSON", "in base64", "in hexadecimal"])
def test_a_provider_that_repeats_what_it_was_sent_gets_it_told_nowhere(
    form: str, home: Home, authorization: AuthorizationServer, token_dovecot: Dovecot
) -> None:
    user = filled(token_dovecot, 0)
    settings = oauth2(authorization, ", client_secret: {env: PASSWORD}")
    home.configure(work=account(token_dovecot, user, settings))
    one = logged_in(home, authorization, user)
    authorization.end(one.access_token)
    secrets = [one.refresh_token, "secret"]
    said = " ".join(FORMS[form](secret).decode("utf-8", "replace") for secret in secrets)
    authorization.interfere = lambda: Response(
        json.dumps({"error": "invalid_grant", "error_description": f"you sent {said}"}), 400
    )
    for command in (["--debug", "pull"], ["pull", "--json"]):
        done = home.run(*command)
        assert done.returncode == 12
        everything = done.stdout + done.stderr
        assert "you sent" in everything
        assert one.refresh_token.lower() not in everything.lower()
        assert FORMS[form](one.refresh_token).decode()[:40].lower() not in everything.lower()
