"""Servers and messages for every test, and the choice between seeded samples (plain run) and every
trial (`--long`).

A missing server is an error here, never a skip: a green run means that the real servers were there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import authorization as authorization_
from tests.servers import certificates as certificates_
from tests.servers import courier as courier_
from tests.servers import cyrus as cyrus_
from tests.servers import dovecot as dovecot_
from tests.servers import mailutils as mailutils_
from tests.servers import pop3 as pop3_
from tests.servers import pymap as pymap_

# How long an example takes, or to make one, is a matter of what else the machine does.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="run the tests marked `long` too: every trial, not the seeded sample",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


_DEATHS: list[str] = []


@pytest.fixture(scope="session")
def record_deaths() -> list[str]:
    """A list whose lines are printed at the end: at how many steps of which work a process died."""
    return _DEATHS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a worker of pytest-xdist hand its lines to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deaths"] = _DEATHS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # A worker that crashed has no output.
    _DEATHS.extend(getattr(node, "workeroutput", {}).get("deaths", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _DEATHS:
        terminalreporter.section("deaths")
        for line in sorted(_DEATHS):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this run tries everything, for tests that choose the number of their trials
    themselves.
    """
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> certificates_.Certificates:
    return certificates_.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def dovecot() -> Iterator[dovecot_.Dovecot]:
    """Dovecot with all it can do. Every test takes a user of its own: `dovecot.user()`."""
    with dovecot_.start() as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_poor() -> Iterator[dovecot_.Dovecot]:
    """Dovecot that announces bare IMAP4rev1."""
    with dovecot_.start(imap_capability=dovecot_.POOR) as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_plain_uid() -> Iterator[dovecot_.Dovecot]:
    """Dovecot that announces no MULTIAPPEND, no LITERAL+ and no UIDPLUS."""
    with dovecot_.start(imap_capability=dovecot_.PLAIN_UID) as server:
        yield server


@pytest.fixture(scope="session")
def courier() -> Iterator[courier_.Courier]:
    """Courier, for the long trials. Every test takes a user of its own, as with the next two."""
    with courier_.start() as server:
        yield server


@pytest.fixture(scope="session")
def cyrus() -> Iterator[cyrus_.Cyrus]:
    """Cyrus, for the long trials."""
    with cyrus_.start() as server:
        yield server


@pytest.fixture(scope="session")
def mailutils() -> Iterator[mailutils_.Mailutils]:
    """GNU Mailutils, for the long trials."""
    with mailutils_.start() as server:
        yield server


@pytest.fixture(scope="session")
def pymap_server() -> Iterator[pymap_.Pymap]:
    """A pymap shared by all tests, empty at first; a test that needs an account of its own calls
    `pymap.start()`.
    """
    with pymap_.start() as server:
        yield server


@pytest.fixture
def pop3_server(tmp_path: Path) -> Iterator[Callable[..., pop3_.Pop3]]:
    """A function that starts a POP3 server holding the given messages: `pop3_server(messages, …)`;
    options as in `pop3.start`.
    """
    with ExitStack() as stack:

        def begin(messages: Sequence[bytes] = (), **options: object) -> pop3_.Pop3:
            directory = tmp_path / f"pop3-{len(list(tmp_path.glob('pop3-*')))}"
            return stack.enter_context(pop3_.start(messages, directory=directory, **options))  # type: ignore[arg-type]

        yield begin


@pytest.fixture(scope="session")
def _authorization() -> Iterator[authorization_.AuthorizationServer]:
    with authorization_.start() as running:
        yield running


@pytest.fixture(scope="session")
def token_dovecot(
    _authorization: authorization_.AuthorizationServer,
) -> Iterator[dovecot_.Dovecot]:
    """A Dovecot that takes the access tokens of `authorization`, and its password too."""
    with authorization_.dovecot(_authorization) as running:
        yield running


@pytest.fixture
def authorization(
    _authorization: authorization_.AuthorizationServer,
) -> authorization_.AuthorizationServer:
    """An authorization server that a test may change as it likes."""
    _authorization.reset()
    return _authorization
