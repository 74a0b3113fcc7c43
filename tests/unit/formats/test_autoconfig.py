from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats.autoconfig import read_autoconfig
from mailsync.formats.servers import IncomingServer

ADDRESS = "alice@example.org"


def server(
    kind: str = "imap",
    host: str = "imap.example.org",
    port: str = "993",
    security: str = "SSL",
    username: str = "%EMAILADDRESS%",
) -> str:
    return (
        f'<incomingServer type="{kind}"><hostname>{host}</hostname><port>{port}</port>'
        f"<socketType>{security}</socketType><username>{username}</username>"
        "<authentication>password-cleartext</authentication></incomingServer>"
    )


def xml(*servers: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><clientConfig version="1.1">'
        f'<emailProvider id="example.org">{"".join(servers)}'
        '<outgoingServer type="smtp"><hostname>smtp.example.org</hostname></outgoingServer>'
        "</emailProvider></clientConfig>"
    ).encode()


def test_servers_are_read_with_the_address_filled_in() -> None:
    announced = read_autoconfig(
        xml(
            server("pop3", "pop.%EMAILDOMAIN%", "995", username="%EMAILLOCALPART%"),
            server(security="STARTTLS", port="143"),
            server(),
        ),
        ADDRESS,
    )
    assert announced.servers == (
        IncomingServer("imap", "imap.example.org", 993, "tls", ADDRESS),
        IncomingServer("imap", "imap.example.org", 143, "starttls", ADDRESS),
        IncomingServer("pop3", "pop.example.org", 995, "tls", "alice"),
    )


def test_an_unencrypted_server_is_none() -> None:
    announced = read_autoconfig(xml(server(security="plain"), server(security="")), ADDRESS)
    assert announced.servers == ()
    assert announced.unencrypted == 2


@pytest.mark.parametrize(
    "bad",
    [
        server(host="imap.example.org/path"),
        server(host="user@imap.example.org"),
        server(host="&#10;"),
        server(host="imap example"),
        server(host=""),
        server(port="0"),
        server(port="70000"),
        server(port="imap"),
        server(username="alice&#13;&#10;LOGOUT"),
        server("exchange"),
    ],
)
def test_an_impossible_server_is_left_out(bad: str) -> None:
    assert read_autoconfig(xml(bad, server()), ADDRESS).servers[0].host == "imap.example.org"
    assert len(read_autoconfig(xml(bad, server()), ADDRESS).servers) == 1


def test_braces_of_theirs_are_no_words_of_ours() -> None:
    (found,) = read_autoconfig(xml(server(username="{local}{%EMAILLOCALPART%}")), ADDRESS).servers
    assert found.username == "localalice"


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html><body>Welcome</body></html>",
        b"<clientConfig>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><clientConfig>&a;</clientConfig>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><clientConfig>&a;</clientConfig>',
        b'<?xml version="1.0" encoding="no-such"?><clientConfig/>',
    ],
)
def test_another_page_is_told(page: bytes) -> None:
    with pytest.raises(ValueError, match="is no configuration for mail programs"):
        read_autoconfig(page, ADDRESS)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(page: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert read_autoconfig(page, ADDRESS).servers == ()
