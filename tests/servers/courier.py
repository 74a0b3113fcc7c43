"""A private Courier on loopback: IMAP and POP3 out of Debian's packages, any user name, one
password.

Courier's own login programs ask a daemon whose socket has a fixed place in the system, so a door
of ours takes the login and then hands the connection over to Courier's imapd or pop3d, as
Courier's do.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.servers.debian import unpack
from tests.servers.processes import HOST, Child, end_with_parent, kept, workplace

CAPABILITY: Final = (
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
)
"""What Debian's configuration announces."""

_LITERAL: Final = re.compile(rb"\{([0-9]+)\+?\}\r?\n\Z")


@dataclass(slots=True)
class Courier:
    """A running server. Every user name exists and has `password`."""

    directory: Path
    imap_port: int
    pop3_port: int
    password: str
    host: str = HOST
    delimiter: str = "."
    prefix: str = "INBOX."
    _counter: Iterator[int] = field(default_factory=lambda: count(1))

    def user(self, prefix: str = "u") -> str:
        """Name a user nobody has used, with an empty mailbox."""
        return f"{prefix}{next(self._counter)}"


@contextlib.contextmanager
def start(*, password: str = "secret") -> Iterator[Courier]:
    """Run a Courier until the context ends. Raises PackagesMissing or ServerFailed."""
    with workplace("courier-") as own:
        unpacked = unpack("courier", own)
        mail = own / "mail"
        mail.mkdir()
        account = pwd.getpwnam("mail")
        os.chown(mail, account.pw_uid, account.pw_gid)
        settings = own / "settings.json"
        settings.write_text(
            json.dumps(
                {
                    "mail": str(mail),
                    "password": password,
                    "imapd": unpacked.program("usr/bin/imapd"),
                    "pop3d": _pop3d(unpacked.root),
                    "watcher": unpacked.program("usr/libexec/gam_server"),
                    "environment": unpacked.environment(),
                }
            )
        )
        with Child([sys.executable, "-m", "tests.servers.courier", str(settings)]) as child:
            imap, pop3 = map(int, child.first_line().split())
            yield Courier(mail, imap, pop3, password)


def _pop3d(root: Path) -> str:
    return str(next(file for file in root.rglob("courierpop3d") if file.is_file()))


