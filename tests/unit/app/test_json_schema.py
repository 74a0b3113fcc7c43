from __future__ import annotations

import json

import pytest

from mailsync.app.json_schema import COMMANDS, schema
from mailsync.cli import main
from mailsync.cli.session import Session

WITHOUT_A_REPORT = {"config", "schema", "help"}


def test_every_command_has_a_schema() -> None:
    missing = set(main.COMMANDS) - set(COMMANDS) - WITHOUT_A_REPORT
    assert not missing, "describe it in mailsync/app/json_schema, then run scripts/json_page.py"
    assert set(COMMANDS) <= set(main.COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_schema_is_printed_and_explains_every_key(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["schema", *([command] if command else [])], Session({})) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == schema(command)
    assert printed["title"].endswith("version 2")
    for shape in printed["$defs"].values():
        assert all(told["description"] for told in shape["properties"].values())


def test_a_command_without_a_report_has_no_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["schema", "help"], Session({})) == 2
    assert "is not one of" in capsys.readouterr().err
