"""What a connection tells its user when it cannot come about, and that it reads and writes exactly
whatever the segments.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailsync.errors import (
    ConnectionLost,
    ProtocolViolation,
    StoreUnavailable,
    TlsError,
    Unreachable,
)
from mailsync.stores import reach, tls_trouble, transport
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.transport import Connection, connect, is_loopback
from tests.servers.certificates import Certificates
from tests.servers.processes import HOST
from tests.servers.scripted import Conversation, Scripted


def endpoint(
    port: int, security: str = "none", *, timeout: float = 5.0, **options: object
) -> Endpoint:
    return Endpoint(HOST, port, security, timeout=timeout, **options)  # type: ignore[arg-type]


@contextmanager
def connected(server: Scripted, **options: object) -> Iterator[Connection]:
    connection = connect(endpoint(server.port, **options), "home")  # type: ignore[arg-type]
    try:
        yield connection
    finally:
        connection.close()


def hang_on(talk: Conversation) -> None:
    talk.silence()


# No connection


def test_an_unknown_host_is_said_to_be_one() -> None:
    with pytest.raises(
        Unreachable, match=r"unknown host 'mail\.nowhere\.invalid': check the spelling"
    ) as caught:
        connect(Endpoint("mail.nowhere.invalid", 995), "home")
    assert not caught.value.retryable
    assert caught.value.account == "home"


@pytest.mark.parametrize("host", ["x" * 300, "a..b", "\udcff.example.org"])
def test_an_impossible_host_name_is_no_traceback(host: str) -> None:
    with pytest.raises(Unreachable):
        connect(Endpoint(host, 995), "home")


def test_a_closed_port_is_said_to_refuse_connections() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(
        Unreachable, match=f"refuses connections: check the port \\({port}\\) and `security`"
    ):
        connect(endpoint(port), "home")


def test_a_port_that_cannot_be_reached_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot reach"):
        connect(Endpoint("255.255.255.255", 995, "none", timeout=1), "home")


def test_a_host_that_does_not_answer_is_given_up_after_the_timeout() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(0)
        where = endpoint(listener.getsockname()[1], timeout=0.3)
        # The queue of a listener that accepts nobody holds one, and then nobody is answered.
        with (
            contextlib.closing(connect(where, "home")),
            pytest.raises(ConnectionLost, match=r"did not answer in 0\.3 s") as caught,
        ):
            connect(where, "home")
        assert caught.value.retryable


# Encryption


def test_a_good_certificate_is_believed(certificates: Certificates) -> None:
    def greet(talk: Conversation) -> None:
        talk.line("+OK ready")
        talk.silence()

    with (
        Scripted(greet, certificates.good) as server,
        connected(server, security="tls", ca_file=certificates.ca_file) as connection,
    ):
        assert connection.encrypted
        assert connection.readline() == b"+OK ready\r\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("expired", "has expired on 2020-01-01; ask the server's operator to renew it"),
        ("wrong_name", "is for 'mail.example.org', not for '127.0.0.1' (nothing was sent)"),
        ("wrong_name", "write 'mail.example.org' instead of '127.0.0.1'"),
        ("wrong_name", "allow that name with --tls-name (migrate: --source-tls-name or "),
        ("untrusted", "by nobody this machine trusts: it is for 'localhost', '127.0.0.1'"),
        ("untrusted", "give its CA with --ca-file (migrate: --source-ca-file or "),
    ],
)
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_bad_certificate_is_refused_with_the_reason_and_what_to_do(
    certificates: Certificates, name: str, words: str, security: str
) -> None:
    certificate = getattr(certificates, name)

    def upgrade(talk: Conversation) -> None:
        if security == "starttls" and talk.number > 1:
            # Whoever looks at the certificate asks for encryption first.
            talk.line("+OK ready")
            talk.expect("STLS")
            talk.line("+OK begin")
        talk.start_tls(certificate)
        talk.silence()

    def upgraded(where: Endpoint) -> None:
        connection = connect(where, "home")
        if security == "starttls":
            connection.start_tls()

    with Scripted(upgrade) as server:
        where = endpoint(server.port, security, ca_file=certificates.ca_file)
        with pytest.raises(TlsError) as caught:
            upgraded(where)
    assert words in str(caught.value)
    assert str(where) in str(caught.value)


def test_a_certificate_for_another_name_is_believed_when_the_user_named_it(
    certificates: Certificates,
) -> None:
    with (
        Scripted(hang_on, certificates.wrong_name) as server,
        connected(
            server, security="tls", ca_file=certificates.ca_file, tls_name="mail.example.org"
        ) as connection,
    ):
        assert connection.encrypted


def test_without_its_ca_a_server_of_ones_own_is_not_trusted(certificates: Certificates) -> None:
    with Scripted(hang_on, certificates.good) as server, pytest.raises(TlsError, match="ca_file"):
        connect(endpoint(server.port, "tls"), "home")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with (
        Scripted(hang_on) as server,
        pytest.raises(TlsError, match=f"cannot read the CA file {file}"),
    ):
        connect(endpoint(server.port, "tls", ca_file=file), "home")


def test_a_server_that_speaks_no_tls_there_gets_a_hint() -> None:
    def greet(talk: Conversation) -> None:
        talk.line("+OK plain text here")
        talk.silence(1)

    with (
        Scripted(greet) as server,
        pytest.raises(
            TlsError, match=r"does not speak TLS there \(.*\); perhaps `security: starttls`"
        ),
    ):
        connect(endpoint(server.port, "tls"), "home")


def server_hello(version: bytes) -> bytes:
    """Return the beginning of an old server's handshake (RFC 2246 section 7.4.1.3)."""
    hello = version + bytes(32) + b"\0" + b"\0\x2f" + b"\0"
    return b"\x16" + version + b"\0\x2a" + b"\2\0\0\x26" + hello


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (server_hello(b"\3\0"), "speaks only SSL 3.0, which is not safe; TLS 1.2 is needed"),
        (server_hello(b"\3\1"), "speaks only TLS 1.0, which is not safe; TLS 1.2 is needed"),
        (server_hello(b"\3\2"), "speaks only TLS 1.1, which is not safe; TLS 1.2 is needed"),
        (b"\x15\3\1\0\2\2\x46", "speaks only TLS older than 1.2, which is not safe"),
        (b"\x15\3\1\0\2\2\x28", "speaks TLS, but not as safely as is needed"),
    ],
    ids=["SSL 3.0", "TLS 1.0", "TLS 1.1", "alert protocol_version", "alert handshake_failure"],
)
@pytest.mark.parametrize("pieces", [1, 64])
def test_a_server_with_old_tls_is_told_as_such(answer: bytes, words: str, pieces: int) -> None:
    def speak_as_of_old(talk: Conversation) -> None:
        for start in range(0, len(answer), pieces):
            talk.send(answer[start : start + pieces])
        talk.silence(1)

    with (
        Scripted(speak_as_of_old) as server,
        pytest.raises(TlsError, match=re.escape(words)) as caught,
    ):
        connect(endpoint(server.port, "tls"), "home")
    assert "operator" in str(caught.value)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_that_waits_for_tls_is_found_out_in_seconds(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    monkeypatch.setattr(transport, "QUIET", 0.2)
    with (
        Scripted(hang_on, certificates.good) as server,
        pytest.raises(
            TlsError, match="waits for encryption from the first byte on: use `security: tls`"
        ),
    ):
        connect(
            endpoint(server.port, "starttls", ca_file=certificates.ca_file if trusted else None),
            "home",
        )


def test_a_server_that_is_merely_slow_to_greet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "QUIET", 0.2)

    def slow(talk: Conversation) -> None:
        if talk.number == 1:
            talk.silence(1)
            talk.line("+OK at last")
        talk.silence()

    with Scripted(slow) as server, connected(server, security="starttls") as connection:
        assert connection.readline() == b"+OK at last\r\n"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_server_that_hangs_up_in_the_handshake_is_worth_another_try_and_gets_a_hint(
    end: str,
) -> None:
    def hang_up(talk: Conversation) -> None:
        talk.read(1)
        talk.close() if end == "close" else talk.reset()

    with (
        Scripted(hang_up) as server,
        pytest.raises(
            ConnectionLost, match=r"hung up in the TLS handshake; .*`security: starttls`"
        ) as caught,
    ):
        connect(endpoint(server.port, "tls"), "home")
    assert caught.value.retryable


