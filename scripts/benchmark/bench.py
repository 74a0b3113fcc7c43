"""What every work needs: the server, how often and how large to measure, and the ways to log in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from scripts.benchmark import measure, programs
from scripts.benchmark.contest import Line, lines, scratch
from scripts.benchmark.mailboxes import Mail, fill
from scripts.benchmark.programs import Login, Protocol
from tests.servers.dovecot import Dovecot


@dataclass(frozen=True, slots=True)
class Bench:
    """A server full of mail, `rounds` of each contest, smaller works when `quick`."""

    server: Dovecot
    rounds: int
    quick: bool

    def login(self, user: str, way: Line, protocol: Protocol = "imap") -> Login:
        """Say how to log in over a line."""
        return Login(
            protocol, way.port, user, self.server.password, self.server.ca_file if way.tls else None
        )

    def direct(self, user: str, protocol: Protocol = "imap") -> Login:
        """Say how to log in without anything between, for what is not measured."""
        return Login(
            protocol,
            self.server.pop3_port if protocol == "pop3" else self.server.imap_port,
            user,
            self.server.password,
        )

    def filled(
        self, mailboxes: Sequence[str], count: int, octets: int, *, protocol: Protocol = "imap"
    ) -> Mail:
        """Make a user with mail, and let the server read it once: what it learns then nobody is to
        pay for.
        """
        mail = fill(self.server, self.server.user(), mailboxes, count, octets)
        with scratch() as folder:
            measure.run(programs.wire(folder, self.direct(mail.user, protocol)), folder)
        return mail

    def ways(
        self, names: Sequence[str], protocol: Protocol = "imap"
    ) -> AbstractContextManager[list[Line]]:
        """Open lines to the server."""
        pop3 = protocol == "pop3"
        return lines(
            self.server.pop3_port if pop3 else self.server.imap_port,
            names,
            self.server.pop3s_port if pop3 else self.server.imaps_port,
        )


def boxes(count: int) -> list[str]:
    """Name so many mailboxes, INBOX first."""
    return ["INBOX", *(f"Box{number}" for number in range(count - 1))]


def size_of(mail: Mail) -> str:
    """Tell a mailbox's size in words."""
    several = f" in {len(mail.mailboxes):,} mailboxes" if len(mail.mailboxes) > 1 else ""
    return f"{mail.count:,} messages / {mail.octets / 1e6:.0f} MB{several}"
