"""Paths as a configuration names them: `~` is home, and a relative one starts at the
configuration's own directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _placed(path: Path, info: ValidationInfo) -> Path:
    if not path.parts or "\0" in str(path):
        raise ValueError("must be a path")
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~ and a user whose home is not known") from None
    base = (info.context or {}).get("base")
    return base / path if base is not None else path


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot be read: {path}: {error.strerror}") from None


UserPath = Annotated[Path, AfterValidator(_placed)]
ReadablePath = Annotated[UserPath, AfterValidator(_readable)]
