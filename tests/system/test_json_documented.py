"""Every key of every command's `--json` stands in docs/json.md and in its schema, with its type,
and nothing else does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import jq
import pytest
from imapclient import IMAPClient
from jsonschema import Draft202012Validator

from mailsync.app.json_schema import COMMANDS, schema
from tests.messages import plain
from tests.servers.authorization import AuthorizationServer
from tests.servers.dovecot import Dovecot
from tests.system.cli_home import ROOT, Home, filled, imap, pop3
from tests.system.test_oauth import configured, log_in

PAGE = (ROOT / "docs" / "json.md").read_text()
EVERY = "every command"
OPEN = {"headers"}
"""Keys whose own keys are values: names of a message's headers."""

CARRYING = (
    b"Subject: Carrying\r\nMessage-ID: <carrying@example.org>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/pdf; name=a.pdf\r\n\r\npdf\r\n"
)
COLLIDING = plain(1).replace(b"Subject: ", b"Subject: another ")


def documented() -> dict[str, set[str]]:
    """Return the keys by command, those of every command under its heading."""
    keys: dict[str, set[str]] = {}
    for section in PAGE.split("\n## ")[1:]:
        names, _, rest = section.partition("\n")
        found = set(re.findall(r"^\| `([^`]+)` \|", rest, re.MULTILINE))
        keys |= dict.fromkeys(names.split(", "), found)
    return keys


def paths(value: object, at: str = "") -> Iterator[str]:
    """Yield the keys of a report as the page writes them."""
    if isinstance(value, dict) and at not in OPEN:
        for key, inner in value.items():
            yield (path := f"{at}.{key}" if at else key)
            yield from paths(inner, path)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")


def strict(command: str) -> Draft202012Validator:
    """Return the schema of what a command prints, without leave for what it does not know."""
    found = schema(command)
    alone = {"Head", COMMANDS[command].__name__}
    for name, shape in found["$defs"].items():
        if name not in alone and shape["type"] == "object":
            shape["unevaluatedProperties"] = False
    for kind in found["anyOf"]:
        kind["unevaluatedProperties"] = False
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


