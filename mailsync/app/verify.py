"""Proving archives: every file against its digest, and, asked to, that the server has nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mailsync import exit_codes
from mailsync.app import stores
from mailsync.app.accounts import Login, Secrets
from mailsync.app.archives import demand_server
from mailsync.app.containment import contained
from mailsync.app.requests import VerifyRequest
from mailsync.archive import Archive, Damage
from mailsync.engine.coverage import Coverage, cover
from mailsync.engine.names import name_of_entry
from mailsync.engine.pull import choose, shows_everything, unmatched
from mailsync.errors import ArchiveNotFound, MailsyncError
from mailsync.mapping import show
from mailsync.model import INBOX, Entry, MailboxPath, UidRef
from mailsync.progress import Progress
from mailsync.stores.base import ListingSource
from mailsync.stores.credentials import Secret

__all__ = ["Comparison", "Coverage", "Proof", "Verification", "name_of_entry", "verify"]


@dataclass(slots=True)
class Proof:
    """What became of one archive, of these accounts: what it holds, and what is wrong with its
    files; `error` where it could not be looked at.
    """

    directory: Path
    accounts: tuple[str, ...] = ()
    messages: int = 0
    files: int = 0
    octets: int = 0
    damages: list[Damage] = field(default_factory=list)
    error: MailsyncError | None = None

    @property
    def damaged(self) -> bool:
        """Whether a message is in danger."""
        return any(one.damaged for one in self.damages)

    @property
    def exit_code(self) -> int:
        """Return what this archive alone ends the process with."""
        if self.damaged:
            return exit_codes.DAMAGED
        return exit_codes.of_run(self.error, complete=True)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "archive": str(self.directory),
            "accounts": list(self.accounts),
            "error": str(self.error) if self.error else None,
            "messages": self.messages,
            "files": self.files,
            "octets": self.octets,
            "damaged": self.damaged,
            "findings": [
                {
                    "path": str(one.path),
                    "digest": one.digest.hex() if one.digest else None,
                    "what": one.what,
                    "damaged": one.damaged,
                }
                for one in self.damages
            ],
        }


@dataclass(slots=True)
class Comparison:
    """One account's server beside its archive; `error` where it could not be looked at,
    `unreadable` the mailboxes it lists in a way that nobody can read, `unmatched` what is to be
    said of the configuration's `mailboxes` that it does not list. `in_files`: it is no server, but
    files, and `unmatched` names those that look like mail and are not read.
    """

    account: str
    mailboxes: list[Coverage] = field(default_factory=list)
    left_out: list[MailboxPath] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    in_files: bool = False
    error: MailsyncError | None = None

    @property
    def complete(self) -> bool:
        """Whether the archive has everything."""
        whole = self.error is None and not self.unreadable and not self.unmatched
        return whole and all(one.complete for one in self.mailboxes)

    @property
    def exit_code(self) -> int:
        """Return what this comparison alone ends the process with."""
        return exit_codes.of_run(self.error, complete=self.complete)

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "account": self.account,
            "error": str(self.error) if self.error else None,
            "complete": self.complete,
            "left_out": [show(path) for path in self.left_out],
            "unreadable": self.unreadable,
            "unmatched": self.unmatched,
            "mailboxes": [_coverage_as_json(one) for one in self.mailboxes],
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a request: a proof for each archive, a comparison for each account whose server
    was asked.
    """

    proofs: tuple[Proof, ...]
    comparisons: tuple[Comparison, ...]
    exit_code: int

    def as_json(self) -> dict[str, object]:
        """Return it as plain values."""
        errors = [str(proof.error) for proof in self.proofs if proof.error]
        return {
            "error": errors[0] if errors else None,
            "reports": [proof.as_json() for proof in self.proofs],
            "remote": [comparison.as_json() for comparison in self.comparisons],
        }