def test_a_silent_handshake_is_lost_within_the_timeout() -> None:
    with (
        Scripted(hang_on) as server,
        pytest.raises(ConnectionLost, match=r"TLS handshake in 0\.3 s") as caught,
    ):
        connect(endpoint(server.port, "tls", timeout=0.3), "home")
    assert caught.value.retryable


def test_what_is_slipped_in_before_the_encryption_is_refused(certificates: Certificates) -> None:
    def inject(talk: Conversation) -> None:
        talk.send(b"+OK begin TLS\r\n+OK forged\r\n")
        talk.silence()

    with Scripted(inject) as server, connected(server, ca_file=certificates.ca_file) as connection:
        assert connection.readline() == b"+OK begin TLS\r\n"
        with pytest.raises(ProtocolViolation, match="unencrypted data"):
            connection.start_tls()
        with pytest.raises(ConnectionLost):
            connection.readline()


# Silence and ends


@pytest.mark.parametrize("how", ["readline", "read", "read_until", "peek"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_silent_server_is_lost_within_the_timeout(
    certificates: Certificates, how: str, *, encrypted: bool
) -> None:
    def half(talk: Conversation) -> None:
        talk.send(b"half a line")
        talk.silence()

    with (
        Scripted(half, certificates.good if encrypted else None) as server,
        connected(
            server,
            security="tls" if encrypted else "none",
            ca_file=certificates.ca_file,
            timeout=0.3,
        ) as connection,
        pytest.raises(ConnectionLost, match=r"was silent for 0\.3 s"),
    ):
        read(connection, how, 100)


@pytest.mark.parametrize("how", ["readline", "read", "read_until", "peek"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_end_in_the_middle_is_a_lost_connection(how: str, end: str) -> None:
    def half(talk: Conversation) -> None:
        talk.readline()
        talk.send(b"half a line")
        talk.close() if end == "close" else talk.reset()

    with (
        Scripted(half) as server,
        connected(server) as connection,
        pytest.raises(ConnectionLost) as caught,
    ):
        write_and_read(connection, how, 100)
    assert caught.value.retryable


def write_and_read(connection: Connection, how: str, octets: int) -> bytes:
    connection.write(b"begin\r\n")
    return read(connection, how, octets)


def read(connection: Connection, how: str, octets: int) -> bytes:
    if how == "readline":
        return connection.readline()
    if how == "read_until":
        return connection.read_until(b"\r\n.\r\n", keep=0, limit=1 << 24)
    return connection.read(octets) if how == "read" else connection.peek(octets)


@pytest.mark.parametrize("how", ["readline", "read_until"])
def test_what_never_ends_is_refused_before_memory_is_full(how: str) -> None:
    def flood(talk: Conversation) -> None:
        while True:
            talk.send(b"x" * 65_536)

    with (
        Scripted(flood) as server,
        connected(server) as connection,
        pytest.raises(ProtocolViolation, match="of more than 1,048,576 octets"),
    ):
        read_at_most(connection, how, 1 << 20)


def read_at_most(connection: Connection, how: str, limit: int) -> bytes:
    if how == "readline":
        return connection.readline(limit)
    return connection.read_until(b"\r\n.\r\n", keep=0, limit=limit)


def test_writing_to_a_server_that_hung_up_is_a_lost_connection() -> None:
    with (
        Scripted(lambda talk: talk.close()) as server,
        connected(server) as connection,
        pytest.raises(ConnectionLost),
    ):
        connection.write(bytes(50_000_000))


def test_writing_to_a_server_that_takes_nothing_is_lost_within_the_timeout() -> None:
    def deaf(talk: Conversation) -> None:
        talk._over.wait(60)

    with (
        Scripted(deaf) as server,
        connected(server, timeout=0.3) as connection,
        pytest.raises(ConnectionLost, match="silent"),
    ):
        connection.write(bytes(50_000_000))


def test_a_closed_connection_may_be_closed_again_and_is_lost_for_reading_and_writing() -> None:
    with Scripted(hang_on) as server, connected(server) as connection:
        connection.close()
        connection.close()
        for use in (connection.readline, lambda: connection.write(b"x")):
            with pytest.raises(ConnectionLost):
                use()


# Reading and writing at the same time


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("reads_later", [False, True])
def test_megabytes_in_both_directions_at_once_block_nobody(
    certificates: Certificates, *, encrypted: bool, reads_later: bool
) -> None:
    from_us = random.Random(1).randbytes(6_000_000)
    from_server = random.Random(2).randbytes(6_000_000)
    got: list[bytes] = []
    taken = threading.Event()

    def talker(talk: Conversation) -> None:
        if reads_later:
            talk.send(from_server)
            got.append(talk.read(len(from_us)))
        else:
            half = len(from_us) // 2
            got.append(talk.read(half))
            talk.send(from_server)
            got.append(talk.read(len(from_us) - half))
        taken.set()
        talk.silence()

    with (
        Scripted(talker, certificates.good if encrypted else None) as server,
        connected(
            server,
            security="tls" if encrypted else "none",
            ca_file=certificates.ca_file,
            timeout=60,
        ) as connection,
    ):
        connection.write(from_us)
        assert connection.read(len(from_server)) == from_server
        assert (connection.sent, connection.received) == (len(from_us), len(from_server))
        assert taken.wait(60)
        assert b"".join(got) == from_us


def test_readable_tells_what_waits_and_nothing_else(certificates: Certificates) -> None:
    go = threading.Event()

    def greet(talk: Conversation) -> None:
        go.wait(5)
        talk.send(b"one\r\ntwo\r\n" + b"x" * 300_000)
        talk.silence()

    for certificate in (None, certificates.good):
        go.clear()
        with (
            Scripted(greet, certificate) as server,
            connected(
                server, security="tls" if certificate else "none", ca_file=certificates.ca_file
            ) as connection,
        ):
            # A TLS 1.3 server sends session tickets first: octets on the socket that are nothing to
            # read.
            assert not connection.readable(0.2) or certificate is not None
            go.set()
            assert connection.readline() == b"one\r\n"
            assert connection.readable()
            assert connection.readline() == b"two\r\n"
            assert connection.read(300_000) == b"x" * 300_000
            assert not connection.readable()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("LOCALHOST.", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True)]
    + [
        (host, False)
        for host in ("10.0.0.1", "localhost.example.org", "mail.example.org", "0.0.0.0")
    ],
)
def test_only_this_machine_is_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_connection_reset_before_it_stands_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reset(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(reach, "dial", reset)
    with pytest.raises(ConnectionLost, match="hung up at once"):
        connect(endpoint(1), "home")


def test_an_untold_certificate_trouble_keeps_the_librarys_words() -> None:
    error = ssl.SSLCertVerificationError("nothing")
    error.verify_code, error.verify_message = 9, "certificate is not yet valid"
    words = str(tls_trouble.certificate_trouble(error, endpoint(1), "x", None))
    assert words.endswith("is not trusted: certificate is not yet valid")
    assert issubclass(TlsError, StoreUnavailable)
