"""One lie, one command, and the judgement: the end is right, or the run names what is wrong and
does not end with 0; and never a traceback, a secret, an endless run, a lost or a doubled message.

Each trial ends with a run against a server that tells the truth again: what the lie kept out must
come then.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.lie_meter import Meter
from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import PASSWORD, USER, Liar, Lie, Mail
from tests.servers.lies import QUOTES, TWO_WORDS
from tests.servers.processes import HOST
from tests.system.cli_home import ROOT, Home

PATIENCE: Final = 1.5
"""Seconds of silence that the configurations of the trials allow a server, at the least; more on a
machine so busy that an honest run takes its time.
"""

REWRITING: Final = {
    "a missing Message-ID is added",
    "the subject is rewritten",
    "octets beyond ASCII in a header become X",
}
"""Lies of a destination that keeps another form of the message: that counts as the message."""

_LISTING_ONLY: Final = {
    "imap": {
        "a body is cut to its half, and so is its literal",
        "a body is empty",
        "a body is cut and the literal is not",
        "a literal announces more than comes",
        "a body is NIL",
        "a literal announces nine exabytes",
        "each body comes under its neighbour's UID",
        "a message nobody listed comes with those asked for",
        "the connection breaks in the middle of a body",
    },
    "pop3": {
        "a surplus -ERR comes before the first message",
        "each RETR brings the next message",
        "RETR is cut short",
        "RETR is empty",
        "dots are not doubled",
        "answers end in LF alone",
        "TOP gives another header",
        "RETR never ends",
        "RETR is one endless line",
        "the connection breaks in the middle of a message",
        "the server sends an octet every 0.7 s",
        "the second message cannot be read",
    },
}
"""Lies about what `verify` does not ask for: it compares listings."""

_UNASKED: Final = {
    "DELE is OK and nothing is deleted": {"pull", "verify", "migrate from"},
    "DELE deletes the next message": {"pull", "verify", "migrate from"},
    "TOP gives another header": {"migrate from"},
}
"""POP3: commands that never ask what these lies would be an answer to."""

INCOMPLETE: Final = 3
CHANGED: Final = "sending again is no use"
"""What is said of a message that the server changed twice: it is not sent a third time."""

COMMANDS: Final = ("pull", "verify", "migrate from", "delete_after", "delete_after later")
TO: Final = ("push", "restore", "migrate to")
NAMED: Final = b"Fe A&AwE-rger "
"""A mailbox whose name destinations like to respell."""

AVOIDED: Final = {"APPEND is refused while a mailbox is open for reading"}
"""Lies that nobody hears who does as mailsync does: that is how they end well."""


def mailbox() -> list[tuple[bytes, bytes]]:
    """Make the messages of the trials: no two of one size, one without a Message-ID, one without a
    Received line, one with a header beyond ASCII, one with a line of one dot.
    """
    found = [(b"INBOX", plain(number) + b"more\r\n" * number) for number in range(10)]
    head = b"Date: Mon, 1 Jan 2018 10:00:00 +0000\r\nFrom: a@example.org\r\n"
    found += [
        (b"INBOX", head + b"Subject: no id\r\n\r\nDoor 7 is open.\r\n"),
        (b"INBOX", head + b"Subject: dots\r\nMessage-ID: <d@x>\r\n\r\none\r\n.\r\ntwo\r\n"),
        (b"INBOX", head + "Subject: Größe\r\nMessage-ID: <8@x>\r\n\r\nbody\r\n".encode()),
        (b"INBOX", plain(11) + b"last\r\n"),
    ]
    found += [(b"Work", plain(number) + b"work\r\n" * (number - 15)) for number in range(20, 23)]
    found += [(TWO_WORDS, plain(40)), (QUOTES, plain(41) + b"quotes\r\n")]
    return [*found, (NAMED, plain(30) + b"named\r\n" * 25)]


@dataclass(frozen=True, slots=True)
class Done:
    """A run of the command; `code` None when it had to be stopped."""

    code: int | None
    said: str


class Runner:
    """Runs commands in a `lie_child`, and counts what is said meanwhile in `meter`."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory()
        file = Path(self._place.name) / "meter"
        self.meter = Meter.made(file)
        self._slowest = 0.0
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.lie_child", str(file)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def patience(self) -> float:
        """How many seconds of silence a server is allowed: many times what an honest run took."""
        return max(PATIENCE, 8 * self._slowest)

    def honestly(self, home: Home, *arguments: str) -> Done:
        """Run a command against servers that tell the truth, and learn how busy the machine is."""
        began = time.monotonic()
        done = self.run(home, *arguments)
        self._slowest = max(self._slowest / 2, time.monotonic() - began)
        return done

    def run(self, home: Home, *arguments: str) -> Done:
        """Run a command to its end, or until it is seen to have none."""
        self.meter.begin()
        asked = {
            "home": str(home.directory),
            "environment": home.environment(),
            "arguments": arguments,
            "bound": 20 * self.patience,
        }
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(asked) + "\n")
        self._child.stdin.flush()
        code = json.loads(self._child.stdout.readline())
        said = "".join(
            (home.directory / name).read_text(errors="replace") for name in ("out", "err")
        )
        return Done(code, said)

    def close(self) -> None:
        """Let the child end."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(20)
        self._child.stdout.close()
        self._place.cleanup()


@dataclass(slots=True)
class Trial:
    """What happened: the exit codes in their order, how the runs under the lie ended (exit code,
    and whether all was there that should be), how the one that was told the truth, and all that is
    not as it should be.
    """

    home: Home
    runner: Runner
    codes: list[int | None] = field(default_factory=list)
    ends: list[tuple[int | None, bool]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    told: int = 0
    truth: int | None = None

    def account(self, server: Liar, protocol: str, more: str = "") -> str:
        """Write the settings of an account on a server."""
        server.spent, server.pause = self.runner.meter.said, self.runner.meter.paused
        return (
            f"protocol: {protocol}, host: {HOST}, port: {server.port}, security: none,"
            f" username: {USER}, password: {PASSWORD}, timeout: {self.runner.patience:g}{more}"
        )

    def honestly(self, *arguments: str) -> None:
        """Make a run that has to end with 0, no lie being told."""
        done = self.runner.honestly(self.home, *arguments)
        assert done.code == 0, done
        self.codes.append(done.code)

    def run(self, *arguments: str) -> Done:
        """Make a run, and judge what it says."""
        done = self.runner.run(self.home, *arguments)
        self.codes.append(done.code)
        if done.code is None:
            self.found(f"{arguments[0]} does not end")
        if "Traceback" in done.said or "a mistake in mailsync" in done.said:
            where = done.said.find("a mistake in mailsync")
            self.found(f"{arguments[0]}: {done.said[max(0, where) :][:60].strip()}")
        if done.code is not None and done.code < 0:
            self.found(f"{arguments[0]} dies of signal {-done.code}")
        if done.code and not done.said.strip():
            self.found(f"{arguments[0]} ends with {done.code} and says nothing")
        for place in _leaks(done.said, self.home.directory):
            self.found(f"the password stands in {place}")
        return done

    def later(self, seconds: float) -> None:
        """Let the next run be so much later."""
        self.runner.meter.waited(seconds)

    def found(self, what: str) -> None:
        """Note something that is not as it should be."""
        if what not in self.findings:
            self.findings.append(what)


def _secrets() -> list[bytes]:
    plainly = PASSWORD.encode()
    sasl = base64.b64encode(b"\0" + USER.encode() + b"\0" + plainly)
    return [plainly.lower(), sasl.lower(), base64.b64encode(plainly).lower()]


def _leaks(said: str, directory: Path) -> list[str]:
    secrets = _secrets()
    places = ["the output"] if any(one in said.lower().encode() for one in secrets) else []
    for file in directory.rglob("*"):
        if file.is_file() and file.name not in {"mailsync.yaml", "out", "err"}:
            content = file.read_bytes().lower()
            if any(one in content for one in secrets):
                places.append(file.name)
    return places


def _filled(messages: Iterable[tuple[bytes, bytes]]) -> Mail:
    mail = Mail()
    for name, content in messages:
        mail.put(name, content, [b"\\Flagged"] if len(content) % 2 else [])
    return mail


def _start(mail: Mail, protocol: str) -> Liar:
    return liar.imap(mail) if protocol == "imap" else liar.pop3(mail)


def _truth(mail: Mail, protocol: str) -> set[bytes]:
    if protocol == "pop3":
        return {liar.ended(one.content) for one in mail.box(b"INBOX").messages}
    return {content for _, content in mail.contents()}


def _hidden(lies: Iterable[Lie]) -> bool:
    return any(lie.hidden for lie in lies)


def _before(lies: Iterable[Lie], mail: Mail, coming: list[tuple[bytes, bytes]]) -> None:
    for lie in lies:
        if lie.before:
            lie.before(mail, coming)


def _between(lies: Iterable[Lie], mail: Mail) -> None:
    for lie in lies:
        if lie.between:
            with mail.lock:
                lie.between(mail)


def _compare(
    trial: Trial, what: str, code: int | None, wanted: set[bytes], got: set[bytes], may: set[bytes]
) -> None:
    """Demand of a run that ended with 0 that everything wanted was brought, and nothing else but
    what may be.
    """
    missing, foreign = wanted - got, got - may
    trial.ends.append((code, not missing))
    if code != 0:
        return
    if missing:
        trial.found(f"{what} ends with 0 and lacks {len(missing)} of {len(wanted)}")
    if foreign:
        trial.found(f"{what} ends with 0 and keeps {len(foreign)} no server ever had")


def _pull(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    protocol = lies[0].protocol
    mail = _filled(messages)
    with _start(mail, protocol) as server:
        trial.home.configure(a=trial.account(server, protocol))
        server.set(*lies)
        wanted: set[bytes] = set()
        ever = {content for lie in lies for content in lie.more}
        for number in (1, 2):
            before = _truth(mail, protocol)
            code = trial.run("pull", "a").code
            now = _truth(mail, protocol)
            ever |= before | now
            # What was there all the time, and what was there when a run ended with 0.
            there = set() if _hidden(lies) else wanted | (before & now)
            _compare(trial, f"pull {number}", code, there, set(trial.home.archived("a")), ever)
            wanted |= before & now if code == 0 else set()
            if number == 1:
                _between(lies, mail)
        _told(trial, server, lies)
        server.set()
        code = trial.truth = trial.run("pull", "a").code
        if code != 0:
            trial.found(f"once the server tells the truth, pull ends with {code}")
        elif _truth(mail, protocol) - set(trial.home.archived("a")):
            trial.found("once the server tells the truth, pull ends with 0 and still lacks some")


def _told(trial: Trial, server: Liar, lies: tuple[Lie, ...]) -> None:
    trial.told = server.told + sum(bool(lie.before or lie.between) for lie in lies)


def _verify(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    protocol = lies[0].protocol
    mail = _filled(messages)
    with _start(mail, protocol) as server:
        trial.home.configure(a=trial.account(server, protocol))
        trial.honestly("pull", "a")
        mail.put(b"INBOX", plain(77))
        _between(lies, mail)
        server.set(*lies)
        code = trial.run("verify", "a", "--remote").code
        _told(trial, server, lies)
        trial.ends.append((code, False))
        if code == 0 and not _hidden(lies):
            trial.found("verify --remote ends with 0 though the server has a message more")


def _delete_after(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    _delete(trial, lies, messages, late=False)


def _delete_later(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    _delete(trial, lies, messages, late=True)


def _delete(
    trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]], *, late: bool
) -> None:
    mail = _filled(one for one in messages if one[0] == b"INBOX")
    with _start(mail, "pop3") as server:
        trial.home.configure(a=trial.account(server, "pop3", ", keep: {delete_after: 1h}"))
        ever = _truth(mail, "pop3")
        if late:
            trial.honestly("pull", "a")
        else:
            server.set(*lies)
            trial.run("pull", "a")
            if any(lie.between for lie in lies) and trial.codes != [0]:
                ever = set()  # replaced by others before any run had seen them all
        _between(lies, mail)
        ever |= _truth(mail, "pop3")
        if late:
            server.set(*lies)
        for _ in range(2):
            trial.later(7200)
            code = trial.run("pull", "a").code
            archived = set(trial.home.archived("a"))
            trial.ends.append((code, _truth(mail, "pop3") <= archived))
        _told(trial, server, lies)
        lost = ever - archived - _truth(mail, "pop3")
        if lost:
            trial.found(f"{len(lost)} messages are neither on the server nor in the archive: LOST")


def _expected(lies: Iterable[Lie], content: bytes) -> bytes:
    for lie in lies:
        if lie.keep and lie.name in REWRITING:
            content = lie.keep(content)[0]
    return content


def _copies(lies: Iterable[Lie], mail: Mail, wanted: set[bytes]) -> dict[bytes, int]:
    """Count how often each message is on a destination."""
    there = Counter(content for _, content in mail.contents().elements())
    either = {content: {content, _expected(lies, content)} for content in wanted}
    return {content: sum(there[form] for form in forms) for content, forms in either.items()}


def _lacking(lies: Iterable[Lie], mail: Mail, wanted: set[bytes]) -> int:
    return sum(not number for number in _copies(lies, mail, wanted).values())


def _arrived(
    trial: Trial, what: str, code: int | None, lies: tuple[Lie, ...], mail: Mail, wanted: set[bytes]
) -> None:
    """Demand of a run that ended with 0 that the destination has everything, and of any that it
    has nothing twice.
    """
    copies, lacking = _copies(lies, mail, wanted), _lacking(lies, mail, wanted)
    if code == 0 and lacking:
        trial.found(f"{what} ends with 0 and {lacking} of {len(wanted)} are not there")
    allowed = max([len(lie.keep(b"x")) for lie in lies if lie.keep] or [1])
    doubled = sum(number > max(1, allowed) for number in copies.values())
    if doubled:
        trial.found(f"{what} leaves {doubled} of {len(wanted)} doubled")


def _send(
    trial: Trial,
    server: Liar,
    lies: tuple[Lie, ...],
    arguments: tuple[str, ...],
    messages: list[tuple[bytes, bytes]],
    coming: list[tuple[bytes, bytes]],
) -> None:
    """Send twice under the lies, then once to a server that tells the truth."""
    mail = server.mail
    contents = {content for _, content in messages}
    _before(lies, mail, coming)
    server.set(*lies)
    for number in (1, 2):
        code = trial.run(*arguments).code
        _arrived(trial, f"{arguments[0]} {number}", code, lies, mail, contents)
        trial.ends.append((code, not _lacking(lies, mail, {one for _, one in messages})))
        if code == INCOMPLETE and any(lie.removed for lie in lies):
            contents = set()
        if number == 1:
            _between(lies, mail)
            if arguments[0] == "push" and any(lie.between and not lie.removed for lie in lies):
                # A push looks at what it sends; later changes are for `migrate` and `restore`.
                contents = set()
    _told(trial, server, lies)
    server.set()
    done = trial.run(*arguments)
    trial.truth = done.code
    if done.code != 0 and not (done.code == INCOMPLETE and CHANGED in done.said):
        trial.found(f"once the server tells the truth, {arguments[0]} ends with {done.code}")
    _arrived(trial, f"{arguments[0]} 3, told the truth,", done.code, lies, mail, contents)


def _begun(messages: list[tuple[bytes, bytes]]) -> tuple[Mail, list[tuple[bytes, bytes]]]:
    """Make a destination that has every fourth message, and tell which are still to come."""
    return _filled(messages[1::4]), [one for one in messages if one not in messages[1::4]]


def _push(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    there, coming = _begun(messages)
    with _start(_filled(messages), "imap") as source, _start(there, "imap") as server:
        trial.home.configure(
            old=trial.account(source, "imap"),
            new=trial.account(server, "imap", ", archive: unused"),
        )
        trial.honestly("pull", "old")
        _send(trial, server, lies, ("push", "old", "new"), messages, coming)


def _restore(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    with _start(_filled(messages), "imap") as server:
        trial.home.configure(a=trial.account(server, "imap"))
        trial.honestly("pull", "a")
        mail = server.mail
        with mail.lock:
            lost = [(b"INBOX", one.content) for one in mail.box(b"INBOX").messages[::2]]
            del mail.box(b"INBOX").messages[::2]
            # A mailbox that is there no more, and one whose name destinations like to respell.
            for name in {b"Work", NAMED} & mail.boxes.keys():
                lost += [(name, one.content) for one in mail.boxes.pop(name).messages]
        _send(trial, server, lies, ("restore", "a"), messages, lost)


def _migrate_to(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    there, coming = _begun(messages)
    with _start(_filled(messages), "imap") as source, _start(there, "imap") as server:
        trial.home.configure(
            old=trial.account(source, "imap"),
            new=trial.account(server, "imap", ", archive: unused"),
        )
        _send(trial, server, lies, ("migrate", "old", "new"), messages, coming)


def _migrate_from(trial: Trial, lies: tuple[Lie, ...], messages: list[tuple[bytes, bytes]]) -> None:
    protocol = lies[0].protocol
    with _start(_filled(messages), protocol) as server, _start(Mail(), "imap") as destination:
        trial.home.configure(
            old=trial.account(server, protocol),
            new=trial.account(destination, "imap", ", archive: unused"),
        )
        server.set(*lies)
        arguments = ("migrate", "old", "new")
        before = _truth(server.mail, protocol)
        code = trial.run(*arguments).code
        _told(trial, server, lies)
        now = _truth(server.mail, protocol)
        got = {content for _, content in destination.mail.contents()}
        may = before | now | {content for lie in lies for content in lie.more}
        _compare(trial, "migrate 1", code, set() if _hidden(lies) else before & now, got, may)
        server.set()
        code = trial.truth = trial.run(*arguments).code
        if code != 0:
            trial.found(f"once the server tells the truth, migrate ends with {code}")
        _arrived(
            trial,
            "migrate 2, told the truth,",
            code,
            (),
            destination.mail,
            _truth(server.mail, protocol),
        )


_WAYS: Final[dict[str, Callable[[Trial, tuple[Lie, ...], list[tuple[bytes, bytes]]], None]]] = {
    "pull": _pull,
    "verify": _verify,
    "migrate from": _migrate_from,
    "delete_after": _delete_after,
    "delete_after later": _delete_later,
    "push": _push,
    "restore": _restore,
    "migrate to": _migrate_to,
}


def commands(lie: Lie) -> list[str]:
    """Name the commands a lie can be told to."""
    found = []
    if lie.side in {"source", "both"}:
        found += ["pull", "verify"]
        found += [] if lie.between else ["migrate from"]
        found += ["delete_after", "delete_after later"] if lie.protocol == "pop3" else []
    if lie.side in {"destination", "both"}:
        found += ["push", "restore", "migrate to"]
    unasked = _UNASKED.get(lie.name, set()) if lie.protocol == "pop3" else set()
    if lie.name in _LISTING_ONLY[lie.protocol]:
        unasked = unasked | {"verify"}
    return [one for one in found if one not in unasked]


def tried(
    lies: tuple[Lie, ...],
    command: str,
    directory: Path,
    runner: Runner,
    messages: list[tuple[bytes, bytes]] | None = None,
) -> Trial:
    """Try lies on a command; `directory` is an empty home."""
    runner.meter.reset()
    trial = Trial(Home(directory), runner)
    _WAYS[command](trial, lies, mailbox() if messages is None else messages)
    return trial
