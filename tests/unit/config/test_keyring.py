from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import keyring
import keyring.core
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked, PasswordSetError

from mailsync.config import keyring as ours
from mailsync.config.secrets import FromKeyring, reveal
from mailsync.errors import ConfigError


class Ring(KeyringBackend):
    """A key ring in memory; `kept` is what it holds."""

    priority = 5.0

    def __init__(self, kept: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept = kept if kept is not None else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class PlainText(Ring):
    priority = 0.5


class Locked(Ring):
    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002  the library's signature
        raise KeyringLocked("the collection\nis locked")

    def set_password(self, service: str, username: str, password: str) -> None:  # noqa: ARG002  the library's signature
        raise PasswordSetError("the collection is locked")


class Several(Ring):
    """The library's way to ask several backends."""

    def __init__(self, *backends: KeyringBackend) -> None:
        super().__init__()
        self.backends = list(backends)

    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002  the library's signature
        raise AssertionError("would ask the one of plain text too")


@pytest.fixture
def uses() -> Iterator[Callable[[KeyringBackend], None]]:
    before = keyring.core._keyring_backend
    yield keyring.set_keyring
    keyring.core._keyring_backend = before


FOUND = {("mail", "alice"): "hunter2"}


def test_the_password_is_looked_up_under_service_and_user_name(
    uses: Callable[[KeyringBackend], None],
) -> None:
    uses(Ring(FOUND))
    assert reveal(FromKeyring(keyring="mail"), "home", {}, "alice") == "hunter2"


def test_what_is_kept_is_found_again(uses: Callable[[KeyringBackend], None]) -> None:
    uses(Ring())
    ours.keep("mail", "alice", "s3cret", "home")
    assert ours.entry("mail", "alice", "home") == "s3cret"


def test_a_missing_entry_is_told_with_the_command_that_makes_it(
    uses: Callable[[KeyringBackend], None],
) -> None:
    uses(Ring(FOUND))
    with pytest.raises(ConfigError, match="put it there with: keyring set mail bob"):
        reveal(FromKeyring(keyring="mail"), "home", {}, "bob")


@pytest.mark.parametrize(
    "backend",
    [PlainText(FOUND), NoKeyring(), Several(PlainText(FOUND))],  # type: ignore[no-untyped-call]
)
def test_a_key_ring_that_keeps_nothing_secret_is_refused(
    backend: KeyringBackend, uses: Callable[[KeyringBackend], None]
) -> None:
    uses(backend)
    with pytest.raises(ConfigError, match=r"no key ring here .* \{credential: NAME\}") as caught:
        ours.entry("mail", "alice", "home")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="no key ring here"):
        ours.keep("mail", "alice", "s3cret", "home")


def test_of_several_key_rings_only_the_safe_ones_are_asked(
    uses: Callable[[KeyringBackend], None],
) -> None:
    plain, safe = PlainText(FOUND), Ring({("mail", "alice"): "from the safe one"})
    uses(Several(plain, safe))
    assert ours.entry("mail", "alice", "home") == "from the safe one"
    ours.keep("mail", "alice", "new", "home")
    assert plain.kept == FOUND


def test_a_locked_key_ring_is_told(uses: Callable[[KeyringBackend], None]) -> None:
    uses(Locked())
    with pytest.raises(ConfigError, match=r"cannot be used \(the collection is locked\): unlock"):
        ours.entry("mail", "alice", "home")
    with pytest.raises(ConfigError, match=r"cannot be used \(the collection is locked\): unlock"):
        ours.keep("mail", "alice", "s3cret", "home")


def test_a_key_ring_that_waits_for_ever_is_not_waited_for(
    uses: Callable[[KeyringBackend], None],
) -> None:
    unlocked = threading.Event()

    class Waiting(Ring):
        def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002  the library's signature
            unlocked.wait()
            return None

    uses(Waiting())
    try:
        with pytest.raises(ConfigError, match=r"gave no answer in 0\.05 s: unlock it"):
            ours.entry("mail", "alice", "home", patience=0.05)
    finally:
        unlocked.set()


def test_without_the_library_the_way_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install 'mailsync-archive\[keyring\]'"):
        reveal(FromKeyring(keyring="mail"), "home", {}, "alice")
