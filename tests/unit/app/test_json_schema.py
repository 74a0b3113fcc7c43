from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from mailsync.app.json_schema import COMMANDS, schema
from mailsync.app.oauth.login import LoggedIn, LoggedOut
from mailsync.cli import exits, main
from mailsync.cli.session import Session

WITHOUT_A_REPORT = {"config", "schema", "help"}


def test_every_command_has_a_schema() -> None:
    described = {name.partition(" ")[0] for name in COMMANDS}
    missing = set(main.COMMANDS) - described - WITHOUT_A_REPORT
    assert not missing, "describe it in mailsync/app/json_schema, then run scripts/json_page.py"
    assert described <= set(main.COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_schema_is_printed_and_explains_every_key(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["schema", *command.split()], Session({})) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == schema(command)
    assert printed["title"].endswith("version 2")
    for shape in printed["$defs"].values():
        assert all(told["description"] for told in shape["properties"].values())


def test_a_command_without_a_report_has_no_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema", "help"], Session({})) == 2
    assert "is not one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "done"),
    [
        ("login", LoggedIn("work", "imap.example.org:993", "alice", "/tokens/work", True, 3)),
        ("login", LoggedIn("work", "imap.example.org:993", "alice", "/t", False, untried="down")),
        ("logout", LoggedOut("work", True, True)),
        ("logout", LoggedOut("work", True, None, "no answer")),
    ],
)
def test_logins_are_told_as_their_schema_says(command: str, done: LoggedIn | LoggedOut) -> None:
    head = exits.head(Session({}, command=command), 0)
    told = {**head, **done.as_json()}
    Draft202012Validator(schema(command)).validate(told)
    known = schema(command)["$defs"]
    shape = COMMANDS[command].__name__
    assert set(told) == set(known["Head"]["properties"]) | set(known[shape]["properties"])
