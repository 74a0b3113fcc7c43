"""A person tidies the new server between two migrations: nothing of it is undone, and what is said
of it is the case.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Mail
from tests.system.cli_home import Home


def account(port: int) -> str:
    return (
        f"protocol: imap, host: 127.0.0.1, port: {port}, security: none, username: {liar.USER},"
        f" password: {liar.PASSWORD}"
    )


def filled() -> Mail:
    mail = Mail()
    for number in range(8):
        mail.put(b"INBOX" if number < 3 else b"Tax papers", plain(number))
    return mail


def command_in(said: str) -> list[str]:
    """The words of the first restore command that a text offers."""
    return shlex.split(" ".join(said.split()).partition("`mailsync ")[2].partition("`")[0])


def test_the_command_that_is_offered_for_a_mailbox_made_anew_brings_it_back(
    tmp_path: Path,
) -> None:
    home, old, new = Home(tmp_path), filled(), Mail()
    (tmp_path / "secret").write_text(liar.PASSWORD)
    with liar.imap(old) as source, liar.imap(new) as there:
        home.configure(a=account(source.port))
        url = f"imap://{liar.USER}@127.0.0.1:{there.port}"
        given = ("--destination-password-file", "secret", "--into", "From a")
        home.well("migrate", "a", url, *given)
        everything = new.contents()
        box = new.boxes[b"From a/Tax papers"]
        box.messages.clear()
        box.validity += 1
        second = home.run("migrate", "a", url, *given)
        assert "! Tax papers: From a/Tax papers was made anew" in second.stderr
        command = command_in(second.stderr)
        home.well(*command, "--password-file", "secret")
    assert new.contents() == everything


def test_mailboxes_deleted_or_renamed_there_stay_so_and_are_told_of_as_the_case_is(
    tmp_path: Path,
) -> None:
    home, old, new = Home(tmp_path), filled(), Mail()
    with liar.imap(old) as source, liar.imap(new) as there:
        home.configure(a=account(source.port), n=account(there.port))
        home.well("migrate", "a", "n")
        del new.boxes[b"Tax papers"]
        plan = home.well("migrate", "a", "n", "--dry-run")
        assert "would be made" not in plan, plan
        second = home.run("migrate", "a", "n")
        assert second.returncode == 0, second.stdout + second.stderr
        said = " ".join((second.stdout + second.stderr).split())
        assert "Tax papers was deleted or renamed on the destination since" in said
        assert "tries again" not in said
        assert "but for 5 that" in said
        assert b"Tax papers" not in new.boxes
        third = home.well("migrate", "a", "n")
        assert "deleted or renamed" not in third
        assert b"Tax papers" not in new.boxes
        old.put(b"Tax papers", plain(99))
        home.well("migrate", "a", "n")
        assert [one.content for one in new.boxes[b"Tax papers"].messages] == [plain(99)]
        home.well(*command_in(second.stdout + second.stderr))
    assert new.contents() == old.contents()
