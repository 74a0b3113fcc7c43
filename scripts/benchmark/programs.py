"""The programs that are measured, and how each is told to do the work: same messages, kept in a
folder, nothing deleted on the server.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from scripts.benchmark.mailboxes import batches, files
from scripts.benchmark.record import OURS, WIRE

Protocol = Literal["imap", "pop3"]
MAILSYNC: Final = [sys.executable, "-m", "mailsync.cli.main"]
_WIRE: Final = [sys.executable, "-I", str(Path(__file__).with_name("wire.py"))]
_SAFE: Final = "every message fsynced"


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom to log in; `ca_file` stands for TLS from the first octet."""

    protocol: Protocol
    port: int
    user: str
    password: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """One way to pull.

    `pull` writes what the program must know into a folder and gives its command; `kept` reads what
    it left there.

    `waits`: it waits for each message. `keeps` says what is safe on a disk when it ends; a `peer`
    keeps as much as mailsync does. `version` is a command that tells its version, none for what is
    part of this checkout.
    """

    name: str
    protocols: tuple[Protocol, ...]
    pull: Callable[[Path, Login], list[str]]
    kept: Callable[[Path], Iterator[bytes]]
    keeps: str
    version: tuple[str, ...] = ()
    waits: bool = False
    peer: bool = True

    @property
    def installed(self) -> bool:
        """Whether it can be run here."""
        return not self.version or shutil.which(self.version[0]) is not None

    def told_version(self) -> str:
        """Ask the program for its version: the first number with a dot in what it says."""
        done = subprocess.run(self.version, capture_output=True, text=True, check=False, timeout=60)
        words = [word for word in done.stdout.split() if word[0].isdigit() and "." in word]
        return words[0].split("+")[0] if words else "?"


def account(login: Login, more: str = "") -> str:
    """Describe a login in mailsync's configuration; the password stands in the environment."""
    security = f"tls, ca_file: {login.ca_file}" if login.ca_file else "none"
    return (
        f"{{protocol: {login.protocol}, host: 127.0.0.1, port: {login.port}, security: {security}, "
        f"username: {login.user}, password: {{env: BENCH}}{more}}}"
    )


def mailsync(folder: Path, verb: Sequence[str], **accounts: str) -> list[str]:
    """Write a configuration and give a command."""
    lines = "".join(f"  {name}: {text}\n" for name, text in accounts.items())
    (folder / "mailsync.yaml").write_text(
        f"archive: {{root: {folder / 'archives'}}}\naccounts:\n{lines}"
    )
    return [*MAILSYNC, "--config", str(folder / "mailsync.yaml"), "-q", *verb]


def _mailsync(folder: Path, login: Login) -> list[str]:
    return mailsync(folder, ["pull"], a=account(login))


def archived(folder: Path) -> Iterator[bytes]:
    """Read every message of mailsync's archive of the account `a`."""
    return files(folder / "archives" / "a" / "mail")


def wire(folder: Path, login: Login) -> list[str]:  # noqa: ARG001  it keeps nothing
    """Fetch with the bare socket."""
    return _bare(login.protocol, login)


def wire_look(login: Login) -> list[str]:
    """Ask for the state of all mailboxes with the bare socket."""
    return _bare("look", login)


def wire_push(login: Login, tree: Path, *, several: bool) -> list[str]:
    """Append a tree of Maildirs with the bare socket."""
    return [*_bare("push", login), "--tree", str(tree), *(["--several"] if several else [])]


def _bare(work: str, login: Login) -> list[str]:
    return [
        *_WIRE,
        work,
        str(login.port),
        login.user,
        login.password,
        *(["--tls"] if login.ca_file else []),
    ]


def _mbsync(folder: Path, login: Login) -> list[str]:
    return mbsync_sync(folder, login, "Pull", folder)


def mbsync_sync(
    folder: Path, login: Login, direction: Literal["Pull", "Push"], state: Path
) -> list[str]:
    """Sync `folder`/mail with a login, fsync on as it is by default; what was synced is remembered
    in `state`.
    """
    (folder / "mail").mkdir(exist_ok=True)
    (state / "sync").mkdir(exist_ok=True)
    tls = f"SSLType IMAPS\nCertificateFile {login.ca_file}\n" if login.ca_file else "SSLType None\n"
    create = "Near" if direction == "Pull" else "Far"
    (state / "mbsyncrc").write_text(
        f"IMAPAccount a\nHost {'localhost' if login.ca_file else '127.0.0.1'}\nPort"
        f" {login.port}\nUser {login.user}\nPass {login.password}\nAuthMechs"
        f" PLAIN\n{tls}\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath {folder}/mail/\nInbox"
        f" {folder}/mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :far:\nNear :near:\nPatterns"
        f" *\nCreate {create}\nSync {direction}\nSyncState {state}/sync/\n"
    )
    return ["mbsync", "-q", "-c", str(state / "mbsyncrc"), "c"]