class Printed:
    """What commands printed, by command."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.keys: dict[str, set[str]] = defaultdict(set)

    def run(self, command: str, *arguments: str, code: int = 0) -> dict[str, object]:
        done = self.home.run(*command.split(), *arguments, "--json")
        assert done.returncode == code, done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        strict(command).validate(answer)
        self.keys[command] |= set(paths(answer))
        return answer

    def of(self, commands: Sequence[str]) -> set[str]:
        return set().union(*(self.keys[command] for command in commands))


@pytest.fixture
def printed(tmp_path: Path, dovecot: Dovecot) -> Printed:
    home = Home(tmp_path)
    user = filled(dovecot)
    dovecot.deliver(user, "Work", plain(0))
    dovecot.deliver(user, "Copies", plain(2))
    dovecot.deliver(user, "INBOX", COLLIDING)
    dovecot.deliver(user, "INBOX", CARRYING)
    home.configure(
        home=imap(dovecot, user),
        other=imap(dovecot, dovecot.user(), ", backup: false"),
        third=imap(dovecot, dovecot.user(), ", backup: false"),
        old=pop3(dovecot, filled(dovecot)),
    )
    printed = Printed(home)
    printed.run("pull")
    for file in dovecot.folder(user, "Work").rglob("*"):
        if file.is_file() and file.parent.name in {"cur", "new"}:
            file.unlink()
    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as other:
        other.login(user, dovecot.password)
        other.rename_folder("Copies", "Renamed")
    printed.run("pull", "home")
    dovecot.deliver(user, "INBOX", plain(77))
    return printed


def files(home: Home) -> Path:
    path = home.directory / "Old.mbox"
    path.write_bytes(b"From - Thu Nov 25 10:11:12 2021\n" + plain(5))
    return path


def damage(home: Home) -> None:
    victim = next(iter((home.directory / "mail" / "home" / "mail").rglob("*.mailsync,*")))
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes().replace(b"message", b"better"))


def examples(command: str) -> list[str]:
    """Return the jq filters that the page shows for a command."""
    found = re.findall(rf"^mailsync {command} .*\| jq (?:-r )?'(.*)'$", PAGE, re.MULTILINE)
    assert found
    return found


def test_the_page_is_written_from_the_schemas() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "json_page.py"), "--check"]
    done = subprocess.run(script, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, "run PYTHONPATH=. .venv/bin/python scripts/json_page.py"


def test_the_examples_for_jq_do_what_they_say(printed: Printed) -> None:
    pulled = printed.run("pull")
    lines = [jq.compile(one).input_value(pulled).all() for one in examples("pull")]
    assert lines[0] == ["home: 1 new, 0 failed", "old: 0 new, 0 failed"]
    stale = printed.run("status", "--max-age", "0s", code=3)
    assert jq.compile(examples("status")[0]).input_value(stale).all() == ["home", "old"]
    listed = printed.run("list", "home", "--search", "message")
    assert all("@" in row for row in jq.compile(examples("list")[0]).input_value(listed).all())
    moved = printed.run("migrate", "home", "third")
    assert jq.compile(examples("migrate")[0]).input_value(moved).all() == []
    same = printed.run("duplicates", "home")
    assert jq.compile(examples("duplicates")[0]).input_value(same).first() > 0
    damage(printed.home)
    broken = printed.run("verify", "home", code=13)
    hurt = jq.compile(examples("verify")[0]).input_value(broken).all()
    assert hurt
    assert all(Path(path).is_file() for path in hurt)


def test_runs_print_what_is_documented(printed: Printed) -> None:
    printed.run("push", "home", "other")
    printed.run("restore", "home", "--to", "other")
    printed.run("migrate", "home", "third")
    expected = documented()
    printed.run("import", str(files(printed.home)))
    for command in ("pull", "import", "push", "restore", "migrate"):
        assert printed.keys[command] - expected[command] - expected[EVERY] == set()
    shared = printed.of(("pull", "push", "restore", "migrate"))
    assert expected["migrate"] - shared == set()


def test_commands_that_read_an_archive_print_what_is_documented(printed: Printed) -> None:
    printed.run("status")
    printed.run("list", "home")
    listed = printed.run("list", "home", "--mailbox", "INBOX")["messages"]
    assert isinstance(listed, list)
    printed.run("list", "home", "--gone-since", "1d")
    (carrying,) = [one["digest"] for one in listed if one["subject"] == "Carrying"]
    printed.run("show", "home", carrying)
    printed.run("duplicates", "home")
    printed.run("check")
    printed.run("check", str(files(printed.home)))
    printed.run("prune", "home", "--gone-for", "0s")
    printed.run("reindex", "home")
    printed.run("providers")
    expected = documented()
    read = ("status", "list", "show", "duplicates", "check", "prune", "reindex", "providers")
    for command in read:
        assert printed.keys[command] - expected[EVERY] == expected[command], command


def test_logging_in_and_out_prints_what_is_documented(
    tmp_path: Path,
    authorization: AuthorizationServer,
    token_dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authorization.ca_file))
    home = Home(tmp_path)
    configured(home, authorization, token_dovecot)
    expected = documented()
    for command, done in (
        ("login", log_in(home, authorization, "--json")),
        ("logout", home.run("logout", "work", "--json")),
    ):
        assert set(paths(json.loads(done.stdout))) - expected[EVERY] == expected[command]


def test_setting_up_prints_what_is_documented(printed: Printed, dovecot: Dovecot) -> None:
    printed.run(
        *("init", "alice@home.example", "--host", dovecot.host, "--security", "none"),
        *("--port", str(dovecot.imap_port), "--username", dovecot.user()),
        *("--password-env", "PASSWORD", "--config", "new.yaml", "--pull"),
    )
    expected = documented()
    runs = expected["pull"]
    assert printed.keys["init"] - expected[EVERY] - runs == expected["init"] - runs


def test_a_verification_prints_what_is_documented(printed: Printed) -> None:
    damage(printed.home)
    printed.run("verify", "home", "--remote", code=13)
    expected = documented()
    assert printed.keys["verify"] - expected[EVERY] == expected["verify"]


def test_a_certificate_is_printed_as_documented(tmp_path: Path, dovecot: Dovecot) -> None:
    printed = Printed(Home(tmp_path))
    where = f"imaps://u@localhost:{dovecot.imaps_port}"
    printed.run("certificate", where, "--ca-file", str(dovecot.ca_file))
    expected = documented()
    assert printed.keys["certificate"] - expected[EVERY] == expected["certificate"]


def test_a_command_that_cannot_begin_prints_what_every_command_prints(tmp_path: Path) -> None:
    printed = Printed(Home(tmp_path))
    printed.home.configure(home="protocol: imap, host: h, username: u, prot: 1")
    for command in ("pull", "status", "check", "verify"):
        printed.run(command, code=2)
        assert printed.keys[command] == documented()[EVERY]


def test_a_renamed_account_is_told_as_documented(tmp_path: Path, dovecot: Dovecot) -> None:
    printed = Printed(Home(tmp_path))
    user = filled(dovecot)
    printed.home.configure(home=imap(dovecot, user))
    printed.run("pull")
    printed.home.configure(house=imap(dovecot, user))
    printed.run("account rename", "home", "house")
    expected = documented()
    assert printed.keys["account rename"] - expected[EVERY] == expected["account rename"]
