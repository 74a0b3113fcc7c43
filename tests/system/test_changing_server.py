"""A migration whose old server is in use meanwhile: mailboxes are renamed and messages moved while
they are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Exchange, Lie, Mail
from tests.system.cli_home import Home


def account(port: int, more: str = "") -> str:
    return (
        f"protocol: imap, host: 127.0.0.1, port: {port}, security: none, username: {liar.USER},"
        f" password: {liar.PASSWORD}{more}"
    )


def filled() -> Mail:
    mail = Mail()
    mail.put(b"INBOX", plain(1))
    for number in range(5):
        mail.put(b"Work", plain(10 + number))
    return mail


def rename(mail: Mail) -> None:
    box = mail.boxes.pop(b"Work")
    box.name = b"Projects"
    mail.boxes[b"Projects"] = box


def move(mail: Mail) -> None:
    mail.put(b"INBOX", mail.boxes[b"Work"].messages.pop().content)


@pytest.mark.parametrize(("change", "codes"), [(rename, (3, 0)), (move, (0, 0))])
def test_what_changes_its_place_while_it_is_migrated_is_moved_or_named(
    tmp_path: Path, change: Callable[[Mail], None], codes: tuple[int, int]
) -> None:
    home, old, new = Home(tmp_path), filled(), Mail()
    done: list[bool] = []

    def meanwhile(asked: Exchange) -> None:
        if asked.name == "EXAMINE" and b"Work" in asked.line and not done:
            done.append(True)
            change(old)

    lie = Lie("in use", "as it says", "imap", instead=meanwhile)
    with liar.imap(old, lie) as source, liar.imap(new) as destination:
        home.configure(a=account(source.port), n=account(destination.port, ", archive: unused"))
        first = home.run("migrate", "a", "n")
        assert first.returncode == codes[0], first.stdout + first.stderr
        assert ("! Projects: came to be" in first.stderr) == (change is rename)
        assert home.run("migrate", "a", "n").returncode == codes[1]
    assert done
    assert new.contents() == old.contents()


def test_what_changed_its_place_between_two_migrations_is_told_to_be_there_twice(
    tmp_path: Path,
) -> None:
    home, old, new = Home(tmp_path), filled(), Mail()
    old.put(b"Copies", plain(1))
    old.put(b"Copies", plain(2))
    with liar.imap(old) as source, liar.imap(new) as destination:
        home.configure(a=account(source.port), n=account(destination.port, ", archive: unused"))
        home.well("migrate", "a", "n")
        rename(old)
        old.put(b"Done", old.boxes[b"INBOX"].messages.pop().content)
        second = home.run("migrate", "a", "n").stderr
        assert "! Projects: 5 messages sent here had been sent to Work before" in second
        assert "! Done: 1 message sent here had been sent to INBOX before" in second
        assert "sent to Copies before" not in second
        old.put(b"Done", plain(2))
        assert "before and moved" not in home.run("migrate", "a", "n").stderr


def test_a_guess_of_pop3_changes_no_flag_that_imap_told(tmp_path: Path) -> None:
    home, old, new = Home(tmp_path), Mail(), Mail()
    for number in range(4):
        old.put(b"INBOX", plain(number), [b"\\Seen"] if number % 2 else [])
    with liar.pop3(old) as pop3, liar.imap(old) as source, liar.imap(new) as destination:
        shared = ", archive: shared"
        home.configure(
            a=account(source.port, shared),
            p=account(pop3.port, shared).replace("protocol: imap", "protocol: pop3"),
            n=account(destination.port, ", archive: unused"),
        )
        for name in ("a", "p", "a"):
            home.well("migrate", name, "n")
            read = [b"\\Seen" in message.flags for message in new.box(b"INBOX").messages]
            assert read == [False, True, False, True]
