"""Standard streams that may be closed, full or gone: what a command does must not hang on whether
anybody can read about it, and nobody must think that he read all of it.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

from mailsync import exit_codes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def prepare() -> None:
    """Open closed streams on the null device, which also keeps the files of an archive from being
    opened under their numbers, and let no failed write end a command half way.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _occupy(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r+" if number else "r", closefd=False))  # noqa: SIM115
    if os.name == "posix":
        sys.stdout = _lasting(sys.stdout, _Output(1, "wb", closefd=False))
        sys.stderr = _lasting(sys.stderr, _Heedless(2, "wb", closefd=False))


def ended(code: int) -> int:
    """Return what the process ends with, `code` unless what it printed was lost, and say so."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.BROKEN_PIPE
    failure = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(failure, _Output) or failure.error is None:
        return code
    error = failure.error
    sys.stderr.write(
        "mailsync: not all of the report could be written to standard output"
        f" ({error.strerror}); what was done is done\n"
    )
    sys.stderr.flush()
    lost = exit_codes.DISK_FULL if error.errno in _FULL else exit_codes.UNEXPECTED
    return lost if code in {exit_codes.DONE, exit_codes.INCOMPLETE} else code


class _Output(io.FileIO):
    """Standard output: remembers that it could not be written; a reader that went away ends it."""

    error: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes


class _Heedless(io.FileIO):
    """Standard error: what cannot be written is lost, for there is nobody to tell."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _lasting(stream: TextIO, raw: io.FileIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=raw.fileno() == 2 or stream.isatty(),
    )


def _occupy(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
