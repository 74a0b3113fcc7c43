"""`mailsync certificate`: look at a server's certificate, and keep it as one to trust."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Final

import click

from mailsync.app.accounts import Trust
from mailsync.app.door import Shown, certificate, name_to_use
from mailsync.cli import exits, options
from mailsync.cli.lines import say
from mailsync.cli.session import Session
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain

TYPED_BACK: Final = 8
"""How many digits of a fingerprint are to be typed by a person who compared the whole."""

ROW: Final = 8 * 3
"""Characters of it in a row, so that narrow terminals show it."""


@click.command("certificate")
@click.argument("account")
@click.option(
    "--save",
    "kept",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the certificate in FILE, for --ca-file, once you confirm its fingerprint.",
)
@click.option(
    "--fingerprint",
    metavar="SHA256",
    help="Confirm it so where nobody can be asked: the fingerprint as the server's owner tells it.",
)
@options.certificate()
@options.common
@click.pass_obj
def command(
    session: Session,
    /,
    account: str,
    *,
    kept: Path | None,
    fingerprint: str | None,
    **chosen: Any,  # noqa: ANN401  click's values are untyped
) -> int:
    """Show the certificate of ACCOUNT's server, and whether it is trusted.

    ACCOUNT is a configured name or a URL. Nobody logs in, and nothing else is sent. A server of
    your own whose certificate nobody else signed is trusted by that very certificate: keep it with
    --save, after comparing the fingerprint with what the server itself or its owner tells, and name
    the file with --ca-file (or `ca_file:` in the configuration) from then on.

    Ends with exit code 14 if the certificate is not trusted.
    """
    login = session.accounts().one(account, trust=options.trust(chosen))
    found = certificate(login)
    if not session.json:
        _print(found)
    if kept is None:
        code = found.exit_code
    else:
        _confirm(found, fingerprint)
        kept.write_text(found.certificate.pem)
        trust = Trust(kept)
        name = name_to_use(login, trust, found.certificate.names)
        code = 0
        if not session.json:
            _print_kept(kept, name)
    if session.json:
        exits.print_json(session, code, {"certificate": found.as_json()})
    return code


def _print(found: Shown) -> None:
    shown = found.certificate
    digits = shown.fingerprint
    rows = [digits[start : start + ROW].rstrip(":") for start in range(0, len(digits), ROW)]
    say(f"{plain(found.server)} shows this certificate:")
    for what, said in (
        ("for", ", ".join(shown.names)),
        ("signed by", shown.issuer),
        ("valid until", shown.until),
        ("SHA-256", rows[0]),
        *(("", row) for row in rows[1:]),
    ):
        if said:
            say(f"  {what:<12} {plain(said)}")
    if found.distrust:
        say(f"{click.style('not trusted:', fg='red')} it {plain(found.distrust)}", err=True)
    else:
        say(f"{click.style('trusted:', fg='green')} {_why_trusted(found)}.")


def _why_trusted(found: Shown) -> str:
    why = "the CA file you named vouches for it" if found.by_file else "this machine trusts it"
    return f"{why}, under another name that you allow" if found.by_name else why


def _confirm(found: Shown, fingerprint: str | None) -> None:
    """Raise ConfigError unless the fingerprint is confirmed, by option or on the terminal."""
    whole = _digits(found.certificate.fingerprint)
    if fingerprint is None:
        if not sys.stdin.isatty():
            raise ConfigError(
                "nobody can be asked here whether the fingerprint is right: give the one that the"
                " server's owner tells with --fingerprint"
            )
        say(
            "Compare the SHA-256 with what the server itself, or its owner, tells. If it is the"
            f" same, type its last {TYPED_BACK} digits; anything else keeps nothing.",
            err=True,
        )
        fingerprint = click.prompt("Last digits", default="", show_default=False, err=True)
        right = _digits(fingerprint) in {whole, whole[-TYPED_BACK:]}
    else:
        right = _digits(fingerprint) == whole
    if not right:
        raise ConfigError("that is not the fingerprint of this certificate; nothing was kept")


def _digits(fingerprint: str) -> str:
    return fingerprint.lower().removeprefix("sha256:").replace(":", "").replace(" ", "")


def _print_kept(kept: Path, name: str) -> None:
    option = f"--ca-file {shlex.quote(str(kept))}" + (f" --tls-name {name}" if name else "")
    setting = f"ca_file: {kept}" + (f", tls_name: {name}" if name else "")
    say(f"{click.style('kept:', fg='green')} it is trusted with")
    say(f"  {plain(option)}")
    say(f"  or in a configuration {plain(setting)}")
    say("  (migrate: --source-ca-file …, --destination-ca-file …)")
