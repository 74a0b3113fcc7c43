"""The command on a terminal, with a person who answers what it asks."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass

from tests.system.cli_home import MAILSYNC, Home


@dataclass(frozen=True, slots=True)
class Screen:
    """What stood there at the end."""

    code: int
    text: str

    def __contains__(self, words: str) -> bool:
        return " ".join(words.split()) in " ".join(self.text.split())


def typed(home: Home, *arguments: str, answers: tuple[str, ...] = ()) -> Screen:
    """Run a command and give one answer after the other, each when a question stands at the end of
    the screen.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MAILSYNC, *arguments],
        cwd=home.directory,
        env={**home.environment(), "COLUMNS": "200", "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        text = _talk(ours, list(answers))
        code = process.wait(100)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Screen(code, text.decode().replace("\r\n", "\n"))


def _talk(screen: int, answers: list[str]) -> bytes:
    shown, answered = b"", 0
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            said = os.read(screen, 1 << 16)
        except OSError:
            break
        if not said:
            break
        shown += said
        if answers and shown[answered:].rstrip().endswith((b":", b"]")):
            answered = len(shown)
            os.write(screen, answers.pop(0).encode() + b"\n")
    return shown
