"""Questions to the person at the terminal; every one has an option that answers it instead."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from mailsync.cli.lines import complain, say
from mailsync.errors import ConfigError
from mailsync.formats.terminal import plain

T = TypeVar("T")


class Dialogue:
    """Asks where somebody is there; else takes what options and defaults say.

    All talk goes to standard error, so that standard output is what the command prints.
    """

    def __init__(self, *, attended: bool, quiet: bool = False) -> None:
        self.attended = attended
        self._quiet = quiet

    def tell(self, text: str) -> None:
        """Say something."""
        if self.attended or not self._quiet:
            say(text, err=True)

    def text(
        self,
        question: str,
        check: Callable[[str], T],
        *,
        option: str,
        given: str | None = None,
        default: str | None = None,
    ) -> T:
        """Return an answer that `check` takes, which raises ValueError, with words, for what it
        does not; asked again on a terminal.

        Raises ConfigError where nobody is there, and the option does not say it.
        """
        if given is not None or not self.attended:
            answer = default if given is None else given
            if answer is None:
                raise ConfigError(f"there is no terminal to ask on: give {option}")
            try:
                return check(answer)
            except ValueError as error:
                raise ConfigError(f"{option} {error}") from None
        while True:
            answer = click.prompt(question, default=default, show_default=bool(default), err=True)
            try:
                return check(answer)
            except ValueError as error:
                complain(f"That {plain(str(error))}.")

    def yes(self, question: str, *, given: bool | None, default: bool, unasked: bool) -> bool:
        """Return whether the answer is yes; `unasked` is the answer where nobody is there."""
        if given is not None:
            return given
        if not self.attended:
            return unasked
        return click.confirm(question, default=default, err=True)

    def one_of(
        self, question: str, ways: Mapping[str, str], *, given: str | None, default: str
    ) -> str:
        """Return one of several ways, each explained in a line."""
        if given is not None or not self.attended:
            return given or default
        for way, words in ways.items():
            self.tell(f"  {way}: {words}")
        answer: str = click.prompt(
            question, default=default, type=click.Choice(list(ways)), show_choices=False, err=True
        )
        return answer

    @staticmethod
    def secret(question: str) -> str:
        """Return what is typed without being shown, empty for nothing."""
        try:
            return getpass.getpass(f"{question}: ", stream=sys.stderr)
        except EOFError:
            raise click.Abort from None
