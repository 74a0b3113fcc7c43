"""What pull, push and their like print with `--json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailsync.app.json_schema.shape import Shape


class Tally(Shape):
    """What became of messages."""

    seen: int
    """messages looked at"""
    new: int
    """messages stored, or sent, for the first time"""
    duplicate: int
    """messages that are there already in another copy"""
    matched: int
    """messages recognised without being fetched"""
    mended: int
    """damaged messages fetched anew"""
    repaired: int
    """messages sent as a repaired copy"""
    skipped: int
    """messages left out, each with a note"""
    failed: int
    """messages that could not be brought or sent, each with a note"""
    flags: int
    """messages whose flags changed"""
    gone: int
    """messages that left the server"""
    removed: int
    """messages taken away on the destination since they were sent"""
    octets: int
    """octets stored or sent"""


class Place(Shape):
    """A mailbox, here and there."""

    mailbox: str
    """its name in the archive"""
    to: str
    """its name on the destination, empty for a pull"""


class MailboxTally(Tally, Place):
    """What became of the messages of one mailbox."""


class Note(Shape):
    """One thing a person should know."""

    kind: str
    """what it is about, in a word, such as `failed`, `repaired`, or `imap-instead` (a POP3 login
    that works over IMAP)"""
    mailbox: str
    """the mailbox, or empty"""
    message: str
    """the message, such as `UID 7`, or empty"""
    text: str
    """what happened, in words"""


class Proved(Shape):
    """One mailbox of a migration, proved at its end."""

    mailbox: str
    """the mailbox at the source"""
    to: str
    """its name on the destination"""
    complete: bool
    """whether nothing is missing"""
    at_source: int
    """messages at the source"""
    in_archive: int
    """of these, in the archive"""
    messages: int
    """different messages to be on the destination: these, and of a POP3 account earlier ones too"""
    found: int
    """of these, on the destination"""
    removed: int
    """of these, taken away there since they were sent"""
    compared: int
    """of those found, downloaded and the same; the sizes of the others were compared"""


class RunReport(Shape):
    """What one run did."""

    version: Literal[2]
    """as above"""
    command: str
    """`pull`, `push` or `restore`"""
    account: str
    """whose messages"""
    destination: str
    """where they were sent, empty for a pull"""
    archive: str
    """the directory of the archive"""
    dry_run: bool
    """whether this is only what would be done"""
    started: int
    """when the run began"""
    ended: int
    """when it ended"""
    complete: bool
    """whether everything asked of it is done"""
    exit_code: int
    """what it alone would end the process with"""
    error: str | None
    """what stopped it, in words, else null"""
    total: Tally
    """all mailboxes together"""
    unchanged_mailboxes: int
    """how many mailboxes had no news and were not opened"""
    mailboxes: list[MailboxTally]
    """each mailbox that was"""
    notes: list[Note]
    """what a person should know"""
    notes_dropped: int
    """how many more notes there were"""
    proof: list[Proved] = Field(default_factory=list)
    """migrate: the proof at its end, left out where there was none"""


class Runs(Shape):
    """One report for each account, and for a migration one for each side that was begun."""

    reports: list[RunReport]
    """what each run did"""