class _Door:
    """What one client says before Courier takes over, read octet by octet, for what follows the
    login is Courier's to read.
    """

    def __init__(self, sock: socket.socket, settings: dict[str, object]) -> None:
        self.sock = sock
        self.settings = settings

    def line(self) -> bytes:
        """Read a line with its line end; ends the process when the client is gone."""
        said = b""
        while not said.endswith(b"\n"):
            octet = self.sock.recv(1)
            if not octet:
                os._exit(0)
            said += octet
        return said

    def say(self, text: str) -> None:
        self.sock.sendall(f"{text}\r\n".encode())

    def imap(self) -> None:
        """Hold the dialogue until a login, and become imapd."""
        self.say(f"* OK [CAPABILITY {CAPABILITY}] Courier-IMAP ready.")
        while True:
            text = self.line()
            while literal := _LITERAL.search(text):
                if b"+}" not in literal[0]:
                    self.say("+ OK")
                text = text[: literal.start()] + b'"'
                for _ in range(int(literal[1])):
                    text += self.sock.recv(1)
                text += b'"' + self.line()
            tag, _, rest = text.decode().strip().partition(" ")
            word, _, arguments = rest.partition(" ")
            match word.upper():
                case "CAPABILITY":
                    self.say(f"* CAPABILITY {CAPABILITY}\r\n{tag} OK CAPABILITY completed")
                case "NOOP":
                    self.say(f"{tag} OK NOOP completed")
                case "LOGOUT":
                    self.say(f"* BYE Courier-IMAP server shutting down\r\n{tag} OK done")
                    os._exit(0)
                case "LOGIN":
                    user, password = (one.strip('"') for one in arguments.split(" ", 1))
                    if password == self.settings["password"]:
                        self.become("imapd", user, {"IMAPLOGINTAG": tag, "PROTOCOL": "IMAP"})
                    self.say(f"{tag} NO Login failed.")
                case _:
                    self.say(f"{tag} BAD Invalid command")

    def pop3(self) -> None:
        """Hold the dialogue until a login, and become pop3d."""
        self.say("+OK Hello there.")
        user = ""
        while True:
            word, _, argument = self.line().decode().rstrip("\r\n").partition(" ")
            match word.upper():
                case "CAPA":
                    self.say(
                        "+OK Here's what I can do:\r\nTOP\r\nUSER\r\nLOGIN-DELAY 10\r\nPIPELINING"
                        "\r\nUIDL\r\nUTF8 USER\r\nIMPLEMENTATION Courier Mail Server\r\n."
                    )
                case "USER":
                    user = argument
                    self.say("+OK Password required.")
                case "PASS" if argument == self.settings["password"]:
                    self.become("pop3d", user, {"PROTOCOL": "POP3"})
                case "PASS":
                    self.say("-ERR Login failed.")
                case "UTF8":
                    os.environ["UTF8"] = "1"
                    self.say("+OK UTF8 enabled")
                case "QUIT":
                    self.say("+OK Better luck next time.")
                    os._exit(0)
                case _:
                    self.say("-ERR Invalid command.")

    def become(self, name: str, user: str, also: dict[str, str]) -> None:
        """Turn this process into Courier's, as the user `mail`, in the user's home."""
        home = Path(str(self.settings["mail"])) / user
        account = pwd.getpwnam("mail")
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        for place in (home, home / "Maildir", *(home / "Maildir" / p for p in _PARTS)):
            place.mkdir(exist_ok=True)
        os.chdir(home)
        for number in (0, 1):
            os.dup2(self.sock.fileno(), number)
        environment = {
            **os.environ,
            **json.loads(json.dumps(self.settings["environment"])),
            **_OPTIONS,
            **also,
            "AUTHENTICATED": user,
            "AUTHADDR": user,
            "HOME": str(home),
            "MAILDIRPATH": "Maildir",
            "TCPREMOTEIP": HOST,
            "TCPREMOTEPORT": "1",
        }
        program = str(self.settings[name])
        os.execve(program, [program, "Maildir"], environment)


_PARTS: Final = ("cur", "new", "tmp")

_OPTIONS: Final = {
    "IMAP_CAPABILITY": CAPABILITY,
    "IMAP_KEYWORDS": "1",
    "IMAP_USELOCKS": "1",
    "IMAP_UMASK": "022",
    "IMAP_ULIMITD": "0",
    "IMAP_CHECK_ALL_FOLDERS": "0",
    "IMAP_MAILBOX_SANITY_CHECK": "0",
    "IMAP_IDLE_TIMEOUT": "60",
    "HEADERFROM": "X-IMAP-Sender",
}


def main() -> None:
    """Serve until the parent ends; the line printed names the ports, IMAP first."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    listeners = [socket.create_server((HOST, 0), backlog=64) for _ in range(2)]
    print(*(one.getsockname()[1] for one in listeners), flush=True)
    end_with_parent()
    watcher = _watch_files(settings)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    assert watcher.stdin is not None  # open as long as this process lives, and so is the watcher
    if os.fork():  # one process for each protocol
        _accept(listeners[0], settings, "imap")
    _bind_to_parent()
    _accept(listeners[1], settings, "pop3")


def _watch_files(settings: dict[str, dict[str, str]]) -> subprocess.Popen[bytes]:
    """Start the file watcher that Courier asks; without one it waits a second at every step."""
    settings["environment"]["GAM_CLIENT_ID"] = f"mailsync-{os.getpid()}"
    command = [
        "/usr/bin/env",
        *(f"{name}={value}" for name, value in settings["environment"].items()),
        *("setpriv", "--reuid=mail", "--regid=mail", "--clear-groups"),
        *(str(settings["watcher"]), "--notimeout", settings["environment"]["GAM_CLIENT_ID"]),
    ]
    return subprocess.Popen(kept(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def _bind_to_parent() -> None:
    end_with_parent()  # a thread does not live on in a forked process


def _accept(listener: socket.socket, settings: dict[str, object], protocol: str) -> None:
    while True:
        sock, _ = listener.accept()
        if os.fork():
            sock.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        door = _Door(sock, settings)
        try:
            door.imap() if protocol == "imap" else door.pop3()
        finally:
            os._exit(0)


if __name__ == "__main__":
    main()
