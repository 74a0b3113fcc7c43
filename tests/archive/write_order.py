"""Watching what is done to the disk, in order, and whether a power cut could take any of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Step:
    """One call: what was done, to which path; `source` is the name a file had before."""

    what: str
    path: str
    source: str | None = None


@dataclass
class Recorder:
    """What was done to the disk, in order."""

    steps: list[Step] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, path: str, source: str | None = None) -> None:
        with self.lock:
            self.steps.append(Step(what, path, source))

    def at(self, what: str, path: str) -> int:
        """Return when this was last done."""
        return max(n for n, step in enumerate(self.steps) if (step.what, step.path) == (what, path))

    def all(self, what: str, of: Callable[[str], bool] = lambda _: True) -> list[int]:
        """Return when such a thing was done to such paths."""
        return [n for n, step in enumerate(self.steps) if step.what == what and of(step.path)]


def path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def recording(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return a recorder of every call from now on that writes, names, makes or forces something."""
    recorder = Recorder()

    def watch(name: str, describe: Callable[..., tuple[str, str | None]]) -> None:
        real = getattr(os, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            path, source = describe(*arguments)
            done = real(*arguments, **options)
            recorder.note(name, path, source)
            return done

        monkeypatch.setattr(os, name, watched)

    for name in ("write", "fsync"):
        watch(name, lambda descriptor, *_: (path_of(descriptor), None))
    for name in ("rename", "replace", "link"):
        watch(name, lambda source, target: (str(target), str(source)))
    watch("mkdir", lambda path, *_: (str(path), None))
    opened = os.open

    def opening(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        new = flags & os.O_CREAT and not Path(path).exists()
        descriptor = opened(path, flags, *rest, **options)
        if new:
            recorder.note("create", str(path))
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    return recorder


def losses(recorder: Recorder, tree: Path) -> list[str]:
    """Return what a power cut could take now of the files and directories that were made or written
    below `tree` while `recorder` looked: octets, names, or a name that led to octets before they
    were on disk.
    """
    lost = []
    for path in map(str, tree.rglob("*")):
        steps = list(enumerate(recorder.steps))
        named = [
            (n, step.source)
            for n, step in steps
            if step.path == path and step.what in {"create", "mkdir", "rename", "replace", "link"}
        ]
        if named and not any(
            n > named[-1][0]
            for n, step in steps
            if step.what == "fsync" and step.path == str(Path(path).parent)
        ):
            lost.append(f"the name {path}")
        written_as = named[-1][1] if named and named[-1][1] else path
        ends = named[-1][0] if named and named[-1][1] else len(steps)
        written = [n for n, step in steps if (step.what, step.path) == ("write", written_as)]
        written = [n for n in written if n < ends]
        if written and not any(
            written[-1] < n < ends
            for n, step in steps
            if (step.what, step.path) == ("fsync", written_as)
        ):
            lost.append(f"the octets of {path}")
    return lost
