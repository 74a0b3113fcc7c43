"""A name server on loopback that knows what a test tells it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dnslib import QTYPE, RCODE, RR, DNSRecord

from tests.servers.processes import HOST


@dataclass
class NameServer:
    """Listens on `port` (UDP) while it is entered; `zone` has records by name and kind. Names that
    are not in it do not exist, unless `rcode` says what else to answer.
    """

    zone: Mapping[tuple[str, str], Sequence[object]]
    rcode: int = RCODE.NXDOMAIN

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                question, client = self._socket.recvfrom(65_535)
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        asked = DNSRecord.parse(question)
        answer = asked.reply()
        name, kind = str(asked.q.qname).rstrip("."), QTYPE[asked.q.qtype]
        records = self.zone.get((name, kind), ())
        for record in records:
            answer.add_answer(RR(asked.q.qname, asked.q.qtype, rdata=record, ttl=1))
        if not records:
            answer.header.rcode = self.rcode
        packed: bytes = answer.pack()
        return packed
