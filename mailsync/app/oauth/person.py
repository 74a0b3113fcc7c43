"""What a login asks of whoever sits at the terminal; asking is the business of whoever calls."""

from __future__ import annotations

from typing import Protocol


class Person(Protocol):
    """Somebody with a browser, here or elsewhere, who shall log in as `username`."""

    def visit(self, username: str, url: str) -> None:
        """Show the address at which to log in, and open it where there is a browser."""

    def enter(self, username: str, url: str, code: str, seconds: int) -> None:
        """Show the address, and the code to be typed there within so many seconds."""

    def paste(self, username: str, url: str, missed: str = "") -> str:
        """Show the address at which to log in, or why what was pasted before was not it; return the
        one at which the browser ended. Raises ConfigError where nobody answers.
        """
