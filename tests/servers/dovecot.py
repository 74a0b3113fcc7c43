"""A private Dovecot on loopback, as often as wanted: any user name, one password, nothing outside
its own directory.

Runs as root (mail then belongs to the user `mail`) and as anybody else. `imap_capability` masks
what it announces, so that one program plays many servers.
"""

from __future__ import annotations

import contextlib
import getpass
import grp
import itertools
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from imapclient.imap_utf7 import encode as mutf7

from tests.servers import certificates
from tests.servers.processes import HOST, Child, ServerFailed, free_ports, kept, workplace

INSTALL: Final = (
    "on Debian or Ubuntu: apt-get install dovecot-imapd dovecot-pop3d (scripts/test does it when"
    " run as root)"
)

POOR: Final = "IMAP4rev1"
"""A server that knows only what RFC 3501 demands."""

PLAIN_UID: Final = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE NAMESPACE LIST-EXTENDED LIST-STATUS"
    " SPECIAL-USE CHILDREN UNSELECT CONDSTORE ESEARCH WITHIN"
)
"""A server that tells no UID of what it appended, and takes one message at a time, each literal
asked for.
"""

_SYSTEM_FLAGS: Final = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
}


class DovecotMissing(RuntimeError):
    """No usable Dovecot on this machine; the message says what to install."""


@dataclass(slots=True)
class Dovecot:
    """A running server.

    Every user name exists and has `password`; `master_user` may log in as anybody (SASL authzid).
    """

    directory: Path
    imap_port: int
    imaps_port: int
    pop3_port: int
    pop3s_port: int
    ca_file: Path
    password: str
    host: str = HOST
    master_user: str = "master"
    master_password: str = "mastersecret"
    _counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def user(self, prefix: str = "u") -> str:
        """Name a user nobody has used, with an empty mailbox."""
        return f"{prefix}{next(self._counter)}"

    def maildir(self, user: str) -> Path:
        """Return where the user's INBOX lies; it exists from the first login or delivery on."""
        return self.directory / "mail" / user / "Maildir"

    def folder(self, user: str, mailbox: str) -> Path:
        """Return where a mailbox lies; "/" parts the names of its path.

        Made when it is not there.
        """
        place = self.maildir(user)
        for directory in (place.parent, place):
            _make(directory)
        if mailbox.upper() != "INBOX":
            place /= "." + ".".join(mutf7(name).decode() for name in mailbox.split("/"))
            _make(place)
            _own(_touched(place / "maildirfolder"))
        for part in ("cur", "new", "tmp"):
            _make(place / part)
        return place

    def deliver(
        self,
        user: str,
        mailbox: str,
        content: bytes,
        *,
        flags: Collection[str] = (),
        internaldate: int = 1_400_000_000,
    ) -> Path:
        """Put a message into a mailbox behind Dovecot's back, byte for byte; returns its file.

        `internaldate` in epoch seconds.

        UIDs follow the order of delivery. Dovecot serves the bytes as they are, but for bare LF
        (becomes CRLF) and NUL.
        """
        place = self.folder(user, mailbox)
        letters = "".join(sorted(_SYSTEM_FLAGS[flag] for flag in flags if flag in _SYSTEM_FLAGS))
        letters += _keyword_letters(place, [flag for flag in flags if flag not in _SYSTEM_FLAGS])
        name = f"1000000000.M{next(self._counter):09}P1.messages,S={len(content)}:2,{letters}"
        draft = place / "tmp" / name
        draft.write_bytes(content)
        os.utime(draft, (internaldate, internaldate))
        _own(draft)
        return draft.rename(place / "cur" / name)

    def forget(self, user: str) -> None:
        """Remove a user's mail from the disk; nobody may be logged in as that user."""
        shutil.rmtree(self.maildir(user).parent, ignore_errors=True)

    def messages(self, user: str, mailbox: str = "INBOX") -> list[bytes]:
        """Read what lies in a mailbox, in the order of its file names."""
        place = self.folder(user, mailbox)
        return [
            file.read_bytes()
            for part in ("cur", "new")
            for file in sorted((place / part).iterdir())
        ]


