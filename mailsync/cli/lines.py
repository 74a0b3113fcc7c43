"""Sentences as every command says them, broken between words where a terminal ends."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Final, TextIO

import click

from mailsync.formats.terminal import columns, plain

WIDE: Final = 80
"""Columns where there is no terminal to ask."""
_WORD: Final = re.compile(r"`[^`]*`\S*|[0-9][0-9.,]* (?:[kMGT]?B|s|min|h|days)\b\S*|\S+")
"""A command in backquotes is one word, for half a command must not be copied; so is an amount."""


def width_of(stream: TextIO) -> int:
    """Return how many columns a stream has: what COLUMNS says, else those of its terminal."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDE
    except (OSError, ValueError):
        return WIDE


def say(text: str, *, err: bool = False) -> None:
    """Print sentences on standard output, or on standard error; on a terminal, lines end between
    words. Where there is none they stay whole, for whatever searches them.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        text = "\n".join(wrapped(line, width_of(stream)) for line in text.split("\n"))
    click.echo(text, err=err)


def complain(text: str) -> None:
    """Print what is wrong on standard error, marked so that it is found again."""
    say(f"{click.style('!', fg='red', bold=True)} {text}", err=True)


def name_not_done(names: Sequence[str], total: int) -> None:
    """Name the accounts of several that need somebody's eye: their lines may stand far above."""
    if names and total > 1:
        verb = "is" if len(names) == 1 else "are"
        complain(f"{len(names):,} of {total:,} accounts {verb} not done: {plain(', '.join(names))}")


def wrapped(line: str, width: int) -> str:
    """Return a line broken between words into several of at most `width` columns, the later ones
    indented two columns deeper; a word that is longer than a line stays whole.
    """
    if columns(click.unstyle(line)) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip(" ")))
    lines = [indent]
    used, empty = len(indent), True
    for word in _WORD.findall(line):
        needed = columns(click.unstyle(word))
        if not empty and used + 1 + needed > width:
            indent = indent if len(lines) > 1 else f"{indent}  "
            lines.append(indent)
            used, empty = len(indent), True
        lines[-1] += word if empty else f" {word}"
        used, empty = used + needed + (not empty), False
    return "\n".join(lines)
