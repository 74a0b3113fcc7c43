"""The test servers keep their own promises; a fault that is not really planted proves nothing."""

from __future__ import annotations

import os
import poplib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from imapclient import IMAPClient

from tests.messages import plain, ugly, varied
from tests.servers import dovecot as dovecot_
from tests.servers.certificates import Certificates
from tests.servers.cutter import Cut, Cutter, Direction
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3
from tests.servers.processes import HOST, ROOT, ServerFailed
from tests.servers.pymap import Pymap
from tests.servers.scripted import Conversation, Scripted, Unexpected
from tests.servers.wan import Proxy


def bodies(host: str, port: int, user: str, password: str, mailbox: str = "INBOX") -> list[bytes]:
    with IMAPClient(host, port, ssl=False) as client:
        client.login(user, password)
        client.select_folder(mailbox, readonly=True)
        found = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [found[uid][b"BODY[]"] for uid in sorted(found)]


def test_the_same_seed_makes_the_same_messages_and_no_two_are_alike() -> None:
    messages = varied(400, seed=7)

    assert messages == varied(400, seed=7)
    assert len(set(messages)) == 400
    assert len(set(ugly().values())) == len(ugly())


def test_dovecot_serves_delivered_messages_in_order_with_flags_and_dates(dovecot: Dovecot) -> None:
    user = dovecot.user()
    dovecot.deliver(
        user, "INBOX", plain(1), flags={"\\Seen", "$Forwarded"}, internaldate=1_300_000_000
    )
    dovecot.deliver(user, "INBOX", plain(2), flags={"mine"}, internaldate=1_200_000_000)
    dovecot.deliver(user, "Ärger/Sub", plain(3))

    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as client:
        client.normalise_times = False
        client.login(user, dovecot.password)
        client.select_folder("INBOX", readonly=True)
        found = client.fetch([1, 2], ["FLAGS", "INTERNALDATE"])

    assert bodies(dovecot.host, dovecot.imap_port, user, dovecot.password) == [plain(1), plain(2)]
    assert bodies(dovecot.host, dovecot.imap_port, user, dovecot.password, "Ärger/Sub") == [
        plain(3)
    ]
    assert {b"\\Seen", b"$Forwarded"} <= set(found[1][b"FLAGS"])
    assert b"mine" in found[2][b"FLAGS"]
    assert [found[uid][b"INTERNALDATE"].timestamp() for uid in (1, 2)] == [
        1_300_000_000,
        1_200_000_000,
    ]


def test_a_masked_dovecot_announces_only_what_the_mask_says(
    dovecot_poor: Dovecot, dovecot_plain_uid: Dovecot
) -> None:
    announced = []
    for server in (dovecot_poor, dovecot_plain_uid):
        with IMAPClient(server.host, server.imap_port, ssl=False) as client:
            client.login(server.user(), server.password)
            announced.append(set(client.capabilities()))

    assert announced[0] == {b"IMAP4REV1"}
    assert not announced[1] & {b"MULTIAPPEND", b"LITERAL+", b"UIDPLUS"}
    assert b"CONDSTORE" in announced[1]


def test_a_dovecot_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerFailed, match="nonsense"), dovecot_.start(extra="nonsense = 1\n"):
        pass


def test_the_master_user_reads_a_mailbox_that_is_not_his(dovecot: Dovecot) -> None:
    user = dovecot.user()
    dovecot.deliver(user, "INBOX", plain(1))

    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as client:
        client.plain_login(dovecot.master_user, dovecot.master_password, user)
        assert client.folder_status("INBOX", ["MESSAGES"]) == {b"MESSAGES": 1}


def test_pymap_keeps_what_it_is_given_byte_for_byte(pymap_server: Pymap) -> None:
    with IMAPClient(pymap_server.host, pymap_server.port, ssl=False) as client:
        client.login(pymap_server.user, pymap_server.password)
        client.create_folder("exact")
        client.multiappend("exact", [plain(1), ugly()["every_octet"]])

    assert bodies(pymap_server.host, pymap_server.port, "demouser", "demopass", "exact") == [
        plain(1),
        ugly()["every_octet"],
    ]


