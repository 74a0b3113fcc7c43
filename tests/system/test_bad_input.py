"""What goes wrong in a user's life, and what the command says to it: the exit code, words that
help, and nothing lost.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests import messages
from tests.servers import dovecot as dovecots
from tests.servers.cutter import Cut, Cutter
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Conversation, Scripted
from tests.system.cli_home import Home, arrived, filled, imap, pop3


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def settings(protocol: str, port: int, more: str) -> str:
    return (
        f"protocol: {protocol}, host: localhost, port: {port}, username: alice, password: {{env:"
        f" PASSWORD}}, {more}"
    )


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_an_unknown_host_is_named_with_what_to_check(home: Home, protocol: str) -> None:
    home.configure(
        a=(
            f"protocol: {protocol}, host: no-such-host.invalid, username: alice, password: {{env:"
            " PASSWORD}"
        )
    )
    done = home.run("pull")
    assert done.returncode == 1
    assert "unknown host 'no-such-host.invalid'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_silent_server_is_given_up_after_the_timeout(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        accounts = {
            name: settings(name, port, "security: none, timeout: 0.2") for name in ("imap", "pop3")
        }
        home.configure(**accounts)
        # Both wait between their attempts, beside each other.
        waiting = [home.start("check", name) for name in accounts]
        for process in waiting:
            _, said = process.communicate(timeout=100)
            assert process.returncode == 75
            assert "was silent for 0.2 s" in said


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("expired", "has expired"),
        ("wrong_name", "not for 'localhost'"),
        ("untrusted", "nobody this machine trusts"),
    ],
)
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_certificate_that_is_not_right_ends_with_14_and_says_why(
    home: Home, protocol: str, certificate: str, words: str
) -> None:
    with dovecots.start(certificate=certificate) as server:
        port = server.imaps_port if protocol == "imap" else server.pop3s_port
        trust = "" if certificate == "untrusted" else f"ca_file: {server.ca_file}"
        home.configure(a=settings(protocol, port, f"security: tls{', ' if trust else ''}{trust}"))
        done = home.run("pull")
    assert done.returncode == 14
    assert words in done.stderr
    assert "secret" not in done.stderr


def test_a_server_without_encryption_hears_no_password(home: Home) -> None:
    def imap_server(talk: Conversation) -> None:
        talk.line("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello")
        talk.silence()

    def pop3_server(talk: Conversation) -> None:
        talk.line("+OK hello")
        talk.expect("STLS")
        talk.line("-ERR unknown command")
        talk.silence()

    for protocol, dialogue in (("imap", imap_server), ("pop3", pop3_server)):
        with Scripted(dialogue) as server:
            home.configure(a=settings(protocol, server.port, "security: starttls"))
            done = home.run("pull")
            assert done.returncode == 14, done.stderr
            assert b"secret" not in b"".join(server.heard)
        assert "nothing was sent" in done.stderr


def test_a_message_the_destination_refuses_is_named_and_the_rest_goes_through(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot, 3)
    dovecot.deliver(user, "INBOX", b"Subject: far too long\r\n\r\n" + b"x" * 3_000_000)
    limit = (
        "mail_plugins = quota\nplugin {\n quota = count:User quota\n quota_vsizes = yes\n"
        " quota_max_mail_size = 1M\n}\n"
    )
    with dovecots.start(extra=limit) as tight:
        other = tight.user()
        home.configure(old=imap(dovecot, user), new=imap(tight, other))
        home.well("pull", "old")
        done = home.run("push", "old", "new")
        assert done.returncode == 3, done.stderr
        assert "far too long" in done.stderr
        assert len(arrived(tight, other)) == 3


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_connection_cut_in_the_middle_of_a_message_leaves_nothing_half_written(
    dovecot: Dovecot, home: Home, protocol: str
) -> None:
    mail = [
        content
        for content in messages.varied(60, seed=5, with_ugly=False)
        if content.endswith(b"\r\n")
    ]
    user = dovecot.user()
    for content in mail:
        dovecot.deliver(user, "INBOX", content)
    octets = sum(len(content) for content in mail)
    rng = random.Random(protocol)
    cuts = [Cut(rng.randrange(2000, octets), connection=connection) for connection in range(1, 6)]
    with Cutter(dovecot.imap_port if protocol == "imap" else dovecot.pop3_port, *cuts) as line:
        home.configure(
            a=(
                f"protocol: {protocol}, host: 127.0.0.1, port: {line.port}, security: none,"
                f" username: {user}, password: {{env: PASSWORD}}"
            )
        )
        first = home.run("pull", "a")
        assert all(content in mail for content in home.archived("a"))
        for _ in range(5):
            if first.returncode == 0:
                break
            first = home.run("pull", "a")
    assert first.returncode == 0, first.stderr
    assert home.archived("a") == sorted(mail)
    home.well("verify")


def test_a_mailbox_that_vanishes_while_it_is_pulled_is_named_and_the_others_come(
    home: Home,
) -> None:
    def vanishing(talk: Conversation) -> None:
        talk.line("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
        while True:
            command = talk.command()
            name = command.name
            if name == "LIST":
                talk.line('* LIST () "/" INBOX', '* LIST () "/" Gone')
            if name == "EXAMINE" and b"Gone" in command.text:
                talk.line(f"{command.tag} NO [NONEXISTENT] no such mailbox")
                continue
            if name == "EXAMINE":
                talk.line("* 0 EXISTS", "* OK [UIDVALIDITY 1] x", "* OK [UIDNEXT 1] x")
            talk.line(f"{command.tag} OK done")

    with Scripted(vanishing) as server:
        home.configure(a=settings("imap", server.port, "security: none"))
        done = home.run("pull")
    assert done.returncode == 0, done.stderr
    assert "Gone: is in the server's list but not there" in done.stdout


def test_a_deleted_parent_that_dovecot_goes_on_listing_is_gone_and_can_be_restored(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot, 2)
    for number in range(30):
        dovecot.deliver(user, "Projects", messages.plain(100 + number))
    dovecot.deliver(user, "Projects/2024", messages.plain(200))
    home.configure(a=imap(dovecot, user))
    home.well("pull")
    with IMAPClient("127.0.0.1", dovecot.imap_port, ssl=False) as client:
        client.login(user, dovecot.password)
        client.delete_folder("Projects")
    assert home.run("-q", "pull").returncode == 5
    assert home.run("pull").returncode == 0
    home.well("restore", "a", "--mailbox", "Projects", "--include-gone")
    assert len(dovecot.messages(user, "Projects")) == 30


def test_a_mailbox_nobody_has_is_no_success(dovecot: Dovecot, home: Home) -> None:
    home.configure(a=imap(dovecot, filled(dovecot, 2)))
    for command in (["pull"], ["pull", "--dry-run"]):
        done = home.run(*command, "--mailbox", "Bogus")
        assert done.returncode == 4
        assert "no mailbox of a matches Bogus; there is: " in done.stderr


def test_pop3_and_imap_of_one_mailbox_share_an_archive_and_nothing_is_fetched_twice(
    dovecot: Dovecot, home: Home
) -> None:
    user = filled(dovecot, 20)
    home.configure(
        pop=pop3(dovecot, user) + ", archive: both", imap=imap(dovecot, user, ", archive: both")
    )
    home.well("pull", "pop")
    report = home.well("pull", "imap", "--json")
    assert '"matched": 20' in report
    assert len(home.archived("both")) == 20
