"""What `mailsync check` finds out about real servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.messages import plain
from tests.servers.dovecot import Dovecot
from tests.servers.forwarded import forwarded
from tests.servers.pop3 import Pop3
from tests.system.cli_home import Home, filled, imap


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_check_tells_what_an_imap_server_can_do(home: Home, dovecot: Dovecot) -> None:
    home.configure(home=imap(dovecot, filled(dovecot)))
    said = home.well("check")
    assert "logged in at" in said
    assert "5 messages" in said
    assert "MULTIAPPEND" in said
    found = json.loads(home.well("check", "--json"))["accounts"][0]
    assert found["messages"] == 5
    assert {ability["name"]: ability["offered"] for ability in found["abilities"]}["UIDPLUS"]


def test_check_recommends_imap_where_the_same_login_works_there(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    # As on the standard ports: IMAP two below POP3.
    with forwarded((0, dovecot.imaps_port), (2, dovecot.pop3s_port)) as port:
        home.configure(
            old=f"protocol: pop3, host: localhost, port: {port + 2}, username: {user},"
            f" password: {{env: PASSWORD}}, ca_file: {dovecot.ca_file}"
        )
        said = home.well("check", "old")
        found = json.loads(home.well("check", "old", "--json"))["accounts"][0]
    assert "PIPELINING" in said
    assert (
        "better: the same login works over IMAP, which also knows your folders, what you have read"
        f" and the dates of arrival. Use imaps://{user}@" in said
    )
    assert found["imap_instead"].startswith(f"imaps://{user}@localhost:{port} (")


def test_check_of_a_pop3_server_alone_recommends_nothing(
    home: Home, pop3_server: Callable[..., Pop3]
) -> None:
    old = pop3_server([plain(1)])
    said = home.well("check", f"pop3://demo@{old.host}:{old.port}", "--password-env", "PASSWORD")
    assert "1 message" in said
    assert "better:" not in said


def test_of_several_accounts_check_and_verify_name_those_that_are_not_done(
    home: Home, dovecot: Dovecot
) -> None:
    user = filled(dovecot)
    home.configure(
        a=imap(dovecot, user).replace("PASSWORD", "NOTHING"),
        b=imap(dovecot, user).replace("PASSWORD", "NOTHING"),
        c=imap(dovecot, user),
    )
    assert home.run("pull", "c").returncode == 0
    for command in (["check"], ["verify"]):
        done = home.run(*command)
        assert done.returncode
        assert done.stderr.splitlines()[-1] == "! 2 of 3 accounts are not done: a, b"
