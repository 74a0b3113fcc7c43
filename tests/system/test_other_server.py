"""Two servers on one host, or an account whose server changed: the mail of one is never taken for
the other's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.dovecot import Dovecot
from tests.servers.pop3 import Pop3
from tests.system.cli_home import Home, arrived

WORK = [plain(number) for number in range(1, 6)]
OTHER = [plain(number) for number in range(11, 16)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def pop3(server: Pop3) -> str:
    here = f"protocol: pop3, host: {server.host}, port: {server.port}, security: none"
    return f"{here}, username: demo, password: {{env: PASSWORD}}"


def test_two_servers_on_one_host_have_archives_of_their_own(
    home: Home, pop3_server: Callable[..., Pop3], dovecot: Dovecot
) -> None:
    passwords = ["--source-password-env", "PASSWORD", "--destination-password-env", "PASSWORD"]
    for messages in (WORK, OTHER):
        server, user = pop3_server(messages), dovecot.user()
        source = f"pop3://demo@{server.host}:{server.port}"
        destination = f"imap://{user}@{dovecot.host}:{dovecot.imap_port}"
        home.well("migrate", source, destination, *passwords)
        assert arrived(dovecot, user) == sorted(messages)


def test_an_account_whose_port_changed_is_refused_until_it_is_said_what_that_means(
    home: Home, pop3_server: Callable[..., Pop3]
) -> None:
    old, new = pop3_server(WORK), pop3_server([*WORK[:3], *OTHER])
    home.configure(alice=pop3(old))
    home.well("pull")
    home.configure(alice=pop3(new))

    for command in (["pull"], ["pull", "--dry-run"], ["verify", "--remote"]):
        refused = home.run(*command)
        said = refused.stdout + refused.stderr
        assert (refused.returncode, "--moved alice" in said) == (2, True), said
        assert "an archive of its own" in said
    assert home.archived("alice") == sorted(WORK)

    # The messages of which there are copies here are matched by their content.
    pulled = json.loads(home.well("pull", "--moved", "alice", "--json"))["reports"][0]
    assert (pulled["total"]["new"], len(home.archived("alice"))) == (5, 10)
    again = json.loads(home.well("pull", "--json"))["reports"][0]
    assert (again["total"]["new"], again["total"]["duplicate"]) == (0, 0)


def test_an_archive_of_a_url_with_a_port_is_found_where_earlier_versions_put_it(
    home: Home, pop3_server: Callable[..., Pop3]
) -> None:
    server, other = pop3_server(WORK), pop3_server(OTHER)
    earlier = home.directory / "mailsync-archive" / f"demo@{server.host}"
    password = ["--source-password-env", "PASSWORD"]
    urls = [f"pop3://demo@{one.host}:{one.port}" for one in (server, other)]
    home.well("pull", urls[0], "--archive", str(earlier), *password)

    pulled = json.loads(home.well("pull", urls[0], "--json", *password))["reports"][0]
    assert (pulled["total"]["new"], pulled["archive"]) == (
        0,
        str(earlier.relative_to(home.directory)),
    )
    pulled = json.loads(home.well("pull", urls[1], "--json", *password))["reports"][0]
    assert (pulled["total"]["new"], pulled["archive"]) == (
        5,
        f"mailsync-archive/demo@{other.host},{other.port}",
    )


def test_one_archive_named_for_two_servers_is_refused_with_what_helps(
    home: Home, pop3_server: Callable[..., Pop3]
) -> None:
    rest = ["--archive", "here", "--source-password-env", "PASSWORD"]
    one, other = pop3_server(WORK), pop3_server(OTHER)
    home.well("pull", f"pop3://demo@{one.host}:{one.port}", *rest)
    url = f"pop3://demo@{other.host}:{other.port}"
    refused = home.run("pull", url, *rest)
    assert (refused.returncode, "with the same URL and `--archive here`" in refused.stderr) == (
        2,
        True,
    ), refused.stderr
    assert "complete: 5 messages" in home.well("pull", "--moved", url, *rest)


def test_moved_is_said_of_one_account(home: Home, pop3_server: Callable[..., Pop3]) -> None:
    home.configure(alice=pop3(pop3_server(WORK)))
    refused = home.run("pull", "--moved")
    assert (refused.returncode, "name the one" in refused.stderr) == (2, True)
