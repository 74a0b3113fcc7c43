"""A private Cyrus on loopback: IMAP and POP3 out of Debian's packages, any user name, one password,
an INBOX made at the first login.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.servers.debian import Unpacked, unpack
from tests.servers.processes import HOST, Child, ServerFailed, free_ports, kept, workplace

_BINARIES: Final = "usr/lib/cyrus/bin"


@dataclass(slots=True)
class Cyrus:
    """A running server. Every user name exists and has `password`."""

    imap_port: int
    pop3_port: int
    password: str
    host: str = HOST
    delimiter: str = "."
    prefix: str = "INBOX."
    _counter: Iterator[int] = field(default_factory=lambda: count(1))

    def user(self, prefix: str = "u") -> str:
        """Name a user nobody has used; the INBOX is made at the first IMAP login."""
        return f"{prefix}{next(self._counter)}"


@contextlib.contextmanager
def start(*, password: str = "secret") -> Iterator[Cyrus]:
    """Run a Cyrus until the context ends. Raises PackagesMissing or ServerFailed."""
    with workplace("cyrus-") as own:
        unpacked = unpack("cyrus", own)
        account = pwd.getpwnam("mail")
        for name in ("conf", "mail", "run", "run/proc", "run/lock", "run/socket"):
            (own / name).mkdir(mode=0o750)
            os.chown(own / name, account.pw_uid, account.pw_gid)
        for attempt in range(1, 6):
            ports = free_ports(2)
            _configure(own, unpacked, ports)
            child = Child(kept(_command(own, unpacked)))
            try:
                with _passwords(own / "run/socket/mux", password):
                    for port in ports:
                        child.wait_for(port)
                    with child:
                        yield Cyrus(ports[0], ports[1], password)
            except ServerFailed as error:
                if attempt == 5 or "in use" not in str(error):
                    raise
                continue
            return


def _command(own: Path, unpacked: Unpacked) -> list[str]:
    return [
        "/usr/bin/env",
        *(f"{key}={value}" for key, value in unpacked.environment().items()),
        f"CYRUS_USER={pwd.getpwnam('mail').pw_name}",
        unpacked.program(f"{_BINARIES}/master"),
        "-C",
        str(own / "imapd.conf"),
        "-M",
        str(own / "cyrus.conf"),
        "-p",
        str(own / "master.pid"),
    ]


def _configure(own: Path, unpacked: Unpacked, ports: list[int]) -> None:
    (own / "imapd.conf").write_text(f"""\
configdirectory: {own}/conf
proc_path: {own}/run/proc
mboxname_lockpath: {own}/run/lock
idlesocket: {own}/run/socket/idle
notifysocket: {own}/run/socket/notify
lmtpsocket: {own}/run/socket/lmtp
defaultpartition: default
partition-default: {own}/mail
cyrus_user: mail
altnamespace: no
unixhierarchysep: no
popminpoll: 0
autocreate_quota: 0
allowplaintext: yes
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {own}/run/socket/mux
sasl_mech_list: PLAIN LOGIN
servername: mail.test
""")
    binaries = unpacked.program(_BINARIES)
    config = f"-C {own}/imapd.conf"
    imap, pop3 = ports
    (own / "cyrus.conf").write_text(f"""\
START {{
  recover cmd="{binaries}/ctl_cyrusdb {config} -r"
}}
SERVICES {{
  imap cmd="{binaries}/imapd {config}" listen="{HOST}:{imap}" prefork=0 maxchild=100
  pop3 cmd="{binaries}/pop3d {config}" listen="{HOST}:{pop3}" prefork=0 maxchild=50
}}
EVENTS {{
}}
""")


@contextlib.contextmanager
def _passwords(place: Path, password: str) -> Iterator[None]:
    """Answer as saslauthd does, at the socket `place`, until the context ends: every user has
    `password`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place))
        place.chmod(0o777)
        listener.listen(64)

        def answer() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock, contextlib.suppress(OSError, struct.error):
                    words = [_word(sock) for _ in range(4)]
                    said = b"OK" if words[1] == password.encode() else b"NO"
                    sock.sendall(struct.pack("!H", len(said)) + said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
    place.unlink(missing_ok=True)


def _word(sock: socket.socket) -> bytes:
    (length,) = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))
    return sock.recv(length, socket.MSG_WAITALL) if length else b""
