"""`mailsync init`: from an e-mail address to a configuration that works."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mailsync import exit_codes
from mailsync.app import door
from mailsync.app.accounts import Login, proxied
from mailsync.app.discovery import Network, checked_address
from mailsync.app.pull import pull
from mailsync.app.requests import PullRequest
from mailsync.app.trial import Trial
from mailsync.cli import exits, options, outcome
from mailsync.cli import first_account as first
from mailsync.cli.bars import progress_for
from mailsync.cli.dialogue import Dialogue
from mailsync.cli.first_server import (
    PROTOCOLS,
    SECURITIES,
    Chosen,
    ServerOptions,
    by_hand,
    choose,
)
from mailsync.cli.lines import complain
from mailsync.cli.passwords import from_options
from mailsync.cli.session import Session
from mailsync.config import keyring
from mailsync.config.file import places
from mailsync.config.proxy import proxy_for
from mailsync.config.secrets import reveal
from mailsync.config.values import checked_globs, safe_name
from mailsync.config.writing import FirstAccount, composed, write_new
from mailsync.engine.report import Report
from mailsync.errors import ConfigError, StoreUnavailable
from mailsync.formats.terminal import plain

_GREETING = (
    "This sets up one mail account: where its mail is, where it is kept, and that it works."
    " Nothing changes on the server. Enter takes what stands in brackets. Ctrl-C ends it: nothing"
    " is written until it says so."
)


@click.command("init")
@click.argument("address", required=False, metavar="[ADDRESS]")
@click.option("--name", metavar="NAME", help="What the account is called here.")
@click.option("--protocol", type=click.Choice(PROTOCOLS), help="imap knows folders and flags.")
@click.option("--host", metavar="HOST", help="The server; without it, it is found out.")
@click.option("--port", metavar="PORT", type=click.IntRange(1, 65_535), help="Its port.")
@click.option("--security", type=click.Choice(SECURITIES), help="Default: tls.")
@click.option("--username", metavar="NAME", help="The login name. Default: mostly the address.")
@click.option(
    "--lookup/--no-lookup",
    default=None,
    help="Look for the servers of an unknown domain on the network, or do not.",
)
@click.option(
    "--trust-lookup", is_flag=True, help="Take what was found even where that is doubtful."
)
@options.login()
@click.option(
    "--password-keyring",
    metavar="SERVICE",
    help="The desktop's key ring holds the password, under SERVICE and the login name.",
)
@click.option(
    "--password-credential", metavar="NAME", help="systemd hands the password over as NAME."
)
@click.option(
    "--keep-password",
    type=click.Choice(["file", "keyring", "ask"]),
    help="Where a typed password is kept.",
)
@click.option(
    "--oauth2-client-id",
    metavar="ID",
    help="Microsoft: the client with which you sign in, by `mailsync login`.",
)
@click.option("--leave-out", metavar="GLOB", multiple=True, help="Mailboxes not to fetch.")
@click.option("--root", metavar="DIR", help="Where archives lie. Default: ~/mail-archive.")
@click.option("--at", metavar="HH:MM", help="Show the line with which cron pulls every night.")
@click.option("--pull/--no-pull", default=None, help="Fetch everything now, or do not.")
@click.option(
    "--print", "only_print", is_flag=True, help="Print the configuration and write nothing."
)
@options.common
@click.pass_obj
def command(session: Session, /, **chosen: Any) -> int:  # noqa: ANN401  click's values are untyped
    """Set up an account: from an e-mail address to a configuration that works.

    Asks for what it needs, tries the login, shows what there is, and writes the configuration
    (--config FILE, else ~/.config/mailsync/mailsync.yaml), which is never overwritten. Every
    question has an option that answers it; where there is no terminal, options and defaults are all
    there is.
    """
    return _Setup(session, chosen).run()


@dataclass(frozen=True, slots=True)
class _Kept:
    """How the password is configured, and what must be written for that before."""

    form: Mapping[str, str] | None
    file: Path | None = None
    in_keyring: bool = False


def _checked_glob(glob: str) -> object:
    return checked_globs((glob,))


class _Setup:
    """One way through the questions."""

    def __init__(self, session: Session, chosen: Mapping[str, Any]) -> None:
        self.session = session
        self.chosen = chosen
        attended = sys.stdin.isatty() and sys.stderr.isatty()
        self.dialogue = Dialogue(attended=attended, quiet=session.quiet)
        usual = places(session.environ, Path.cwd(), Path.home())[1]
        named = session.config or session.environ.get("MAILSYNC_CONFIG")
        self.path = Path(named).absolute() if named else usual
        self.usual = self.path == usual

    def run(self) -> int:
        """Ask, try, write; return the exit code."""
        self._refuse_to_overwrite()
        if self.dialogue.attended:
            self.dialogue.tell(_GREETING)
        address = self._address()
        server = self._server(address)
        server, login = self._reached(address, server)
        first.explain_sign_in(server.provider, self.dialogue)
        password = self._known(server)
        provider = server.provider
        if password is None and provider is not None and provider.sign_in == "oauth2":
            signed = first.client(self.chosen["oauth2_client_id"], provider, self.dialogue)
            return self._finish(address, server, None, signed)
        remember = self.session.passwords.add
        found = first.log_in(login, password, remember, self.dialogue)
        first.show_found(found.trial, self.dialogue)
        return self._finish(address, server, found, None)

    def _finish(
        self,
        address: str,
        server: Chosen,
        found: first.LoggedIn | None,
        oauth2: Mapping[str, str] | None,
    ) -> int:
        """Ask the rest, and write."""
        account, kept, root = self._answers(address, server, found, oauth2)
        text = composed(account, root)
        if self.chosen["only_print"]:
            click.echo(text, nl=False)
            return 0
        at = self._time() if account.secret or account.oauth2 else ""
        self._write(text, kept, server, found.password if found else "")
        return self._done(account, found, self._show_cron(at))

    def _refuse_to_overwrite(self) -> None:
        if not self.chosen["only_print"] and self.path.exists():
            raise ConfigError(
                f"there is a configuration at {self.path}, and it is not overwritten. For another"
                " account, add the lines that `mailsync init --print` shows; for another file, give"
                " --config FILE"
            )

    def _address(self) -> str:
        return self.dialogue.text(
            "E-mail address", checked_address, option="ADDRESS", given=self.chosen["address"]
        )

    def _server(self, address: str) -> Chosen:
        chosen = self.chosen
        given = ServerOptions(
            protocol=chosen["protocol"],
            host=chosen["host"],
            port=chosen["port"],
            security=chosen["security"],
            username=chosen["username"],
            look=chosen["lookup"],
            trust_look=chosen["trust_lookup"],
        )
        domain = address.rpartition("@")[2]
        return choose(
            address,
            given,
            lambda: Network(proxy_for(domain, self.session.environ)),
            self.dialogue,
        )

    def _reached(self, address: str, server: Chosen) -> tuple[Chosen, Login]:
        """Return a server that can be reached and trusted, perhaps another one than was found.

        Raises StoreUnavailable where nobody is there, or nobody knows another one.
        """
        while True:
            settings = first.settings_of(server, options.trust(self.chosen).said)
            login = proxied(Login(address, settings, Path()), self.session.environ)
            self.dialogue.tell(f"Connecting to {plain(server.host)} …")
            try:
                door.reach(login)
            except StoreUnavailable as error:
                if not self.dialogue.attended:
                    raise
                complain(plain(str(error)))
                if not self.dialogue.yes(
                    "Try another server?", given=None, default=True, unasked=False
                ):
                    raise
                server = by_hand(address, ServerOptions(), self.dialogue, server)
            else:
                return server, login

    def _known(self, server: Chosen) -> str | None:
        """Return the password that an option brings."""
        forms = ("command", "env", "file", "keyring", "credential")
        secret = from_options({form: self.chosen[f"password_{form}"] for form in forms})
        if secret is None:
            return None
        return reveal(secret, server.username, self.session.environ, server.username)

    def _answers(
        self,
        address: str,
        server: Chosen,
        found: first.LoggedIn | None,
        oauth2: Mapping[str, str] | None,
    ) -> tuple[FirstAccount, _Kept, str]:
        trial = found.trial if found else Trial(())
        out = first.left_out(self.chosen["leave_out"], trial, self.dialogue, _checked_glob)
        root = first.place(self.chosen["root"], Path.home(), trial.octets, self.dialogue)
        name = self.dialogue.text(
            "Name of the account",
            safe_name,
            option="--name",
            given=self.chosen["name"],
            default=address.rpartition("@")[2].partition(".")[0],
        )
        kept = _Kept(None) if oauth2 else self._kept(name)
        lines = first.lines_of(server)
        trusted = options.trust(self.chosen).said
        lines |= {key: str(value) for key, value in trusted.items()}
        lines |= self._proxy_line(server)
        return FirstAccount(name, lines, kept.form, out, oauth2), kept, root

    def _proxy_line(self, server: Chosen) -> dict[str, str | int]:
        """Return the proxy of the environment as a setting: cron knows none of this environment."""
        proxy = proxy_for(server.host, self.session.environ)
        if proxy is None:
            return {}
        if proxy.username is None:
            return {"proxy": str(proxy)}
        self.dialogue.tell(
            "The proxy of your environment has a login, which is not written down: where ALL_PROXY"
            " is not set, as in cron, add `proxy:` to the account."
        )
        return {}

    def _kept(self, name: str) -> _Kept:
        for form in ("command", "env", "keyring", "credential"):
            if self.chosen[f"password_{form}"] is not None:
                return _Kept({form: self.chosen[f"password_{form}"]})
        if self.chosen["password_file"] is not None:
            return _Kept({"file": str(Path(self.chosen["password_file"]).absolute())})
        if self.chosen["only_print"] and self.chosen["keep_password"] is None:
            return _Kept(None)
        way = first.keep_password(self.chosen["keep_password"], name, self.dialogue)
        if way == "file":
            file = self.path.parent / f"{name}.password"
            if file.exists() and not self.chosen["only_print"]:
                raise ConfigError(f"{file} is there already: give the account another --name")
            return _Kept({"file": file.name}, file)
        if way == "keyring":
            return _Kept({"keyring": f"mailsync {name}"}, in_keyring=True)
        return _Kept(None)

    def _write(self, text: str, kept: _Kept, server: Chosen, password: str) -> None:
        """Write the password first: a configuration that is there works."""
        if kept.in_keyring and kept.form:
            keyring.keep(kept.form["keyring"], server.username, password, server.username)
        if kept.file:
            write_new(kept.file, f"{password}\n")
        try:
            write_new(self.path, text)
        except ConfigError:
            if kept.file:
                kept.file.unlink(missing_ok=True)
            raise
        self.dialogue.tell(f"{click.style('Written:', fg='green')} {plain(str(self.path))}")

    def _done(
        self, account: FirstAccount, found: first.LoggedIn | None, nightly: str | None
    ) -> int:
        self.session.config = self.path
        login = self.session.accounts().one(account.name)
        reports: list[Report] = []
        if found is None:
            self.dialogue.tell(f"Next: `{self._line('login', account)}` signs you in.")
        elif self._wants_pull():
            request = PullRequest([login])
            watched = progress_for(self.session, sys.stderr)
            reports = list(pull(request, lambda _: found.password, watched))
        if self.session.json:
            code = exit_codes.of_accounts(report.exit_code for report in reports)
            exits.print_json(self.session, code, self._as_json(login, found, nightly, reports))
            return code
        if reports:
            return outcome.show(reports, self.session)
        self.dialogue.tell(f"Then `{self._line('pull', account)}` fetches everything.")
        return 0

    def _line(self, command: str, account: FirstAccount) -> str:
        return first.command_line(self.path, command, account.name, usual=self.usual)

    def _wants_pull(self) -> bool:
        return self.dialogue.yes(
            "Fetch everything now?", given=self.chosen["pull"], default=True, unasked=False
        )

    def _time(self) -> str:
        """Return when to pull every night, empty for not at all."""
        return self.dialogue.text(
            "Every night at (HH:MM, or no)",
            first.checked_time,
            option="--at",
            given=self.chosen["at"],
            default="no",
        )

    def _show_cron(self, at: str) -> str | None:
        if not at:
            return None
        line = first.cron_line(at, self.path, usual=self.usual)
        self.dialogue.tell("For that, add this line with `crontab -e`:")
        click.echo(line, err=True)
        return line

    def _as_json(
        self,
        login: Login,
        found: first.LoggedIn | None,
        nightly: str | None,
        reports: list[Report],
    ) -> dict[str, object]:
        return {
            "configuration": str(self.path),
            "account": login.name,
            "server": login.server,
            "archive": str(login.directory),
            "mailboxes": [
                {"mailbox": box.name, "messages": box.messages}
                for box in (found.trial.mailboxes if found else ())
            ],
            "cron": nightly,
            "reports": [report.as_json() for report in reports],
        }
