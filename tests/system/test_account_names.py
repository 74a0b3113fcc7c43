"""Accounts that get another name, and destinations that get another port."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers import liar
from tests.servers.cutter import Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.liar import USER, Liar, Mail
from tests.system.cli_home import Home, filled, imap

PASSWORD = ("--password-env", "PASSWORD")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def liar_account(server: Liar) -> str:
    here = f"protocol: imap, host: 127.0.0.1, port: {server.port}, security: none"
    return f"{here}, username: {USER}, password: {{env: PASSWORD}}, backup: false"


def clear(dovecot: Dovecot, user: str) -> None:
    for part in ("cur", "new"):
        for file in (dovecot.folder(user, "INBOX") / part).iterdir():
            file.unlink()


def test_an_account_that_was_a_url_goes_on_under_its_configured_name(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot)
    where = f"imap://{user}@{dovecot.host}:{dovecot.imap_port}"
    home.well("pull", where, *PASSWORD)
    clear(dovecot, user)
    home.well("pull", where, *PASSWORD)

    home.configure(work=imap(dovecot, user))
    told = home.run("status", "work")
    assert told.returncode == 10
    name = f"imap://{user}@{dovecot.host}"
    assert f"`mailsync account rename {name} work`" in " ".join(told.stderr.split())
    said = home.well("account", "rename", where, "work")
    assert f"{where} is called work from now on" in said
    assert not list((home.directory / "mailsync-archive").iterdir())
    gone = home.well("list", "work", "--gone", "--mailbox", "INBOX")
    assert gone.count("Message number") == 5
    assert "nothing new" in home.well("pull", "work")


def test_a_first_pull_names_the_account_whose_history_its_new_name_hides(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot)
    home.configure(old=imap(dovecot, user), other=imap(dovecot, filled(dovecot)))
    home.well("pull")
    home.configure(new=imap(dovecot, user))
    done = home.run("-q", "pull", "new")
    said = " ".join(done.stderr.split())
    assert (done.returncode, done.stdout) == (0, "")
    assert "holds mail of the same server and user under the name old" in said
    assert "`mailsync account rename old new`" in said
    assert "under the name other" not in said
    assert not home.run("-q", "pull", "new").stderr

    assert "was put aside" in home.well("account", "rename", "old", "new")
    assert sorted(place.name for place in (home.directory / "mail").iterdir()) == [
        "new",
        "new.aside",
        "other",
    ]
    assert "nothing new" in home.well("pull", "new")


def test_accounts_that_share_an_archive_are_renamed_within_it(dovecot: Dovecot, home: Home) -> None:
    user = filled(dovecot)
    home.configure(old=imap(dovecot, user, ", archive: shared"))
    home.well("pull")
    home.configure(new=imap(dovecot, user, ", archive: shared"))
    listed = home.run("list", "new")
    assert (listed.returncode, "account rename old new" in " ".join(listed.stderr.split())) == (
        10,
        True,
    )
    home.well("account", "rename", "old", "new")
    assert "INBOX" in home.well("list", "new")
    unknown = home.run("account", "rename", "nobody", "new")
    assert (unknown.returncode, "no archive knows an account nobody" in unknown.stderr) == (
        10,
        True,
    )


def test_what_was_deleted_on_a_destination_stays_so_when_its_port_changes(
    dovecot: Dovecot, home: Home
) -> None:
    user, there = filled(dovecot), dovecot.user()
    settings = imap(dovecot, there, ", backup: false")
    home.configure(old=imap(dovecot, user), new=settings)
    home.well("pull", "old")
    home.well("push", "old", "new")
    folder = dovecot.folder(there, "INBOX")
    arrived = [file for part in ("cur", "new") for file in (folder / part).iterdir()]
    for file in arrived[1:]:
        file.unlink()
    dovecot.deliver(user, "INBOX", plain(77))
    home.well("pull", "old")
    with Cutter(dovecot.imap_port) as line:
        elsewhere = settings.replace(str(dovecot.imap_port), str(line.port))
        home.configure(old=imap(dovecot, user), new=elsewhere)
        said = " ".join(home.well("push", "old", "new", "--dry-run").split())
        assert f"this is the server that was at port {dovecot.imap_port}" in said
        assert "sent 1 message" in home.well("push", "old", "new")
    assert len(dovecot.messages(there)) == 2


@pytest.mark.parametrize("lives", [True, False])
def test_a_clone_at_another_port_is_not_taken_for_its_original(
    dovecot: Dovecot, home: Home, *, lives: bool
) -> None:
    first, clone = Mail(password="secret"), Mail(password="secret")
    for number in range(9):
        clone.put(b"INBOX", plain(100 + number))
    if not lives:
        # What tells nothing is no reason to believe it either.
        clone.box(b"INBOX").messages.clear()
    with liar.imap(first) as at, liar.imap(clone) as beside:
        home.configure(
            old=imap(dovecot, filled(dovecot)),
            new=liar_account(at),
            trial=liar_account(beside),
        )
        home.well("pull", "old")
        assert "sent 5 messages" in home.well("push", "old", "new")
        assert "sent 5 messages" in home.well("push", "old", "trial")
        assert "nothing new" in home.well("push", "old", "trial")


def test_another_server_at_another_port_of_the_same_host_gets_everything(
    dovecot: Dovecot, dovecot_poor: Dovecot, home: Home
) -> None:
    user, there = filled(dovecot), dovecot.user("same")
    home.configure(
        old=imap(dovecot, user), new=imap(dovecot, there), other=imap(dovecot_poor, there)
    )
    home.well("pull", "old")
    home.well("push", "old", "new")
    dovecot_poor.deliver(there, "INBOX", plain(99))
    assert "sent 5 messages" in home.well("push", "old", "other")


def test_an_archive_elsewhere_under_the_same_name_is_no_other_name(
    dovecot: Dovecot, home: Home
) -> None:
    home.configure(work=imap(dovecot, filled(dovecot)))
    home.well("pull", "--archive", "one", "work")
    done = home.run("pull", "--archive", "two", "work")
    assert done.returncode == 0
    assert "account rename" not in done.stdout + done.stderr
