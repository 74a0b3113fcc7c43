"""What a run did, message by message in numbers, and word by word where a person must know."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from mailsync import exit_codes
from mailsync.errors import MailsyncError
from mailsync.mapping import show
from mailsync.model import Kind, MailboxPath, Stored

JSON_VERSION = 2
NOTES_KEPT = 10_000
"""A run over a broken mailbox may have a remark on every message; of each kind only the number is
kept beyond this many, so that no kind crowds out another.
"""


@dataclass(slots=True)
class Tally:
    """What became of the messages of one mailbox.

    `octets` counts content stored or sent; `seen` every message looked at.
    """

    seen: int = 0
    new: int = 0
    duplicate: int = 0
    matched: int = 0
    mended: int = 0
    repaired: int = 0
    skipped: int = 0
    failed: int = 0
    flags: int = 0
    gone: int = 0
    removed: int = 0
    octets: int = 0
    to: str = ""
    incomplete: bool = False

    def count(self, stored: Stored, octets: int, times: int = 1) -> None:
        """Count what the archive did with a message of `octets`; -1 times takes it back."""
        if stored.kind is Kind.DUPLICATE:
            self.duplicate += times
        elif stored.kind is Kind.MATCHED:
            self.matched += times
        elif stored.kind is Kind.MENDED:
            self.mended += times
            self.octets += times * octets
        else:
            self.new += times
            self.octets += times * octets


@dataclass(frozen=True, slots=True)
class Note:
    """One thing a person should know: about which message of which mailbox, and what.

    `kind` is one word for machines.
    """

    kind: str
    mailbox: str
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class Proved:
    """One mailbox of a migration's source: its messages there, in the archive, and, each different
    message once, as sent and as found.

    `compared` of those found were downloaded and are the same. What was taken away on the
    destination meanwhile counts as `removed`.
    """

    mailbox: MailboxPath
    destination: MailboxPath
    at_source: int
    in_archive: int
    messages: int
    found: int
    removed: int = 0
    compared: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing anywhere."""
        return self.in_archive >= self.at_source and self.found + self.removed == self.messages


@dataclass(slots=True)
class Report:
    """The outcome of one run over one account; `mailboxes` keeps the order in which they were
    met.
    """

    command: str
    account: str
    destination: str = ""
    archive: str = ""
    dry_run: bool = False
    started: int = 0
    ended: int = 0
    mailboxes: dict[MailboxPath, Tally] = field(default_factory=dict)
    unchanged: int = 0
    notes: list[Note] = field(default_factory=list)
    noted: dict[str, int] = field(default_factory=dict)
    error: MailsyncError | None = None
    proof: list[Proved] = field(default_factory=list)
    trouble: bool = False
    """Something asked for was not done: the exit code is not 0."""
    alarmed: bool = False
    """Something needs a person's eye, so that the exit code is not 0 although all is done."""

    def of(self, mailbox: MailboxPath) -> Tally:
        """Return the tally of a mailbox, a new one the first time."""
        return self.mailboxes.setdefault(mailbox, Tally())

    def note(self, kind: str, mailbox: MailboxPath | None, message: str, text: str) -> None:
        """Keep a remark that does not make the run incomplete."""
        self.noted[kind] = self.noted.get(kind, 0) + 1
        if self.noted[kind] <= NOTES_KEPT:
            self.notes.append(Note(kind, show(mailbox) if mailbox else "", message, text))

    def alarm(self, kind: str, mailbox: MailboxPath, text: str) -> None:
        """Keep a remark that a person must see, although all that was asked for is done."""
        self.alarmed = True
        self.note(kind, mailbox, "", text)

    def trouble_with(self, kind: str, mailbox: MailboxPath | None, message: str, text: str) -> None:
        """Keep a remark that makes the run end as incomplete."""
        self.trouble = True
        self.note(kind, mailbox, message, text)

    @property
    def notes_dropped(self) -> int:
        """How many remarks are not among `notes`; `noted` counts all of them by kind."""
        return sum(self.noted.values()) - len(self.notes)

    @property
    def total(self) -> Tally:
        """Add up all mailboxes."""
        total = Tally()
        for tally in self.mailboxes.values():
            for name in _NUMBERS:
                setattr(total, name, getattr(total, name) + getattr(tally, name))
        return total

    @property
    def complete(self) -> bool:
        """Whether everything asked for is done."""
        return self.error is None and not self.trouble

    @property
    def exit_code(self) -> int:
        """Return what the process should end with, for this account alone."""
        return exit_codes.of_run(self.error, complete=not self.trouble, alarmed=self.alarmed)

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values, for `--json` and the catalogue."""
        return {
            "version": JSON_VERSION,
            "command": self.command,
            "account": self.account,
            "destination": self.destination,
            "archive": self.archive,
            "dry_run": self.dry_run,
            "started": self.started,
            "ended": self.ended,
            "complete": self.complete,
            "exit_code": self.exit_code,
            "error": str(self.error) if self.error else None,
            "total": _numbers(self.total),
            "unchanged_mailboxes": self.unchanged,
            "mailboxes": [
                {"mailbox": show(path), "to": tally.to, **_numbers(tally)}
                for path, tally in self.mailboxes.items()
            ],
            "notes": [
                {"kind": n.kind, "mailbox": n.mailbox, "message": n.message, "text": n.text}
                for n in self.notes
            ],
            "notes_dropped": self.notes_dropped,
            **({"proof": [_proved(one) for one in self.proof]} if self.proof else {}),
        }


_NUMBERS = tuple(f.name for f in fields(Tally) if f.type == "int")


def _numbers(tally: Tally) -> dict[str, object]:
    return {name: getattr(tally, name) for name in _NUMBERS}


def _proved(one: Proved) -> dict[str, object]:
    numbers = {
        name: getattr(one, name)
        for name in ("at_source", "in_archive", "messages", "found", "removed", "compared")
    }
    return {
        "mailbox": show(one.mailbox),
        "to": show(one.destination),
        "complete": one.complete,
        **numbers,
    }
