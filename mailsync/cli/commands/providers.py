"""`mailsync providers`: what is known of the providers of mail."""

from __future__ import annotations

import click

from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.cli.tables import table
from mailsync.config.providers import SIGN_IN_WORDS, Provider, named, providers
from mailsync.errors import ConfigError

_IN_TABLE = {
    "password": "password",
    "app-password": "app password",
    "own-password": "own password",
    "oauth2": "browser (OAuth2)",
    "none": "not possible",
}


@click.command("providers")
@click.argument("name", required=False, metavar="[NAME]")
@options.common
@click.pass_obj
def command(session: Session, /, name: str | None) -> int:
    """List the mail providers that mailsync knows, or tell about one.

    NAME is a name such as gmail or gmx, a domain, or an e-mail address. The table comes with
    mailsync; nothing is looked up on the network. Any other provider works as well: `mailsync init`
    finds its servers, or asks for them.
    """
    found = named(name) if name else list(providers())
    if not found:
        raise ConfigError(
            "no provider of that name is in the table; `mailsync init ADDRESS` looks further"
        )
    if session.json:
        exits.print_json(session, 0, {"providers": [_as_json(one) for one in found]})
    elif len(found) == 1 and name:
        _tell(found[0])
    else:
        _list(found)
    return 0


def _list(found: list[Provider]) -> None:
    rows = [
        [
            one.name,
            one.domains[0] + (f" +{len(one.domains) - 1}" if len(one.domains) > 1 else ""),
            " ".join(dict.fromkeys(server.protocol.upper() for server in one.servers)) or "-",
            _IN_TABLE[one.sign_in],
        ]
        for one in found
    ]
    click.echo(table(rows, ["provider", "addresses", "speaks", "sign-in"], "llll", drop=["speaks"]))
    say("\n`mailsync providers NAME` tells more about one.")


def _tell(one: Provider) -> None:
    say(click.style(one.name, bold=True))
    rows = [("addresses", _domains(one))]
    rows += [(server.protocol.upper(), server.url) for server in one.servers]
    if one.servers:
        local = one.servers[0].username == "{local}"
        rows.append(("user name", "what stands before the @" if local else "the whole address"))
    words = SIGN_IN_WORDS[one.sign_in]
    if one.tokens and one.sign_in != "oauth2":
        words += "; OAuth2 as well"
    rows.append(("sign-in", words))
    if one.connections:
        rows.append(("connections", f"{one.connections} at once for one account"))
    rows += [
        (what, page)
        for what, page in (
            ("make it at", one.password_page),
            ("switch it on", one.enable_page),
            ("its own help", one.help_page),
        )
        if page
    ]
    for what, text in rows:
        say(f"  {what + ':':<14}{text}")
    for note in one.notes:
        say(f"  - {note}")
    where = "Thunderbird's ISPDB (MPL-2.0)" if one.source == "ISPDB" else "mailsync's own table"
    say(f"  (servers from {where})")


def _domains(one: Provider) -> str:
    shown = ", ".join(one.domains[:4])
    return f"{shown} and {len(one.domains) - 4} more" if len(one.domains) > 4 else shown


def _as_json(one: Provider) -> dict[str, object]:
    return {
        "key": one.key,
        "name": one.name,
        "domains": list(one.domains),
        "servers": [
            {
                "protocol": server.protocol,
                "host": server.host,
                "port": server.port,
                "security": server.security,
                "username": server.username,
            }
            for server in one.servers
        ],
        "sign_in": one.sign_in,
        "oauth2": one.tokens,
        "password_page": one.password_page or None,
        "enable_page": one.enable_page or None,
        "help_page": one.help_page or None,
        "connections": one.connections,
        "notes": list(one.notes),
        "source": one.source,
    }