def verify(request: VerifyRequest, secrets: Secrets, progress: Progress) -> Verification:
    """Prove each archive once, and compare each account where that is asked for.

    Changes no message; what is damaged, and which mailboxes lack messages, is remembered for the
    next pull. No error is raised: it stands in what is returned, a missing password's too.
    """
    directories = [login.directory for login in request.accounts]
    if request.archive is not None:
        directories.append(request.archive)
    proofs = {
        place: _prove(place, request.accounts, progress) for place in dict.fromkeys(directories)
    }
    compared = {
        login.name: _compare(login, secrets, progress)
        for login in (request.accounts if request.remote else ())
    }
    steps = {(place, ""): [proof.exit_code] for place, proof in proofs.items()}
    for login in request.accounts:
        if login.name in compared:
            steps.pop((login.directory, ""), None)
            steps[login.directory, login.name] = [
                proofs[login.directory].exit_code,
                compared[login.name].exit_code,
            ]
    code = exit_codes.of_accounts(exit_codes.of_steps(codes) for codes in steps.values())
    return Verification(tuple(proofs.values()), tuple(compared.values()), code)


def _prove(directory: Path, logins: Sequence[Login], progress: Progress) -> Proof:
    names = (login.shown for login in logins if login.directory == directory)
    proof = Proof(directory, tuple(names))
    progress.begin(f"verifying {directory.name}")
    try:
        with contained(partial(setattr, proof, "error")), Archive.read(directory) as opened:
            proof.messages, proof.files, proof.octets = opened.size()
            proof.damages = list(opened.verify(progress))
    finally:
        progress.end()
    return proof


def _compare(login: Login, secrets: Secrets, progress: Progress) -> Comparison:
    comparison = Comparison(login.shown)
    progress.begin(f"comparing with {login.shown}")
    try:
        with contained(partial(setattr, comparison, "error")):
            _compare_into(comparison, login, secrets(login), progress)
    finally:
        progress.end()
    if isinstance(comparison.error, ArchiveNotFound):
        comparison.error = ArchiveNotFound(f"there is no archive of {login.shown} to compare with")
    return comparison


def _compare_into(comparison: Comparison, login: Login, secret: Secret, progress: Progress) -> None:
    with (
        Archive.read(login.directory) as opened,
        closing(stores.source(login, secret, progress)) as source,
    ):
        demand_server(opened, login)
        listed = source.mailboxes()
        comparison.in_files = not shows_everything(source)
        if isinstance(source, ListingSource):
            lines = list(source.unreadable())
            if shows_everything(source):
                comparison.unreadable = lines
            else:
                comparison.unmatched += lines
        if shows_everything(source) and all(mailbox.path != INBOX for mailbox in listed):
            comparison.unreadable.append("INBOX, which every account has, is not listed")
        comparison.unmatched += unmatched(listed, login.globs)
        chosen = choose(listed, login.globs, ())
        paths = {mailbox.path for mailbox in chosen}
        comparison.left_out = [
            mailbox.path for mailbox in listed if mailbox.selectable and mailbox.path not in paths
        ]
        live = {box.path: box.live for box in opened.mailboxes(login.name)}
        found = cover(source, opened.last_known(login.name), live, chosen)
        comparison.mailboxes = [with_restored(one, opened, login.ledger_key) for one in found]
        # A pull that trusts its counters would not see what they do not tell.
        opened.doubt(
            login.name,
            [one.mailbox for one in comparison.mailboxes if one.missing or one.short],
        )


def with_restored(one: Coverage, archive: Archive, destination: str) -> Coverage:
    """Return a comparison in which what was restored since the last pull is not missing: the server
    told its UID then, and the size fits.
    """
    if not one.missing or not destination:
        return one
    sent = archive.sent(destination, one.mailbox)
    missing = tuple(
        entry
        for entry in one.missing
        if not isinstance(entry.ref, UidRef)
        or (entry.ref.uidvalidity, entry.ref.uid, entry.size) not in sent
    )
    return replace(one, missing=missing)


def _coverage_as_json(one: Coverage) -> dict[str, object]:
    return {
        "mailbox": show(one.mailbox),
        "on_server": one.on_server,
        "in_archive": one.covered,
        "missing": list(_named(one.missing)),
        "damaged": list(_named(one.damaged)),
        "short_of": one.short,
        "other_flags": one.reflagged,
        "gone_from_server": one.gone,
        "renumbered": one.renumbered,
        "trouble": one.trouble or None,
    }


def _named(entries: Iterable[Entry]) -> Iterator[dict[str, object]]:
    for entry in entries:
        yield {"message": name_of_entry(entry), "octets": entry.size}
