"""What is found out about an address, from whom, and which doubts stand beside it: against a real
web server, real DNS answers, and names that a proxy knows.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme
from dnslib import MX, RCODE, SRV

from mailsync.app.discovery import (
    Attempt,
    Network,
    checked_address,
    from_table,
    look_up,
)
from mailsync.formats.servers import IncomingServer
from mailsync.stores import web_page
from mailsync.stores.proxies import Proxy
from tests.servers.certificates import Certificate
from tests.servers.names import NameServer
from tests.servers.processes import HOST
from tests.servers.proxies import RecordingProxy
from tests.servers.scripted import Conversation, Scripted
from tests.servers.web import Answer, Web
from tests.unit.formats.test_autoconfig import server, xml

ADDRESS = "alice@example.org"
FILE = "/mail/config-v1.1.xml"
WELL_KNOWN = "/.well-known/autoconfig/mail/config-v1.1.xml"
OTHER_HOSTS = ("elsewhere.example.org", "xn--bcher-kva.example")
NO_ADDRESSES = ["", "alice", "@example.org", "alice@", "a b@example.org", "a@b c"]
IMAP = IncomingServer("imap", "imap.example.org", 993, "tls", ADDRESS)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Return a certificate that this machine trusts, for example.org and its hosts."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    leaf = ca.issue_cert("example.org", "*.example.org", "xn--bcher-kva.example")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "web.pem")
    return Certificate(tmp_path / "web.pem")


def asked(
    address: str, pages: Mapping[str, Answer], certificate: Certificate, **hosts: tuple[str, int]
) -> tuple[list[Attempt], list[str]]:
    """Look an address up where the web has these pages; return what came of it, and what the web
    server was asked.
    """
    domain = address.rpartition("@")[2]
    with Web(certificate, pages) as web:
        here = {
            f"{host}:{port}": (HOST, {443: web.https, 80: web.http}[port])
            for host in (
                domain,
                f"autoconfig.{domain}",
                "elsewhere.example.org",
                "xn--bcher-kva.example",
            )
            for port in (443, 80)
        }
        with RecordingProxy({**here, **hosts}) as proxy:
            network = Network(Proxy("socks5", HOST, proxy.port), timeout=5)
            attempts = []
            for attempt in look_up(address, network):
                attempts.append(attempt)
                if attempt.found:
                    break
    return attempts, web.asked


# The table, and what an address is


def test_the_table_is_asked_before_anybody() -> None:
    found = from_table("alice@GMX.net")
    assert found is not None
    assert found.provider is not None
    assert found.servers[0] == IncomingServer("imap", "imap.gmx.net", 993, "tls", "alice@GMX.net")
    assert found.doubts == ()
    assert from_table("alice@example.org") is None


@pytest.mark.parametrize(
    "text", ["", "alice", "@example.org", "alice@", "a b@example.org", "a@b c"]
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        checked_address(text)


# The domain's web servers


def test_a_domain_that_announces_its_servers_is_believed_about_itself(
    certificate: Certificate,
) -> None:
    attempts, said = asked(
        ADDRESS, {f"https://autoconfig.example.org{FILE}": Answer(xml(server()))}, certificate
    )
    found = attempts[-1].found
    assert found is not None
    assert (found.where, found.servers, found.doubts) == (
        "https://autoconfig.example.org",
        (IMAP,),
        (),
    )
    assert said == [f"https://autoconfig.example.org{FILE}?emailaddress=alice%40example.org"]


def test_the_well_known_place_is_asked_next(certificate: Certificate) -> None:
    attempts, _ = asked(
        ADDRESS,
        {
            f"https://autoconfig.example.org{FILE}": Answer(b"<html>Welcome</html>"),
            f"https://example.org{WELL_KNOWN}": Answer(xml(server())),
        },
        certificate,
    )
    assert attempts[0].trouble == "is no configuration for mail programs"
    assert attempts[1].found is not None


def test_what_came_over_plain_http_is_doubted_and_tells_nobody_the_address(
    certificate: Certificate,
) -> None:
    attempts, said = asked(
        ADDRESS, {f"http://autoconfig.example.org{FILE}": Answer(xml(server()))}, certificate
    )
    found = attempts[-1].found
    assert found is not None
    assert found.doubts == (
        "http://autoconfig.example.org answered unencrypted: anybody could have.",
    )
    assert said[-1] == f"http://autoconfig.example.org{FILE}"


def test_a_redirect_over_plain_http_proves_nothing(certificate: Certificate) -> None:
    attempts, _ = asked(
        ADDRESS,
        {
            f"https://autoconfig.example.org{FILE}": Answer(
                status=302, location="http://elsewhere.example.org/there"
            ),
            "http://elsewhere.example.org/there": Answer(
                status=301, location="https://elsewhere.example.org/finally"
            ),
            "https://elsewhere.example.org/finally": Answer(xml(server())),
        },
        certificate,
    )
    found = attempts[0].found
    assert found is not None
    assert len(found.doubts) == 1


def test_hosts_of_somebody_else_are_doubted(certificate: Certificate) -> None:
    liar = xml(server(host="imap.evil.example"), server(host="notexample.org"))
    attempts, _ = asked(
        ADDRESS, {f"https://autoconfig.example.org{FILE}": Answer(liar)}, certificate
    )
    found = attempts[-1].found
    assert found is not None
    assert found.doubts == (
        "imap.evil.example lies outside example.org.",
        "notexample.org lies outside example.org.",
    )


def test_a_host_of_a_known_provider_is_not_doubted(certificate: Certificate) -> None:
    attempts, _ = asked(
        ADDRESS,
        {f"https://autoconfig.example.org{FILE}": Answer(xml(server(host="imap.gmail.com")))},
        certificate,
    )
    assert attempts[-1].found is not None
    assert attempts[-1].found.doubts == ()


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (Answer(status=500), "answered 500"),
        (Answer(xml(server(security="plain"))), "names unencrypted ones only"),
        (Answer(xml()), "names no server"),
        (Answer(b" " * (web_page.LARGEST + 1)), "sends more than such a page can hold"),
        (Answer(status=302, location="file:///etc/passwd"), "sends us to another kind of place"),
        (Answer(status=302, location="https://x:y/"), "sends us to an impossible place"),
        (Answer(status=302), "sends us from page to page"),
    ],
)
def test_a_page_that_helps_nobody_is_told(
    answer: Answer, trouble: str, certificate: Certificate
) -> None:
    attempts, _ = asked(ADDRESS, {f"https://autoconfig.example.org{FILE}": answer}, certificate)
    assert attempts[0] == Attempt("https://autoconfig.example.org", trouble=trouble)


def test_a_web_server_without_a_good_certificate_is_not_believed(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    attempts, said = asked(
        ADDRESS, {f"https://autoconfig.example.org{FILE}": Answer(xml(server()))}, certificate
    )
    assert [attempt.found for attempt in attempts] == [None] * len(attempts)
    assert "certificate" in attempts[0].trouble
    assert not any(url.startswith("https:") for url in said)


def test_a_domain_beyond_ascii_is_asked_for_in_ascii(certificate: Certificate) -> None:
    url = f"https://xn--bcher-kva.example{WELL_KNOWN}"
    attempts, _ = asked(
        "alice@bücher.example",
        {url: Answer(xml(server(host="imap.xn--bcher-kva.example")))},
        certificate,
    )
    found = attempts[-1].found
    assert found is not None
    assert found.doubts == ()
    assert found.servers[0].username == "alice@bücher.example"


def test_nobody_is_looked_up_past_a_proxy(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    before = socket.getaddrinfo

    def watched(host: str, *arguments: object, **options: object) -> object:
        looked.append(host)
        return before(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    attempts, _ = asked(ADDRESS, {}, certificate)
    assert [attempt.trouble for attempt in attempts if attempt.place.startswith("DNS")] == [
        "not asked: the question would go past the proxy"
    ] * 2
    assert set(looked) == {HOST}


# Usual names


def test_a_usual_name_is_taken_when_it_greets_and_proves_itself(certificate: Certificate) -> None:
    def greet(talk: Conversation) -> None:
        talk.line("* OK ready")
        talk.silence()

    def mutter(talk: Conversation) -> None:
        talk.line("220 ready")
        talk.silence()

    with Scripted(mutter, certificate) as other, Scripted(greet, certificate) as mail:
        attempts, _ = asked(
            ADDRESS,
            {},
            certificate,
            **{
                "imap.example.org:993": (HOST, other.port),
                "mail.example.org:993": (HOST, mail.port),
            },
        )
    found = attempts[-1].found
    assert found is not None
    assert found.servers == (IncomingServer("imap", "mail.example.org", 993, "tls", ADDRESS),)


def test_a_domain_nobody_knows_is_told(certificate: Certificate) -> None:
    attempts, _ = asked("alice@nowhere.invalid", {}, certificate)
    assert [attempt.found for attempt in attempts] == [None] * 6
    assert attempts[-1].trouble == "none of imap., mail. and pop.nowhere.invalid answers"


# DNS


Zone = Mapping[tuple[str, str], Sequence[object]]


def by_dns(zone: Zone, **options: int) -> list[Attempt]:
    with NameServer(zone, **options) as names:
        network = Network(nameserver=(HOST, names.port), timeout=0.5)
        return [
            attempt for attempt in _dns_alone(ADDRESS, network) if attempt.place.startswith("DNS")
        ]


def _dns_alone(address: str, network: Network) -> Iterator[Attempt]:
    from mailsync.app import discovery  # noqa: PLC0415

    yield discovery._records("example.org", address, network)
    yield discovery._mail_exchangers("example.org", address, network)


def test_service_records_name_servers_by_priority() -> None:
    srv, _ = by_dns(
        {
            ("_imaps._tcp.example.org", "SRV"): [
                SRV(20, 1, 993, "second.example.org"),
                SRV(10, 1, 1993, "imap.example.org"),
            ],
            ("_imap._tcp.example.org", "SRV"): [SRV(0, 0, 0, ".")],
            ("_pop3s._tcp.example.org", "SRV"): [SRV(0, 1, 995, "pop.hoster.example")],
        }
    )
    assert srv.found is not None
    assert [one.url for one in srv.found.servers] == [
        "imaps://imap.example.org:1993",
        "imaps://second.example.org",
        "pop3s://pop.hoster.example",
    ]
    assert srv.found.servers[0].username == ADDRESS
    assert srv.found.doubts == ("pop.hoster.example lies outside example.org.",)


def test_a_mail_exchanger_leads_to_the_provider_of_a_firm() -> None:
    _, mx = by_dns(
        {
            ("example.org", "MX"): [
                MX("mx.example.org", 5),
                MX("example-org.mail.protection.outlook.com", 10),
            ]
        }
    )
    assert mx.found is not None
    assert mx.found.provider is not None
    assert mx.found.provider.key == "office365.com"
    assert mx.found.servers[0].host == "outlook.office365.com"


def test_a_domain_without_records_says_nothing() -> None:
    assert [attempt.trouble for attempt in by_dns({})] == ["says nothing of it"] * 2


def test_a_name_server_that_fails_is_told() -> None:
    told = [attempt.trouble for attempt in by_dns({}, rcode=RCODE.SERVFAIL)]
    assert told == ["no name server answers"] * 2


def test_without_the_library_the_way_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dns.resolver", None)
    assert all("mailsync-archive[dns]" in attempt.trouble for attempt in by_dns({}))
