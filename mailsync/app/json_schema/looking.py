"""What status, list, show and duplicates print with `--json`."""

from __future__ import annotations

from pydantic import Field

from mailsync.app.json_schema.shape import Shape


class AccountState(Shape):
    """How old and how large the archive of one account is."""

    account: str
    """its name"""
    archive: str
    """the directory of its archive"""
    exists: bool
    """whether that is there"""
    messages: int
    """messages that are on the server too"""
    gone: int
    """messages that left it"""
    moved: int
    """of these, messages that live on, in another mailbox or in this one again"""
    octets: int
    """how large the former are"""
    incomplete_mailboxes: int
    """mailboxes whose last pull was not complete"""
    last_complete: int | None
    """when the last complete pull ended"""
    last_run: int | None
    """when the last pull began"""
    last_run_complete: bool
    """whether that was complete"""
    stale: bool
    """whether the last complete pull is older than `--max-age`, or the archive cannot be read"""
    error: str | None
    """why the archive cannot be read (also that there is none), else null"""
    exit_code: int
    """what this account alone would end the process with"""


class States(Shape):
    """Every account."""

    accounts: list[AccountState]
    """each account"""


class ListedMailbox(Shape):
    """One mailbox of the archive."""

    mailbox: str
    """its name"""
    messages: int
    """messages that are on the server too"""
    gone: int
    """messages that left it"""
    moved: int
    """of these, messages that live on, in another mailbox or in this one again"""
    octets: int
    """how large the former are"""
    special_use: list[str]
    r"""such as `\Sent`"""
    subscribed: bool
    """whether it is subscribed"""
    complete_at: int | None
    """when a pull last found it whole"""
    incomplete: bool
    """whether its last pull was not complete"""
    removed: bool
    """whether it is no longer on the server"""


class MovedTo(Shape):
    """Where messages of one mailbox went."""

    mailbox: str
    """that mailbox"""
    messages: int
    """how many"""


class Loss(Shape):
    """What left one mailbox."""

    mailbox: str
    """the mailbox"""
    lost: int
    """messages that live in no other mailbox now"""
    restored: int
    """messages that `restore` brought back since, which the next pull will find there"""
    moved: list[MovedTo]
    """where the others went"""
    gone_after: str | None
    """the last pull before the first of them vanished, written as `messages[].date`, null if there
    was none"""
    gone_by: str
    """the pull that found the last of them gone"""


class ListedMessage(Shape):
    """One message in one mailbox."""

    mailbox: str
    """the mailbox it is in"""
    digest: str
    """its SHA-256"""
    octets: int
    """its size"""
    flags: list[str]
    r"""such as `\Seen`"""
    internaldate: int
    """when it arrived"""
    date: str
    """the same, as `2026-03-01T08:00:00+00:00`"""
    message_id: str
    """its Message-ID"""
    subject: str
    """its subject"""
    sender: str
    """who sent it"""
    number: int = Field(alias="copy")
    """which of several copies in that mailbox"""
    gone: bool
    """whether it left the server"""
    gone_after: str | None
    """the last pull that saw it there, written as `date`, null if none did"""
    gone_by: str | None
    """the pull that found it gone, written as `date`, null if it is there"""


class Listed(Shape):
    """Without a choice the mailboxes, else the messages, and what the mailboxes lost of such
    messages. Where no message matches, `exit_code` is 4, and `error` says what else there is.
    """

    mailboxes: list[ListedMailbox] = Field(default_factory=list)
    """each mailbox, where nothing is chosen"""
    as_of: str | None = None
    """which pull a choice as of a time goes by, in words, else null"""
    losses: list[Loss] = Field(default_factory=list)
    """what left each chosen mailbox, of the chosen messages; those that are gone are counted here
    also where they are not chosen"""
    messages: list[ListedMessage] = Field(default_factory=list)
    """each chosen message"""


class MessagePlace(Shape):
    """One mailbox that a message is in, or was."""

    mailbox: str
    """its name"""
    flags: list[str]
    r"""such as `\Seen`, as they are or were there"""
    gone: bool
    """whether the message left it"""
    gone_after: str | None
    """the last pull that saw it there, as `2026-03-01T08:00:00+00:00`, null if none did"""
    gone_by: str | None
    """the pull that found it gone, written so too, null if it is there"""


class MessageAttachment(Shape):
    """One thing that a message carries."""

    name: str
    """its name, made safe for a file"""
    type: str
    """such as `application/pdf`"""
    octets: int
    """its size"""
    saved: str | None
    """with `--attachments`, the file it was written to, else null"""


class Shown(Shape):
    """One message."""

    digest: str
    """its SHA-256"""
    octets: int
    """its size"""
    places: list[MessagePlace]
    """each mailbox of the account that it is in, or was"""
    headers: dict[str, str]
    """the main headers that it has, by name, decoded"""
    text: str
    """its text, safe for a terminal; `[1]` stands behind words that lead to the first of `links`"""
    links: list[str]
    """where the links of its text lead that do not say so themselves"""
    attachments: list[MessageAttachment]
    """what it carries beside its text"""


class SameMessage(Shape):
    """One message in several places, stored once."""

    digest: str
    """the SHA-256 of the one that is stored"""
    subject: str
    """its subject"""
    message_id: str
    """its Message-ID"""
    places: int
    """in how many places it is"""
    contents: int
    """in how many forms it came"""
    octets_saved: int
    """what storing it once saves"""
    mailboxes: list[str]
    """the mailboxes it is in"""


class LookAlike(Shape):
    """One of several messages that bear one Message-ID."""

    message_id: str
    """that Message-ID"""
    digest: str
    """the SHA-256 of one of them"""
    subject: str
    """its subject"""
    sender: str
    """who sent it"""
    octets: int
    """its size"""
    mailboxes: list[str]
    """the mailboxes it is in"""


class Duplicates(Shape):
    """What is stored once, and what only looks the same."""

    account: str
    """the account"""
    same: list[SameMessage]
    """messages in several places, stored once"""
    different: list[LookAlike]
    """different messages that bear one Message-ID"""
