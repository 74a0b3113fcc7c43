"""The wire's limit: a bare socket that sends what must be sent, waits for nothing it can do
without, and keeps nothing.

`wire.py imap|pop3|push|look PORT USER PASSWORD …`: no archive, no parsing, no disk, no certificate
checked.
"""

from __future__ import annotations

import argparse
import base64
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


class Line:
    """A connection whose greeting has been read."""

    def __init__(self, port: int, *, tls: bool) -> None:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = (
                ssl.CERT_NONE
            )  # the limit of the wire, not of a client that takes care
            sock = context.wrap_socket(sock)
        self.sock = sock
        self._buffer = bytearray(_CHUNK)
        self.until(b"\n")

    def until(self, mark: bytes) -> bytes:
        """Read on until `mark` has come; returns what was read."""
        read = b""
        while mark not in read:
            data = self.sock.recv(65536)
            if not data:
                sys.exit(f"the line ended: {read[-300:]!r}")
            read += data
        return read

    def drain(self) -> tuple[int, bytes]:
        """Read to the end; returns the octets and the last of them."""
        total, tail = 0, b""
        while size := self.sock.recv_into(self._buffer):
            total += size
            tail = (tail + self._buffer[max(0, size - 400) : size])[-400:]
        return total, tail


def _log_in(line: Line, user: str, password: str, more: bytes) -> bytes:
    secret = base64.b64encode(f"\0{user}\0{password}".encode())
    line.sock.sendall(b"a AUTHENTICATE PLAIN " + secret + b"\r\n" + more + b"b NOOP\r\n")
    return line.until(b"b OK")


def imap(line: Line, user: str, password: str) -> None:
    """Fetch every message of every mailbox: the list with the login, then all mailboxes in one
    flight.
    """
    listed = _log_in(line, user, password, b'c LIST "" "*"\r\n')
    names = re.findall(rb'^\* LIST \([^)]*\) (?:"."|NIL) (.+)\r$', listed, re.MULTILINE)
    asked = b"".join(
        b"d EXAMINE %s\r\ne UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n" % name
        for name in names
    )
    line.sock.sendall(asked + b"f LOGOUT\r\n")
    total, tail = line.drain()
    if b"f OK" not in tail:
        sys.exit(f"not all came: {tail!r}")
    print(total)


def look(line: Line, user: str, password: str) -> None:
    """Ask how every mailbox stands: all that a night without news needs."""
    _log_in(
        line,
        user,
        password,
        b'c LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))\r\n',
    )
    line.sock.sendall(b"f LOGOUT\r\n")
    line.drain()


def pop3(line: Line, user: str, password: str) -> None:
    """Fetch every message: the count with the login, then all messages in one flight."""
    line.sock.sendall(f"USER {user}\r\nPASS {password}\r\nSTAT\r\nNOOP\r\n".encode())
    said = b""
    while said.count(b"\n") < 4:
        said += line.until(b"\n")
    count = int(said.split(b"\n")[2].split()[1])
    line.sock.sendall(
        b"".join(b"RETR %d\r\n" % number for number in range(1, count + 1)) + b"QUIT\r\n"
    )
    total, tail = line.drain()
    if b"+OK Logging out" not in tail:
        sys.exit(f"not all came: {tail!r}")
    print(total)


def push(line: Line, user: str, password: str, tree: Path, *, several: bool) -> None:
    """Append every message of a Maildir++ tree without waiting for any answer; `several` in one
    command (MULTIAPPEND).
    """
    _log_in(line, user, password, b"")
    folders = sorted(path for path in (tree, *tree.iterdir()) if (path / "cur").is_dir())
    for folder in folders:
        name = b'"%s"' % (folder.name[1:] if folder != tree else "INBOX").encode()
        files = list((folder / "cur").iterdir())
        if not files:
            continue
        line.sock.sendall(b"c CREATE " + name + b"\r\n" if folder != tree else b"")
        for octets in _appends(name, files, several=several):
            line.sock.sendall(octets)
    line.sock.sendall(b"f LOGOUT\r\n")
    _, tail = line.drain()
    if b"f OK" not in tail:
        sys.exit(f"not all went: {tail!r}")


def _appends(name: bytes, files: list[Path], *, several: bool) -> Iterator[bytes]:
    for number, file in enumerate(files):
        content = file.read_bytes()
        begin = b"d APPEND " + name if not several or number == 0 else b""
        end = b"\r\n" if not several or number == len(files) - 1 else b""
        yield b'%s (\\Seen) "01-Jan-2020 00:00:00 +0000" {%d+}\r\n%s%s' % (
            begin,
            len(content),
            content,
            end,
        )


def main() -> None:
    """Do one of the four."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["imap", "pop3", "push", "look"])
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    parser.add_argument("password")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--several", action="store_true")
    options = parser.parse_args()
    line = Line(options.port, tls=options.tls)
    if options.work == "push":
        push(line, options.user, options.password, options.tree, several=options.several)
    else:
        {"imap": imap, "pop3": pop3, "look": look}[options.work](
            line, options.user, options.password
        )


if __name__ == "__main__":
    main()
