"""A login on disk: one small file that survives kills, power cuts, full disks and two runs at once.

An authorization server that rotates gives a new refresh token for each one it is brought, and ends
the login when an old one comes again. So whoever refreshes holds a lock from reading to writing,
has the room for the new tokens before it asks, and forces them to the disk before they are used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mailsync.errors import DiskFull, MailsyncError, ServerBusy

VERSION: Final = 1
ROOM: Final = 128 * 1024
"""Octets that are put aside before a server is asked: more than any tokens take."""

EARLY: Final = 300
"""Seconds before its end at which a token is replaced; half its life where that is shorter."""

PATIENCE: Final = 90.0
"""Seconds to wait for another run that refreshes the same login: longer than any request takes."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What one answer of an authorization server gave; times are epoch seconds, `ends` None where
    nobody told.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    obtained: int = 0
    ends: int | None = None

    def is_good(self, now: float) -> bool:
        """Return whether the access token will do for a while yet."""
        if self.ends is None:
            return True
        early = min(EARLY, max(0, self.ends - self.obtained) / 2)
        return now < self.ends - early

    def is_alive(self, now: float) -> bool:
        """Return whether the access token has not ended."""
        return self.ends is None or now < self.ends


def directory(environ: Mapping[str, str], home: Path) -> Path:
    """Return where logins are kept: below $XDG_STATE_HOME, or ~/.local/state."""
    xdg = environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base = Path(xdg) if xdg.startswith("/") else home / ".local" / "state"
    return base / "mailsync" / "tokens"


class TokenFile:
    """The login of `username` at the server of `token_url`, through the client `client_id`.

    The same login serves every account that is configured alike, under whatever name; `account` is
    for messages alone.
    """

    def __init__(
        self,
        place: Path,
        account: str,
        *,
        username: str,
        token_url: str,
        client_id: str,
        scope: str,
    ) -> None:
        self.account = account
        self.about = {"username": username, "token_url": token_url, "client_id": client_id}
        key = "\n".join((*self.about.values(), scope)).encode("utf-8", "surrogateescape")
        name = quote(username, safe="@+", errors="surrogateescape")[:100].lstrip(".")
        self.path = place / f"{name}-{hashlib.sha256(key).hexdigest()[:12]}.json"

    def read(self) -> TokenSet | None:
        """Return the login, or None where there is none that can be read as one."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", error) from None
        return _parsed(raw)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Draft]:
        """Hold the login against other runs, with room for what will be written.

        Raises MailsyncError or DiskFull where nothing could be kept, before anything was asked of
        a server, and ServerBusy when another run holds it for too long.
        """
        with contextlib.ExitStack() as stack:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(self._locked())
                draft = stack.enter_context(_drafted(self.path))
            except OSError as error:
                raise self._unusable("written", error) from None
            yield Draft(self, draft)

    def remove(self, end: Callable[[TokenSet], None]) -> bool:
        """Forget the login, after `end` had it; returns whether there was one."""
        try:
            if not self.path.parent.is_dir():
                return False
            with self._locked():
                kept = self.read()
                if kept is not None:
                    end(kept)
                self.path.unlink()
                _sync_directory(self.path.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unusable("removed", error) from None
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The file itself is replaced at each change, so that the lock lies beside it, and stays.
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServerBusy(
                            self.account, "another run has been renewing this login for too long"
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(lock)

    def _unusable(self, how: str, error: OSError) -> MailsyncError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return DiskFull(
                f"the login of {self.account} cannot be {how}: {self.path}: {error.strerror}"
            )
        return MailsyncError(
            f"the login of {self.account} cannot be {how}: {self.path}: {error.strerror}"
        )


class Draft:
    """The file that will take the login's place, open and with room in it."""

    def __init__(self, file: TokenFile, handle: int) -> None:
        self._file = file
        self._handle = handle

    def keep(self, tokens: TokenSet) -> None:
        """Write the login, force it to the disk, and put it in its place.

        Raises MailsyncError where that fails in spite of the room: then the login may be lost.
        """
        path = self._file.path
        content = {"version": VERSION, **self._file.about, **asdict(tokens)}
        raw = json.dumps(content, indent=1).encode() + b"\n"
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(self._handle, view) :]
            os.ftruncate(self._handle, len(raw))
            os.fsync(self._handle)
            _draft_of(path).replace(path)
            _sync_directory(path.parent)
        except OSError as error:
            raise MailsyncError(
                f"the new login of {self._file.account} cannot be kept: {path}: {error.strerror};"
                f" mend that, and run `mailsync login {self._file.account}`"
            ) from None


def _draft_of(path: Path) -> Path:
    return path.with_suffix(".new")


@contextlib.contextmanager
def _drafted(path: Path) -> Iterator[int]:
    """Open the draft, of which there is one at a time: whoever holds the lock may take an old one
    away.
    """
    draft = _draft_of(path)
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, bytes(ROOM))
        os.fsync(handle)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)
        draft.unlink(missing_ok=True)


def _sync_directory(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parsed(raw: bytes) -> TokenSet | None:
    """Read a login; None for what is none, or comes from a newer version."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("version") != VERSION:
        return None
    access, refresh = told.get("access_token"), told.get("refresh_token")
    obtained, ends = told.get("obtained"), told.get("ends")
    if not (isinstance(access, str) and isinstance(refresh, str) and isinstance(obtained, int)):
        return None
    return TokenSet(access, refresh, obtained, ends if isinstance(ends, int) else None)
