"""A key ring in a file, for the library `keyring`: named by PYTHON_KEYRING_BACKEND."""

from __future__ import annotations

import json
from pathlib import Path

from keyring.backend import KeyringBackend


class FileRing(KeyringBackend):
    """Keeps everything in ring.json in the home directory; a test's own, and so good enough."""

    priority = 5.0

    @property
    def _file(self) -> Path:
        return Path.home() / "ring.json"

    def _kept(self) -> dict[str, str]:
        kept: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps({**self._kept(), f"{service}/{username}": password}))