def pop3(server: Pop3, *, apop: bool = False) -> poplib.POP3:
    client = poplib.POP3(server.host, server.port, timeout=10)
    try:
        if apop:
            client.apop(server.user, server.password)
        else:
            client.user(server.user)
            client.pass_(server.password)
    except poplib.error_proto:
        client.close()
        raise
    return client


def test_the_pop3_server_serves_and_deletes_files(pop3_server: Callable[..., Pop3]) -> None:
    server = pop3_server([plain(1), ugly()["dots"], ugly()["dot_at_the_end"]])
    server.add(plain(2), uidl="00000000-first")

    client = pop3(server)
    listed = client.uidl()[1]
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    got = [b"".join(line + b"\r\n" for line in client.retr(number)[1]) for number in range(1, 5)]
    top = client.top(2, 1)[1]
    client.dele(1)
    client.quit()

    assert listed == [b"1 00000000-first", b"2 00000001", b"3 00000002", b"4 00000003"]
    assert got == [plain(2), plain(1), ugly()["dots"], ugly()["dot_at_the_end"] + b"\r\n"]
    assert sizes == [len(content) for content in got]
    assert top == plain(1).split(b"\r\n")[:-2]
    assert list(server.messages().values()) == [plain(1), ugly()["dots"], ugly()["dot_at_the_end"]]


