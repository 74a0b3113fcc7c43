"""Seeded mailboxes of realistic messages: median 5 KB, a tail of attachments; text, HTML and
base64.
"""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Iterator

_TEXT = (
    "the of and to in is that for it as was with be by on not he his but at are this have from or"
    " had an they which you were message meeting invoice holiday garden archive river morning"
    " number winter table question answer project travel report"
)
_WORDS = tuple(_TEXT.split())


def messages(count: int, octets: int, seed: int, largest: int = 15_000_000) -> Iterator[bytes]:
    """Make `count` messages of about `octets` in all; the same seed makes the same messages."""
    rng = random.Random(seed)
    sizes = [
        min(largest, max(600, int(rng.lognormvariate(math.log(5_000), 1.9)))) for _ in range(count)
    ]
    scale = (octets - 600 * count) / max(1, sum(size - 600 for size in sizes))
    for number, size in enumerate(sizes):
        yield _message(rng, number, seed, 600 + int((size - 600) * scale))


def _message(rng: random.Random, number: int, seed: int, size: int) -> bytes:
    day, second = rng.randrange(1, 29), rng.randrange(86_400)
    when = (
        f"{day:02}"
        f" {rng.choice(('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct'))}"
        f" {rng.randrange(2004, 2026)}"
    )
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    kind = rng.choice(["text", "text", "html"]) if size < 20_000 else "base64"
    head = (
        f"Received: from mx{rng.randrange(9)}.example.org by mail.example.org with ESMTPS id"
        f" {rng.getrandbits(60):015x}; {when} {clock} +0000\r\nDate: {when} {clock} +0000\r\nFrom:"
        f" Correspondent {rng.randrange(200)} <c{rng.randrange(200)}@example.org>\r\nTo: Alice"
        " <alice@example.org>\r\nSubject:"
        f" {' '.join(rng.choices(_WORDS, k=rng.randrange(2, 8)))}\r\nMessage-ID:"
        f" <{seed}.{number}.{rng.getrandbits(48):012x}@example.org>\r\nMIME-Version: 1.0\r\n"
    )
    if kind == "base64":
        head += (
            "Content-Type: application/octet-stream;"
            ' name="attachment.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        )
        body = base64.encodebytes(rng.randbytes(max(0, size - len(head)) * 37 // 51)).replace(
            b"\n", b"\r\n"
        )
        return head.encode() + body
    tag = "html" if kind == "html" else "plain"
    head += f"Content-Type: text/{tag}; charset=utf-8\r\n\r\n"
    lines: list[str] = []
    have = len(head)
    while have < size:
        line = " ".join(rng.choices(_WORDS, k=11))
        lines.append(f"<p>{line}</p>" if kind == "html" else line)
        have += len(lines[-1]) + 2
    return (head + "\r\n".join(lines) + "\r\n").encode()
