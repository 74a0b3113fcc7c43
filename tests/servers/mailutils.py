"""A private GNU Mailutils on loopback: imap4d and pop3d out of Debian's packages, user names as
many as wanted, one password, mail in Maildir folders.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.servers.debian import unpack
from tests.servers.processes import HOST, Child, ServerFailed, free_ports, kept, workplace

PASSWORD: Final = "secret"
_CRYPTED: Final = "$1$mailsync$DDkRxo7aMfqJKOvAc9Rj7/"
_DOMAIN: Final = "mail.test"


@dataclass(slots=True)
class Mailutils:
    """A running server; a user exists from `user` on."""

    directory: Path
    passwords: Path
    imap_port: int
    pop3_port: int
    password: str = PASSWORD
    host: str = HOST
    delimiter: str = "/"
    prefix: str = ""
    _counter: Iterator[int] = field(default_factory=lambda: count(1))

    def user(self, prefix: str = "u") -> str:
        """Make a user with an empty mailbox; returns the name to log in with."""
        name = f"{prefix}{next(self._counter)}"
        account = pwd.getpwnam("mail")
        home = self.directory / name
        home.mkdir(mode=0o700)
        (home / "INBOX").touch()
        for place in (home, home / "INBOX"):
            os.chown(place, account.pw_uid, account.pw_gid)
        with self.passwords.open("a") as file:
            file.write(
                f"{name}:{_CRYPTED}:{account.pw_uid}:{account.pw_gid}::{home}:/bin/sh:"
                f"{home}/INBOX\n"
            )
        return f"{name}@{_DOMAIN}"


@contextlib.contextmanager
def start() -> Iterator[Mailutils]:
    """Run both programs until the context ends. Raises PackagesMissing or ServerFailed."""
    with workplace("mailutils-") as own, ExitStack() as children:
        unpacked = unpack("mailutils", own)
        mail, passwords = own / "mail", own / "passwords"
        for place in (mail, passwords):
            place.mkdir()
            place.chmod(0o755)
        ports = []
        for name in ("imap4d", "pop3d"):
            for attempt in range(1, 6):
                (port,) = free_ports(1)
                config = own / f"{name}.conf"
                config.write_text(_configuration(own, passwords, name, port))
                program = unpacked.program(f"usr/sbin/{name}")
                environment = [f"{key}={one}" for key, one in unpacked.environment().items()]
                child = Child(
                    kept(["/usr/bin/env", *environment, program, f"--config-file={config}"])
                )
                try:
                    child.wait_for(port)
                except ServerFailed as error:
                    if attempt == 5 or "in use" not in str(error):
                        raise
                    continue
                children.enter_context(child)
                ports.append(port)
                break
        yield Mailutils(mail, passwords / _DOMAIN, ports[0], ports[1])


def _configuration(own: Path, passwords: Path, name: str, port: int) -> str:
    return f"""\
mode daemon;
foreground yes;
max-children 100;
pidfile {own}/{name}.pid;
logging {{
  syslog no;
}};
locking {{
  type kernel;
}};
tcp-wrappers {{
  enable no;
}};
auth {{
  authentication clear;
  authentication generic:virtdomain;
  authorization clear;
  authorization virtdomain;
}};
virtdomain {{
  passwd-dir {passwords};
}};
server {HOST}:{port} {{
  single-process no;
}};
"""