def _offlineimap(folder: Path, login: Login) -> list[str]:
    tls = (
        f"ssl = yes\nsslcacertfile = {login.ca_file}\n"
        if login.ca_file
        else "ssl = no\nstarttls = no\n"
    )
    (folder / "offlineimaprc").write_text(
        f"[general]\naccounts = a\nui = quiet\nmetadata = {folder}/state\nfsync ="
        " true\nmaxsyncaccounts = 1\n\n[Account a]\nlocalrepository = near\nremoterepository ="
        f" far\n\n[Repository near]\ntype = Maildir\nlocalfolders = {folder}/mail\n\n[Repository"
        " far]\ntype = IMAP\nreadonly = True\nremotehost ="
        f" {'localhost' if login.ca_file else '127.0.0.1'}\nremoteport = {login.port}\nremoteuser ="
        f" {login.user}\nremotepass = {login.password}\nauth_mechanisms = PLAIN\n{tls}"
    )
    return ["offlineimap", "-c", str(folder / "offlineimaprc"), "-o"]


def _maildir(folder: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (folder / "mail" / part).mkdir(parents=True, exist_ok=True)
    return folder / "mail"


def _getmail(folder: Path, login: Login) -> list[str]:
    tls = "SSL" if login.ca_file else ""
    kind = f"SimplePOP3{tls}Retriever"
    (folder / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {login.port}\nusername ="
        f" {login.user}\npassword = {login.password}\n\n[destination]\ntype = Maildir\npath ="
        f" {_maildir(folder)}/\n\n[options]\nverbose = 0\ndelete = false\nread_all ="
        " false\nreceived = false\ndelivered_to = false\n"
    )
    command = ["getmail", "--getmaildir", str(folder), "--rcfile", "getmailrc"]
    if os.geteuid() != 0:
        return command
    # It refuses to deliver as root.
    owner = pwd.getpwnam("mail")
    for one in (folder, *folder.rglob("*")):
        os.chown(one, owner.pw_uid, owner.pw_gid)
    return [
        "setpriv",
        f"--reuid={owner.pw_uid}",
        f"--regid={owner.pw_gid}",
        "--clear-groups",
        *command,
    ]


def _mpop(folder: Path, login: Login) -> list[str]:
    config = folder / "mpoprc"
    config.touch(0o600)
    config.write_text(
        f"account a\nhost 127.0.0.1\nport {login.port}\nuser {login.user}\npassword"
        f" {login.password}\nauth user\nkeep on\npipelining auto\nreceived_header off\nuidls_file"
        f" {folder}/uidls\ndelivery maildir {_maildir(folder)}\n"
        + (
            f"tls on\ntls_starttls off\ntls_trust_file {login.ca_file}\n"
            if login.ca_file
            else "tls off\n"
        )
    )
    return ["mpop", "-Q", "-C", str(config), "a"]


def _fetchmail(folder: Path, login: Login) -> list[str]:
    config = folder / "fetchmailrc"
    config.touch(0o600)
    tls = f"ssl sslcertck sslcertfile {login.ca_file}" if login.ca_file else "sslproto ''"
    config.write_text(
        f"poll localhost service {login.port} protocol {login.protocol} auth password uidl user"
        f" {login.user} password {login.password} {tls} keep fetchall bsmtp {folder}/mail.bsmtp\n"
    )
    return [
        "fetchmail",
        "-s",
        "--nosyslog",
        "-f",
        str(config),
        "--idfile",
        f"{folder}/ids",
        "--pidfile",
        f"{folder}/pid",
    ]


def _delivered(folder: Path) -> Iterator[bytes]:
    return files(folder / "mail")


def _batched(folder: Path) -> Iterator[bytes]:
    return batches(folder / "mail.bsmtp")


_OWN_VERSION: Final = (*MAILSYNC, "--version")
MAILSYNC_PROGRAM: Final = Program(
    OURS,
    ("imap", "pop3"),
    _mailsync,
    archived,
    f"{_SAFE}, hashed, catalogued",
    _OWN_VERSION,
    peer=False,
)
WIRE_PROGRAM: Final = Program(
    WIRE, ("imap", "pop3"), wire, lambda _: iter(()), "nothing", peer=False
)
PEERS: Final[Sequence[Program]] = (
    Program("mbsync", ("imap",), _mbsync, _delivered, _SAFE, ("mbsync", "--version")),
    Program(
        "offlineimap",
        ("imap",),
        _offlineimap,
        _delivered,
        _SAFE,
        ("offlineimap", "--version"),
        waits=True,
    ),
    Program("mpop", ("pop3",), _mpop, _delivered, _SAFE, ("mpop", "--version")),
    # Over IMAP it hangs now and then, waiting for a child it forked, and takes another port for
    # another account.
    Program(
        "getmail", ("pop3",), _getmail, _delivered, _SAFE, ("getmail", "--version"), waits=True
    ),
    Program(
        "fetchmail",
        ("pop3",),
        _fetchmail,
        _batched,
        "one file, not fsynced",
        ("fetchmail", "--version"),
        waits=True,
        peer=False,
    ),
)
"""imapsync copies between IMAP servers only: it takes part in pushing and migrating."""


def pulling(protocol: Protocol) -> list[Program]:
    """List the programs that can pull over `protocol` here: mailsync, the bare socket, then its
    peers.
    """
    return [
        program
        for program in (MAILSYNC_PROGRAM, WIRE_PROGRAM, *PEERS)
        if protocol in program.protocols and program.installed
    ]


def versions() -> dict[str, str]:
    """Tell the version of every program that takes part."""
    return {
        program.name: program.told_version()
        for program in (MAILSYNC_PROGRAM, *PEERS)
        if program.installed
    }


def missing() -> list[str]:
    """Name the peers that are not installed here."""
    return [program.name for program in PEERS if not program.installed] + (
        [] if shutil.which("imapsync") else ["imapsync"]
    )
