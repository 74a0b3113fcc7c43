"""Certificates for loopback: a good one, and the three that no client may accept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificate:
    """One PEM file holding a private key and its chain, as every server here wants it."""

    file: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """`ca_file` vouches for `good`, `expired` and `wrong_name`; `untrusted` is signed by a
    stranger.
    """

    ca_file: Path
    good: Certificate
    expired: Certificate
    wrong_name: Certificate
    untrusted: Certificate


def make(directory: Path) -> Certificates:
    """Write the whole set into `directory`, for the names localhost and 127.0.0.1."""
    ca, stranger = trustme.CA(), trustme.CA()
    ca_file = directory / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)

    def write(name: str, leaf: trustme.LeafCert) -> Certificate:
        file = directory / f"{name}.pem"
        file.touch(0o600)
        leaf.private_key_and_cert_chain_pem.write_to_path(file)
        return Certificate(file)

    return Certificates(
        ca_file,
        good=write("good", ca.issue_cert("localhost", "127.0.0.1", common_name="localhost")),
        expired=write(
            "expired",
            ca.issue_cert("localhost", "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)),
        ),
        wrong_name=write("wrong-name", ca.issue_cert("mail.example.org")),
        untrusted=write("untrusted", stranger.issue_cert("localhost", "127.0.0.1")),
    )
