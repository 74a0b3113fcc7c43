"""What disk and SQLite raise becomes an ArchiveError, here and nowhere else."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from mailsync.archive.catalogue_error import catalogue_error
from mailsync.archive.storage.disk import disk_error

RLock: TypeAlias = AbstractContextManager[bool]
P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Rooted")


class translated:  # noqa: N801  reads as the word it is, and is used for every message: a generator would cost ten times as much
    """Turn what disk and SQLite raise in this block into ours, with the path in question."""

    __slots__ = ("_place",)

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise disk_error(error, self._place) from error
        if isinstance(error, sqlite3.Error):
            raise catalogue_error(error, self._place) from error


class Rooted(Protocol):
    """Something that lives in an archive at `_root` and takes its turn there, since a pull and a
    push may share it.
    """

    _root: Path
    _turn: RLock


def guarded(method: Callable[Concatenate[R, P], T]) -> Callable[Concatenate[R, P], T]:
    """Make a method wait for its turn, and raise as `translated` does."""

    @functools.wraps(method)
    def wrapper(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._turn, translated(self._root):
            return method(self, *args, **kwargs)

    return wrapper
