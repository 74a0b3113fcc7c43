"""A program brings, sends and reads mail by the Python API, without the command line."""

from __future__ import annotations

from pathlib import Path

from mailsync.app import listing
from mailsync.app.accounts import Accounts, Login
from mailsync.app.migrate import migrate
from mailsync.app.pull import pull
from mailsync.app.push import push, restore
from mailsync.app.requests import (
    ListRequest,
    MigrateRequest,
    PullRequest,
    PushRequest,
    RestoreRequest,
)
from mailsync.progress import Silence
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import Home, filled, imap


def secret(_: Login) -> str:
    return "secret"


def accounts(tmp_path: Path, dovecot: Dovecot) -> Accounts:
    home = Home(tmp_path)
    home.configure(old=imap(dovecot, filled(dovecot)), new=imap(dovecot, dovecot.user()))
    return Accounts(tmp_path / "mailsync.yaml", {}, tmp_path, tmp_path)


def test_a_program_pulls_pushes_and_restores_and_reads_what_came_of_it(
    tmp_path: Path, dovecot: Dovecot
) -> None:
    found = accounts(tmp_path, dovecot)
    old, new = found.one("old"), found.one("new")
    (pulled,) = pull(PullRequest([old]), secret, Silence())
    would = push(PushRequest(old, new, dry_run=True), secret, Silence())
    sent = push(PushRequest(old, new), secret, Silence())
    again = restore(RestoreRequest(old, new), secret, Silence())
    assert [(run.complete, run.total.new) for run in (pulled, would, sent, again)] == [
        (True, 5),
        (True, 5),
        (True, 5),
        (True, 0),
    ]
    with listing.opened(ListRequest(old)) as shown:
        assert len(list(shown.messages(("INBOX",)))) == 5


def test_a_program_migrates_and_is_shown_the_proof(tmp_path: Path, dovecot: Dovecot) -> None:
    found = accounts(tmp_path, dovecot)
    request = MigrateRequest(found.one("old"), found.one("new"))
    pulled, pushed = migrate(request, secret, Silence(), Silence())
    assert (pulled.total.new, pushed.total.new) == (5, 5)
    assert [one.found for one in pushed.proof if one.at_source] == [5]