def _keyword_letters(place: Path, keywords: Collection[str]) -> str:
    """Name keywords as Dovecot does: a line `0 $Forwarded` in dovecot-keywords makes the message
    `a` mean $Forwarded.
    """
    if not keywords:
        return ""
    table = place / "dovecot-keywords"
    known = (
        [line.split(" ", 1)[1] for line in table.read_text().splitlines()] if table.exists() else []
    )
    known += sorted(set(keywords) - set(known))
    table.write_text("".join(f"{number} {name}\n" for number, name in enumerate(known)))
    _own(table)
    return "".join(sorted(chr(ord("a") + known.index(name)) for name in keywords))


def _mail_user() -> tuple[str, str]:
    """Name the user and group that mail belongs to: Dovecot never opens mail as root."""
    if os.geteuid() == 0:
        return "mail", "mail"
    return getpass.getuser(), grp.getgrgid(os.getegid()).gr_name


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        user, group = _mail_user()
        os.chown(path, pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)


def _make(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(mode=0o700)
        _own(directory)


def _touched(path: Path) -> Path:
    path.touch()
    return path


def program() -> str:
    """Find Dovecot. Raises DovecotMissing, which says how to install it."""
    found = shutil.which(
        "dovecot",
        path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]),
    )
    if found is None:
        raise DovecotMissing(f"these tests need Dovecot, and it is not installed; {INSTALL}")
    version = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not re.match(r"2\.3\.", version):
        raise DovecotMissing(
            f"these tests write a configuration for Dovecot 2.3, and {found} is {version}"
        )
    return found


@contextlib.contextmanager
def start(
    directory: Path | None = None,
    imap_capability: str | None = None,
    extra: str = "",
    *,
    password: str = "secret",
    certificate: str = "good",
) -> Iterator[Dovecot]:
    """Run a Dovecot until the context ends. Raises DovecotMissing or ServerFailed.

    `directory` holds its mail (default: a temporary one) and must be reachable for the user `mail`
    when this runs as root. `extra` is appended to the configuration; a section of the same name is
    merged. `certificate` names a field of `Certificates`.
    """
    binary = program()
    with workplace("dovecot-") as own:
        place = directory or own
        _reachable(place)
        for name in ("run", "state"):
            (own / name).mkdir()
        _make(place / "mail")
        known = certificates.make(own)
        file = getattr(known, certificate).file
        for attempt in range(1, 6):
            ports = free_ports(4)
            config = own / "dovecot.conf"
            config.write_text(
                _configuration(own, place, ports, file, imap_capability, password) + extra
            )
            child = Child(kept([binary, "-F", "-c", str(config)]))
            try:
                for port in (ports[0], ports[2]):
                    child.wait_for(port)
            except ServerFailed as error:
                said = f"{error}{_log(own)}"
                # Somebody took one of the ports between our look and Dovecot's.
                if attempt == 5 or "in use" not in said:
                    raise ServerFailed(said) from None
                continue
            with child:
                yield Dovecot(
                    place, ports[0], ports[1], ports[2], ports[3], known.ca_file, password
                )
            return


def _reachable(directory: Path) -> None:
    """Make `directory` open to the mail user; its parents are somebody else's and must be so
    already.
    """
    if os.geteuid() != 0:
        return
    directory.chmod(0o755)
    for parent in directory.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise ServerFailed(
                f"{parent} is closed to the user `mail`, whom Dovecot serves mail as; call start()"
                " without a directory"
            )


def _log(own: Path) -> str:
    log = own / "dovecot.log"
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def _configuration(
    own: Path,
    place: Path,
    ports: list[int],
    certificate: Path,
    capability: str | None,
    password: str,
) -> str:
    user, group = _mail_user()
    imap, imaps, pop3, pop3s = ports
    return f"""\
base_dir = {own}/run
state_dir = {own}/state
instance_name = {own.name}
log_path = {own}/dovecot.log
protocols = imap pop3
listen = {HOST}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{place}/mail/%u/Maildir
mail_fsync = never
first_valid_uid = 1
mail_max_userip_connections = 200
pop3_uidl_format = %08Xu%08Xv
{f"imap_capability = {capability}" if capability else ""}
{"" if os.geteuid() == 0 else _ROOTLESS.format(user=user, group=group)}
passdb {{
  driver = static
  master = yes
  args = password=mastersecret
  result_success = continue
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={place}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
}}
service imap-login {{
  service_count = 0
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 300
}}
service anvil {{
  chroot =
  # Without the socket a wrong password costs the next login nothing; with it, up to 15 seconds.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


_ROOTLESS: Final = """\
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
"""
