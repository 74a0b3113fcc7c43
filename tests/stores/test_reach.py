"""How a server is reached: which of its addresses, through which proxy, under which name."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest
import trustme

from mailsync.errors import ConnectionLost, TlsError, Unreachable
from mailsync.stores.dial import Address, dial
from mailsync.stores.endpoint import Endpoint
from mailsync.stores.proxies import Proxy
from mailsync.stores.transport import connect
from tests.servers.certificates import Certificate
from tests.servers.processes import HOST
from tests.servers.proxies import RecordingProxy
from tests.servers.scripted import Conversation, Scripted

IDN = "bücher.example"
IDN_ASCII = "xn--bcher-kva.example"


KINDS: Final[list[Literal["socks5", "http"]]] = ["socks5", "http"]
Kind: TypeAlias = Literal["socks5", "http"]


def greet(talk: Conversation) -> None:
    talk.line("* OK ready")
    talk.silence()


# Several addresses


def addresses(*places: tuple[str, int]) -> Callable[..., list[Address]]:
    """Take the place of `socket.getaddrinfo`."""

    def known(*_: object, **__: object) -> list[Address]:
        return [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                0,
                "",
                (host, port, 0, 0) if ":" in host else (host, port),
            )
            for host, port in places
        ]

    return known


@contextlib.contextmanager
def deaf(host: str = HOST) -> Iterator[int]:
    """Listen on a port where nobody is answered: its queue is full."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket(family))
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield port


def unused() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("dead", ["deaf", "refused"])
def test_the_next_address_is_used_when_the_first_is_dead(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deaf("::1") as silent, Scripted(greet) as server:
        first = ("::1", silent) if dead == "deaf" else (HOST, unused())
        monkeypatch.setattr(socket, "getaddrinfo", addresses(first, (HOST, server.port)))
        # Were the first one waited for, the test would run into its own limit.
        with dial("mail.example", server.port, timeout=3600) as sock:
            assert sock.getpeername()[1] == server.port
            assert sock.gettimeout() == 3600


def test_a_second_family_is_tried_before_a_second_address_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with deaf("::1") as silent, Scripted(greet) as server:
        places = [*[("::1", silent)] * 8, (HOST, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", addresses(*places))
        tried: list[str] = []
        begin = socket.socket.connect

        def watched(sock: socket.socket, place: tuple[str, int]) -> None:
            tried.append(place[0])
            begin(sock, place)

        monkeypatch.setattr(socket.socket, "connect", watched)
        dial("mail.example", server.port, timeout=3600).close()
    assert tried == ["::1", HOST]


def test_addresses_of_which_none_answers_end_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with deaf() as one, deaf("::1") as other:
        monkeypatch.setattr(socket, "getaddrinfo", addresses((HOST, one), ("::1", other)))
        with pytest.raises(ConnectionLost, match=r"did not answer in 0\.4 s"):
            connect(Endpoint("mail.example", 143, "none", timeout=0.4), "home")


def test_addresses_that_all_refuse_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    places = ((HOST, unused()), ("::1", unused()))
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*places))
    with pytest.raises(Unreachable, match="refuses connections"):
        connect(Endpoint("mail.example", 143, "none"), "home")


# IPv6 and names beyond ASCII


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., tuple[Path, Certificate]]:
    """Return what makes a CA, and a certificate for names."""

    def make(*names: str) -> tuple[Path, Certificate]:
        ca = trustme.CA()
        ca_file, file = tmp_path / "ca.pem", tmp_path / "server.pem"
        ca.cert_pem.write_to_path(ca_file)
        ca.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(file)
        return ca_file, Certificate(file)

    return make


