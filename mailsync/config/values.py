"""What a single value must look like; each check raises ValueError, with words for the person who
wrote it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from mailsync import mapping
from mailsync.config.amounts import duration, size
from mailsync.formats.hosts import ascii_host

LONGEST_NAME: Final = 200


def safe_name(name: str) -> str:
    """Return `name` if it can be one directory on any file system; raises ValueError, with words,
    if not.
    """
    if not name or name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        raise ValueError(
            "must be a plain name: not empty, not beginning with a dot or a dash, no spaces around"
            " it, no dot at the end"
        )
    if re.search(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]', name) or not name.isprintable():
        raise ValueError(
            'must be a single plain name: none of / \\ : * ? " < > | and no control characters'
        )
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"must not be longer than {LONGEST_NAME} bytes")
    return name


def checked_host(host: str) -> str:
    """Return a host name, or an address in its usual form."""
    if "://" in host:
        raise ValueError("must be the host name alone, without the part up to ://")
    bare = host.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if re.fullmatch(r"[^:]+:[0-9]+", host):
        raise ValueError("must be the host name alone; the port has a line of its own, `port:`")
    if not host or re.search(r"[\s/@:\\\x00-\x1f\x7f]", host):
        raise ValueError("must be a host name, such as imap.example.org")
    ascii_host(host)
    return host


def checked_user(name: str) -> str:
    """Return a login name that can stand on a line of a protocol."""
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise ValueError("must not contain control characters")
    return name


def read_seconds(written: object) -> object:
    """Take `90s` and `2m` beside plain seconds."""
    return (
        duration(written)
        if isinstance(written, str) and not re.fullmatch(r"[0-9.]+", written)
        else written
    )


def read_span(written: object) -> object:
    """Take `30d` and the like as seconds."""
    return duration(written) if isinstance(written, str) else written


def read_octets(written: object) -> object:
    """Take `2GB` beside plain octets."""
    return size(written) if isinstance(written, str) and not written.isdigit() else written


def checked_globs(globs: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns of mailboxes that name something."""
    if not globs or not all(glob.removeprefix("!") for glob in globs):
        raise ValueError('must name mailboxes or patterns, such as ["*", "!Spam"]')
    return globs


def checked_names(names: dict[str, str]) -> dict[str, str]:
    """Return names of mailboxes, here and there, that can be names."""
    for name in (*names, *names.values()):
        if not all(mapping.parse_name(name)):
            raise ValueError(
                f"{name!r} is not a mailbox name; levels are parted by / as in Archive/2024"
            )
    return names