def test_the_pop3_server_answers_commands_in_one_flight_and_in_order(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([plain(number) for number in range(50)])
    with (
        socket.create_connection((server.host, server.port), timeout=10) as sock,
        sock.makefile("rb") as answers,
    ):
        sock.sendall(
            b"USER demo\r\nPASS secret\r\n"
            + b"".join(b"RETR %d\r\n" % n for n in range(1, 51))
            + b"QUIT\r\n"
        )
        said = answers.read()

    places = [said.index(b"Subject: Message number %d\r\n" % number) for number in range(50)]
    assert places == sorted(places)


def test_the_pop3_server_refuses_what_it_is_told_to_refuse(
    pop3_server: Callable[..., Pop3],
) -> None:
    server = pop3_server([plain(1)], refuse={"UIDL"}, capabilities=("USER",))
    client = pop3(server, apop=True)

    assert client.capa() == {"USER": []}
    with pytest.raises(poplib.error_proto, match="unknown command"):
        client.uidl()
    with pytest.raises(poplib.error_proto):
        client.retr(2)
    assert len(client.retr(1)[1]) == plain(1).count(b"\r\n")
    client.quit()


@pytest.mark.parametrize("way", ["apop", "user"])
def test_the_pop3_server_lets_nobody_in_with_a_wrong_password(
    pop3_server: Callable[..., Pop3], way: str
) -> None:
    server = replace(pop3_server([plain(1)]), password="wrong")

    with pytest.raises(poplib.error_proto, match="Authentication failed"):
        pop3(server, apop=way == "apop")


def test_the_far_proxy_delays_each_exchange_by_its_round_trip(dovecot: Dovecot) -> None:
    with Proxy(dovecot.imap_port, rtt=0.1) as proxy:
        start = time.monotonic()
        with socket.create_connection((proxy.host, proxy.port), timeout=10) as sock:
            greeting = sock.recv(1000)
            greeted = time.monotonic()
            sock.sendall(b"a NOOP\r\n")
            sock.recv(1000)
            answered = time.monotonic()

    assert greeting.startswith(b"* OK")
    # How much longer it takes is the machine's affair.
    assert greeted - start > 0.14
    assert answered - greeted > 0.09


def test_the_far_proxy_counts_octets_and_the_words_that_waited_for_an_answer() -> None:
    with Scripted(echo) as server, Proxy(server.port, rtt=0.02) as proxy:
        for words in ([b"one\r\n", b"two\r\n", b"three\r\n"], [b"one\r\ntwo\r\nthree\r\n"]):
            with (
                socket.create_connection((proxy.host, proxy.port), timeout=5) as sock,
                sock.makefile("rb") as lines,
            ):
                lines.readline()
                for said in words:
                    sock.sendall(said)
                    for _ in said.splitlines():
                        lines.readline()

            (seen,) = proxy.traffic()
            assert (seen.to_server, seen.from_server, seen.turns) == (17, 51, len(words))


def echo(talk: Conversation) -> None:
    talk.line("hello")
    while True:
        talk.line(f"you said {talk.readline().decode()}")


@pytest.mark.parametrize("direction", ["from_server", "to_server"])
def test_the_cutter_lets_exactly_so_many_octets_through(direction: Direction) -> None:
    with Scripted(echo) as server, Cutter(server.port, Cut(12, direction, connection=2)) as cutter:
        heard: list[bytes] = []
        for _ in range(3):
            with (
                socket.create_connection((cutter.host, cutter.port), timeout=5) as sock,
                sock.makefile("rb") as lines,
            ):
                lines.readline()
                sock.sendall(b"one\r\ntwo\r\nthree\r\n")
                if len(heard) != 1:
                    sock.shutdown(socket.SHUT_WR)
                heard.append(lines.read())

    assert heard[0] == heard[2] == b"you said one\r\nyou said two\r\nyou said three\r\n"
    assert len(getattr(cutter.dialogues[1], direction)) == 12
    assert cutter.dialogues[0].commands == [b"one", b"two", b"three"]


def test_a_stalled_connection_stays_open_and_a_reset_one_is_an_error() -> None:
    with (
        Scripted(echo) as server,
        Cutter(server.port, Cut(3, how="stall"), Cut(3, how="reset", connection=2)) as cutter,
    ):
        with socket.create_connection((cutter.host, cutter.port), timeout=0.3) as sock:
            assert sock.recv(100) == b"hel"
            with pytest.raises(TimeoutError):
                sock.recv(100)
        with (
            socket.create_connection((cutter.host, cutter.port), timeout=5) as sock,
            pytest.raises(ConnectionResetError),
        ):
            assert sock.recv(100) + sock.recv(100) == b"never"


def test_an_unexpected_word_of_the_client_fails_the_test() -> None:
    def dialogue(talk: Conversation) -> None:
        talk.line("* OK")
        talk.command("LOGIN")

    def client(port: int) -> bytes:
        with (
            socket.create_connection((HOST, port), timeout=5) as sock,
            sock.makefile("rb") as lines,
        ):
            lines.readline()
            sock.sendall(b"a NOOP\r\n")
            return lines.read()

    with pytest.raises(Unexpected, match="NOOP"), Scripted(dialogue) as server:
        assert client(server.port) == b""


def test_a_script_asks_for_the_literals_of_a_command() -> None:
    def dialogue(talk: Conversation) -> None:
        command = talk.command("APPEND")
        talk.send(command.text + b"\r\n")

    with (
        Scripted(dialogue) as server,
        socket.create_connection((server.host, server.port), timeout=5) as sock,
    ):
        sock.sendall(b"a append x {3+}\r\na\nb {2}\r\n")
        assert sock.recv(100) == b"+ go on\r\n"
        sock.sendall(b"cd\r\n")
        assert sock.recv(100) == b"a append x {3+}\r\na\nb {2}\r\ncd\r\n"


@pytest.mark.parametrize(
    ("name", "trusted"),
    [("good", True), ("expired", False), ("wrong_name", False), ("untrusted", False)],
)
def test_only_the_good_certificate_is_trusted(
    certificates: Certificates, name: str, *, trusted: bool
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca_file)
    server = Scripted(lambda talk: talk.line("hello"), getattr(certificates, name))
    with server, socket.create_connection((server.host, server.port), timeout=5) as sock:
        try:
            with context.wrap_socket(sock, server_hostname="localhost") as wrapped:
                accepted = wrapped.recv(100) == b"hello\r\n"
        except ssl.SSLCertVerificationError:
            accepted = False

    assert accepted is trusted


def test_a_killed_test_run_leaves_no_server_behind() -> None:
    program = (
        "import time\nfrom tests.servers import dovecot\n"
        "with dovecot.start() as s:\n print(s.imap_port, s.directory, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        port, directory = run.stdout.readline().split()
        os.kill(run.pid, signal.SIGKILL)

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, int(port)), timeout=1).close()
        except OSError:
            shutil.rmtree(directory)
            return
        time.sleep(0.1)
    pytest.fail("Dovecot outlived the program that started it")
