"""Servers out of Debian packages that cannot be installed side by side: unpacked into a folder of
their own, nothing installed, nothing of the system's configuration read.

`scripts/test --long` downloads them (`fetched` in scripts/environment.sh), with every package they
need that the machine has not got, into `.servers/NAME` of the checkout.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import ROOT


class PackagesMissing(RuntimeError):
    """The packages were not downloaded, or cannot be used here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The files of the packages of one server below `root`, as they would lie below `/`."""

    root: Path

    def program(self, path: str) -> str:
        """Return where a program lies; `path` is relative to `root`."""
        return str(self.root / path)

    def environment(self) -> dict[str, str]:
        """Return the variables that let its programs find its libraries."""
        places = {file.parent for file in self.root.rglob("lib*.so*")}
        return {"LD_LIBRARY_PATH": os.pathsep.join(sorted(map(str, places)))}


def unpack(name: str, directory: Path) -> Unpacked:
    """Unpack the server `name` below `directory`, where every user can read it.

    Raises PackagesMissing; so it does for everybody but root, whom these servers demand.
    """
    packages = sorted((ROOT / ".servers" / name).glob("*.deb"))
    if not packages:
        raise PackagesMissing(
            f"these tests need the Debian packages of {name} in {ROOT / '.servers' / name};"
            " scripts/test --long downloads them"
        )
    if os.geteuid() != 0:
        raise PackagesMissing(f"{name} begins as root, and this is another user")
    root = directory / "root"
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return Unpacked(root)
