"""The key ring of the desktop, through the library `keyring`.

It is asked for at most 20 seconds, and only where it keeps its secrets from others: without a
desktop the library falls back to backends that refuse everything, or write plain text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from mailsync.errors import ConfigError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

Answer = TypeVar("Answer")

PATIENCE: Final = 20.0
_TRUSTED: Final = 1
"""The priority from which on the library recommends a backend; below lie plain text and nothing."""

_ELSEWHERE: Final = (
    'keep the password elsewhere: {command: "pass show mail"}, {file: path} or {credential: NAME}'
)


def entry(service: str, username: str, whose: str, patience: float = PATIENCE) -> str:
    """Return the password that the key ring keeps for `service` and `username`.

    Raises ConfigError where there is no key ring, none that can be trusted, no entry, or no answer
    within `patience` seconds.
    """
    backends = trusted_backends(whose)

    def look() -> str | None:
        for backend in backends:
            password = backend.get_password(service, username)
            if password is not None:
                return password
        return None

    password = _asked(look, whose, patience)
    if not password:
        raise ConfigError(
            f"the key ring has no password of {whose}; put it there with: keyring set"
            f" {service} {username}"
        )
    return password


def keep(
    service: str, username: str, password: str, whose: str, patience: float = PATIENCE
) -> None:
    """Put a password into the key ring, in place of what `service` and `username` had there.

    Raises ConfigError as `entry` does.
    """
    best = trusted_backends(whose)[0]

    def put() -> None:
        best.set_password(service, username, password)

    _asked(put, whose, patience)


def trusted_backends(whose: str) -> list[KeyringBackend]:
    """Return the key rings that can be used, best first, at least one. Raises ConfigError."""
    try:
        import keyring  # noqa: PLC0415  an extra
    except ImportError:
        raise ConfigError(
            f"the password of {whose} is in the key ring, and the library for it is not installed:"
            f" pip install 'mailsync-archive[keyring]'; or {_ELSEWHERE}"
        ) from None
    chosen = keyring.get_keyring()
    backends = [backend for backend in _members(chosen) if backend.priority >= _TRUSTED]
    if not backends:
        raise ConfigError(
            f"there is no key ring here that could keep the password of {whose} safe (the library"
            f" offers {type(chosen).__module__}); {_ELSEWHERE}"
        )
    return backends


def _members(backend: KeyringBackend) -> Iterator[KeyringBackend]:
    """Yield the backends behind one that asks several: among them may be one that writes plain
    text.
    """
    several = getattr(backend, "backends", None)
    if isinstance(several, list | tuple):
        for one in several:
            yield from _members(one)
    else:
        yield backend


def _asked(question: Callable[[], Answer], whose: str, patience: float) -> Answer:
    """Put a question to the key ring, in a thread that may be left behind: it may wait for somebody
    to unlock it, on a screen where nobody sits.
    """
    from keyring.errors import KeyringError  # noqa: PLC0415  an extra

    answer: Future[Answer] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:  # noqa: BLE001  it is raised again in the thread that waits
            answer.set_exception(error)

    threading.Thread(target=ask, name="keyring", daemon=True).start()
    try:
        return answer.result(patience)
    except TimeoutError:
        raise ConfigError(
            f"the key ring with the password of {whose} gave no answer in {patience:g} s: unlock"
            f" it; or {_ELSEWHERE}"
        ) from None
    except (KeyringError, OSError) as error:
        raise ConfigError(
            f"the key ring with the password of {whose} cannot be used"
            f" ({' '.join(str(error).split()) or type(error).__name__}): unlock it; or {_ELSEWHERE}"
        ) from None
