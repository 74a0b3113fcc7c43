"""A server that lost the ends of its messages and not their sizes: somebody hears of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.messages import plain
from tests.servers import liar
from tests.servers.liar import Exchange, Lie, Mail
from tests.system.cli_home import Home


def longer(asked: Exchange, said: list[bytes]) -> list[bytes]:
    """List each message with a tenth more than it has."""
    if asked.name not in {"FETCH", "UID FETCH"}:
        return said
    return [
        re.sub(rb"(RFC822\.SIZE )(\d+)", lambda m: m[1] + b"%d" % more(m[2]), one) for one in said
    ]


def more(size: bytes) -> int:
    return int(size) * 11 // 10


def test_messages_that_are_shorter_than_listed_are_told_of_and_cut_ones_asked_for_again(
    tmp_path: Path,
) -> None:
    home, mail = Home(tmp_path), Mail()
    cut = b"Content-Type: multipart/mixed; boundary=ab\r\n" + plain(1) + b"--ab\r\n\r\nx\r\n"
    mail.put(b"INBOX", plain(2))
    mail.put(b"INBOX", plain(3))
    with liar.imap(mail, Lie("ends lost", "told", "imap", answer=longer)) as source:
        home.configure(
            a=f"protocol: imap, host: 127.0.0.1, port: {source.port}, security: none,"
            f" username: {liar.USER}, password: {liar.PASSWORD}"
        )
        first = home.run("pull", "a")
        assert first.returncode == 0
        assert "! INBOX: 2 messages came shorter than listed" in first.stdout + first.stderr
        mail.put(b"INBOX", cut)
        for _ in range(2):
            second = home.run("pull", "a")
            assert second.returncode == 3
            assert "last of its parts does not end" in second.stdout + second.stderr
