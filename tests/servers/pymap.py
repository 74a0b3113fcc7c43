"""pymap, an in-memory IMAP server, in a child process: no root, byte-exact storage, MULTIAPPEND,
UIDPLUS, OBJECTID, no CONDSTORE.

Imports nothing that is needed for tests only, so that the demo can use it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.servers.processes import HOST, Child, ServerFailed, end_with_parent, free_ports


@dataclass(frozen=True, slots=True)
class Pymap:
    """A running server with one account."""

    port: int
    user: str
    password: str
    host: str = HOST


@contextlib.contextmanager
def start(
    user: str = "demouser", password: str = "demopass", *, demo_data: bool = False
) -> Iterator[Pymap]:
    """Run a pymap until the context ends: one account, empty unless `demo_data` asks for pymap's
    own sample mail.
    """
    for attempt in range(1, 6):
        (port,) = free_ports(1)
        child = Child(
            [
                sys.executable,
                "-m",
                "tests.servers.pymap",
                str(port),
                user,
                password,
                *(["--demo-data"] if demo_data else []),
            ]
        )
        try:
            child.wait_for(port)
        except ServerFailed as error:
            if attempt == 5 or "in use" not in str(error):
                raise
            continue
        with child:
            yield Pymap(port, user, password)
        return


def _serve(port: str, user: str, password: str, *options: str) -> None:
    from pymap.main import main  # noqa: PLC0415  only the child needs it

    end_with_parent()
    sys.argv = [
        "pymap",
        "--no-tls",
        "--host",
        HOST,
        "--port",
        port,
        "--no-service",
        "managesieve",
        "--no-service",
        "admin",
    ]
    sys.argv += ["dict", "--demo-user", user, "--demo-password", password, *options]
    main()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