def test_an_ipv6_address_is_reached_and_its_certificate_checked(
    served: Callable[..., tuple[Path, Certificate]],
) -> None:
    ca_file, certificate = served("::1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.file)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        endpoint = Endpoint("::1", listener.getsockname()[1], "tls", ca_file, timeout=5)
        assert str(endpoint) == f"[::1]:{endpoint.port}"
        with _answering(listener, context):
            connection = connect(endpoint, "home")
            assert connection.readline() == b"* OK ready\r\n"
            connection.close()
    with (
        socket.create_server((HOST, 0)) as listener,
        _answering(listener, context),
        pytest.raises(TlsError),
    ):
        connect(Endpoint(HOST, listener.getsockname()[1], "tls", ca_file, timeout=5), "home")


@contextlib.contextmanager
def _answering(listener: socket.socket, context: ssl.SSLContext) -> Iterator[None]:
    import threading  # noqa: PLC0415

    def serve() -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            with sock, context.wrap_socket(sock, server_side=True) as encrypted:
                encrypted.sendall(b"* OK ready\r\n")
                encrypted.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_beyond_ascii_is_asked_for_and_certified_in_ascii(
    kind: Kind, served: Callable[..., tuple[Path, Certificate]]
) -> None:
    ca_file, certificate = served(IDN_ASCII)
    with (
        Scripted(greet, certificate) as server,
        RecordingProxy({IDN_ASCII: HOST}) as proxy,
    ):
        way = Proxy(kind, HOST, proxy.port)
        connection = connect(
            Endpoint(IDN, server.port, "tls", ca_file, timeout=5, proxy=way), "home"
        )
        assert connection.readline() == b"* OK ready\r\n"
        connection.close()
    assert proxy.asked == [(IDN_ASCII, server.port)]


def test_a_name_that_looks_alike_has_no_certificate(
    served: Callable[..., tuple[Path, Certificate]],
) -> None:
    ca_file, certificate = served("bucher.example")
    with (
        Scripted(greet, certificate) as server,
        RecordingProxy({IDN_ASCII: HOST}) as proxy,
    ):
        way = Proxy("socks5", HOST, proxy.port)
        endpoint = Endpoint(IDN, server.port, "tls", ca_file, timeout=5, proxy=way)
        with pytest.raises(TlsError):
            connect(endpoint, "home")


# Proxies


@pytest.fixture
def no_look_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse, and remember, every look-up of a name; addresses are none."""
    looked: list[str] = []
    before = socket.getaddrinfo

    def watched(host: str, *arguments: object, **options: object) -> object:
        if host != HOST:
            looked.append(host)
            raise socket.gaierror("looked up")
        return before(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    return looked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("login", [None, ("alice", "s3cret")])
def test_the_proxy_looks_up_the_name_and_nobody_else_does(
    kind: Kind, login: tuple[str, str] | None, no_look_up: list[str]
) -> None:
    with Scripted(greet) as server, RecordingProxy({"mail.example": HOST}, login) as proxy:
        way = Proxy(kind, HOST, proxy.port, *(login or ()))
        endpoint = Endpoint("mail.example", server.port, "starttls", timeout=10, proxy=way)
        connection = connect(endpoint, "home")
        # A server that speaks first may do so in the same segment as the proxy.
        assert connection.readline() == b"* OK ready\r\n"
        connection.close()
    assert proxy.asked == [("mail.example", server.port)]
    assert no_look_up == []


@pytest.mark.parametrize("kind", KINDS)
def test_tls_through_a_proxy_is_agreed_on_with_the_server(
    kind: Kind, served: Callable[..., tuple[Path, Certificate]]
) -> None:
    ca_file, certificate = served("other.example")
    with (
        Scripted(greet, certificate) as server,
        RecordingProxy({"mail.example": HOST}) as proxy,
    ):
        way = Proxy(kind, HOST, proxy.port)
        endpoint = Endpoint("mail.example", server.port, "tls", ca_file, timeout=5, proxy=way)
        with pytest.raises(TlsError):
            connect(endpoint, "home")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("socks5", "Host unreachable"), ("http", "502 Bad Gateway")],
)
def test_a_proxy_that_does_not_reach_the_server_is_quoted(kind: Kind, words: str) -> None:
    with RecordingProxy() as proxy:
        way = Proxy(kind, HOST, proxy.port)
        told = (
            rf"the proxy {kind}://127\.0\.0\.1:\d+ does not connect to mail\.example:993: .*{words}"
        )
        with pytest.raises(Unreachable, match=told):
            connect(Endpoint("mail.example", 993, "tls", timeout=5, proxy=way), "home")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [(), ("alice", "wrong")])
def test_a_proxy_that_wants_another_login_is_told_without_it(
    kind: Kind, given: tuple[str, ...]
) -> None:
    with RecordingProxy({"mail.example": HOST}, ("alice", "s3cret")) as proxy:
        way = Proxy(kind, HOST, proxy.port, *given)
        with pytest.raises(Unreachable, match="does not connect to") as caught:
            connect(Endpoint("mail.example", 993, "tls", timeout=5, proxy=way), "home")
    assert "wrong" not in str(caught.value)
    assert "wrong" not in repr(way)
    assert proxy.asked == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_is_not_there_is_told(kind: Kind) -> None:
    way = Proxy(kind, HOST, unused())
    with pytest.raises(Unreachable, match=r"the proxy .* cannot be reached \(Connection refused\)"):
        connect(Endpoint("mail.example", 993, "tls", timeout=5, proxy=way), "home")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x05",
        b"\x05\x02\x01",
        b"\x05\x00\x05\x00\x00\x03\x02\xff\xff\x00\x00",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200\x1b[31m\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"\0" * 70_000,
    ],
)
def test_a_proxy_that_answers_nonsense_is_told(kind: Kind, said: bytes) -> None:
    def answer(client: socket.socket) -> None:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)

    with RecordingProxy(answer=answer) as proxy:
        way = Proxy(kind, HOST, proxy.port)
        with pytest.raises((Unreachable, ConnectionLost), match="the proxy") as caught:
            connect(Endpoint("mail.example", 993, "tls", timeout=5, proxy=way), "home")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_says_nothing_is_not_waited_for_longer_than_a_server(kind: Kind) -> None:
    def wait(client: socket.socket) -> None:
        client.recv(1)

    with RecordingProxy(answer=wait) as proxy:
        way = Proxy(kind, HOST, proxy.port)
        with pytest.raises(ConnectionLost, match=r"did not reach mail\.example:993 in 0\.2 s"):
            connect(Endpoint("mail.example", 993, "tls", timeout=0.2, proxy=way), "home")


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_says_back_what_it_was_told_shows_no_password(kind: Kind) -> None:
    secret, login = b"hunter2Secr3t", base64.b64encode(b"alice:hunter2Secr3t")

    def echo(client: socket.socket) -> None:
        # As debugging proxies do; the second is an answer to SOCKS5 that names a host.
        words = b"alice:" + secret + b" Basic " + login + b" " + b"x" * 160 + b" alice:" + secret
        said = b"HTTP/1.1 407 " + words + b"\r\n\r\n"
        if kind == "socks5":
            said = b"\x05\x00\x05\x00\x00\x03" + bytes([len(words)]) + words + b"\xff\xff"
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)

    with RecordingProxy(answer=echo) as proxy:
        way = Proxy(kind, HOST, proxy.port, "alice", secret.decode())
        endpoint = Endpoint("mail.example", 993, "tls", timeout=5, proxy=way)
        with pytest.raises((Unreachable, ConnectionLost)) as caught:
            connect(endpoint, "home")
    shown = "".join(traceback.format_exception(caught.value))
    for form in ("hunter2", login.decode(), login.decode()[:12]):
        assert form not in str(caught.value)
        assert form not in shown
