"""What makes two contents the same message, and what recognises a message by its header alone.

Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from mailsync.formats import header
from mailsync.formats.mime import parts_digest

TRACE_FIELDS: Final = frozenset(
    (
        b"received received-spf return-path delivered-to x-delivered-to x-original-to envelope-to"
        b" x-envelope-to x-envelope-from delivery-date authentication-results x-google-smtp-source"
        b" x-received x-forwarded-to x-forwarded-for arc-seal arc-message-signature"
        b" arc-authentication-results dkim-signature domainkey-signature x-google-dkim-signature"
        b" dkim-filter x-gm-message-state status x-status x-uid x-uidl x-imap x-imapbase x-keywords"
        b" x-mozilla-status x-mozilla-status2 x-mozilla-keys x-gmail-labels x-gm-thrid x-gm-labels"
        b" x-spam-status x-spam-level x-spam-score x-spam-flag x-spam-checker-version x-spam-report"
        b" x-virus-scanned x-virus-status content-length lines x-mailsync x-mailsync-repaired"
        b" x-mailsync-rebuilt x-account-key x-evolution x-evolution-source x-kmail-identity x-tuid"
        b" x-folder x-getmail-retrieved-from-mailbox x-apple-content-length x-gmail-received"
    ).split()
)
"""Fields that a message's way adds, not its writer: two deliveries of one message differ in these.
"""

SIGNATURES: Final = frozenset(
    (
        b"dkim-signature arc-seal arc-message-signature domainkey-signature x-google-dkim-signature"
    ).split()
)
"""Trace fields that prove something of the message they stand in, and prove it of its octets only.
"""

Pieces: TypeAlias = Iterable[tuple[bytes, bytes]]

_HIGH: Final = bytes(range(128)) + b"X" * 128
_HIGH_NAME: Final = bytes(range(128)) + b"x" * 128
_SPACE: Final = re.compile(rb"[ \t\r\n]+")
_BINARY: Final = re.compile(
    rb"^content-transfer-encoding:[ \t]*binary", re.IGNORECASE | re.MULTILINE
)
_SAID_KEPT: Final = 64
_ENCODING: Final = b"content-transfer-encoding"
_NOBODY: Final = hashlib.sha256(b"\n").digest()[:16]
"""The recipients of a message that names none."""


def digest(content: bytes) -> bytes:
    """Return the SHA-256 of a content: 32 octets."""
    return hashlib.sha256(content).digest()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All that recognises a content, from one pass over it: see `identity`, `message_id_key`,
    `presence_key`.

    `header` is 16 octets of the SHA-256 of its header block; `subject` and `sender` are raw.
    `signed`: it bears one of SIGNATURES. `delivered`: it bears a Received field, whose queue id no
    other message has.
    """

    digest: bytes
    identity: bytes
    message_id: str
    presence: bytes
    header: bytes
    subject: bytes
    sender: bytes
    signed: bool
    delivered: bool


def header_digest(block: bytes) -> bytes:
    """Return 16 octets that recognise an equal header block."""
    return hashlib.sha256(block).digest()[:16]


def fingerprint(content: bytes) -> Fingerprint:
    """Read a content once, for storing it."""
    own = digest(content)
    block = header.block(content)
    pieces = list(header.pieces(block))
    lasting = [piece for piece in pieces if piece[0] not in TRACE_FIELDS]
    first = dict(reversed(pieces))
    return Fingerprint(
        own,
        _identity(pieces, content, len(block), own),
        _message_id_key(lasting),
        _presence_key(lasting if (stored := _as_stored(block)) == block else header.fields(stored)),
        header_digest(block),
        first.get(b"subject", b""),
        first.get(b"from", b""),
        not SIGNATURES.isdisjoint(first),
        b"received" in first,
    )


def is_signed(block: bytes) -> bool:
    """Return whether a header block bears one of SIGNATURES."""
    return any(name in SIGNATURES for name, _ in header.fields(block))


def identity(content: bytes, digest: bytes) -> bytes:
    """Return 32 octets, equal for contents that are the same message whatever route it took.

    Only a message with exactly one non-empty Message-ID and a Date has an identity of its own; any
    other is itself alone, so that a device that mails the same alert daily has sent as many
    messages as it sent. Folded are what servers change on the way: line ends (of a message with an
    identity of its own), a missing last one, and NUL, which some show as 0x80. Nothing is folded in
    a message whose Content-Transfer-Encoding is binary.
    """
    block = header.block(content)
    return _identity(header.pieces(block), content, len(block), digest)


def _identity(pieces: Pieces, content: bytes, start: int, digest: bytes) -> bytes:
    ids = []
    kept = []
    dated = binary = False
    # Where the blank line is missing the body begins somewhere in the block: with its first line
    # that is no field, and nobody knows where if all of them look like fields. Whatever stands in a
    # body belongs to the message, be it called Status.
    in_header = content.endswith((b"\n\n", b"\n\r\n"), 0, start)
    for name, value in pieces:
        in_header = in_header and bool(name)
        if in_header and name in TRACE_FIELDS:
            continue
        kept.append(name + b":" + value)
        if name == b"message-id":
            ids.append(header.message_id(value))
        elif name == b"date":
            dated = dated or bool(value.strip())
        elif name == b"content-transfer-encoding":
            binary = binary or _SPACE.sub(b"", value).lower() == b"binary"
    ids = [one for one in ids if one]
    if len(ids) != 1 or not dated:
        return digest if binary else _digest_whatever_the_way(content, digest)
    head = b"\n".join((*kept, b"", ids[0], b"")).replace(b"\r\n", b"\n")
    if binary:
        hashed = hashlib.sha256(head)
        hashed.update(memoryview(content)[start:])
    else:
        hashed = hashlib.sha256(head.replace(b"\0", b"\x80"))
        hashed.update(_body(content, start))
    return hashed.digest()


def _digest_whatever_the_way(content: bytes, digest: bytes) -> bytes:
    """Return the digest of a content as it is with its last line end, which POP3 adds, and without
    NUL, which IMAP cannot show.
    """
    ended = content.endswith(b"\n") or not content
    has_nul = b"\0" in content
    if (ended and not has_nul) or (has_nul and _BINARY.search(content)):
        return digest
    return hashlib.sha256(
        (content if ended else content + b"\r\n").replace(b"\0", b"\x80")
    ).digest()


def message_id_key(content: bytes) -> str:
    """Return the one Message-ID for grouping, 8-bit bytes as X; empty when there is none or
    several.
    """
    return _message_id_key(header.fields(content))


def _message_id_key(pieces: Pieces) -> str:
    ids = [
        one for name, value in pieces if name == b"message-id" and (one := header.message_id(value))
    ]
    return ids[0].translate(_HIGH).decode("ascii") if len(ids) == 1 else ""


def presence_key(head: bytes) -> bytes:
    """Return 16 octets that recognise a message on a destination by its header block.

    Survives what servers do to headers: trace fields added, 8-bit bytes turned into X (Cyrus, also
    in Message-ID), bare CR dropped (Courier), NUL replaced (Dovecot), folding and white space
    changed. The order of fields does not count.
    """
    return _presence_key(header.fields(_as_stored(head)))


def _as_stored(head: bytes) -> bytes:
    """Do to a header block what some servers do to bare CR and NUL: a field's name may come out of
    it, and another end of the block.
    """
    if head.count(b"\r") != head.count(b"\r\n"):
        head = head.replace(b"\r", b"")  # line ends are no part of a key
    return head.replace(b"\0", b"\x80")


def _presence_key(pieces: Pieces) -> bytes:
    lines = sorted(
        name.translate(_HIGH_NAME) + b":" + value.translate(_HIGH, b" \t\r\n")
        for name, value in pieces
        if name and name not in TRACE_FIELDS
    )
    return hashlib.sha256(b"\n".join(lines)).digest()[:16]


@dataclass(frozen=True, slots=True)
class StoredForm:
    """What recognises a message fetched from a destination, as its server stores it.

    `key` is 16 octets over subject, date, sender, recipients and body; `body` 16 octets over the
    body and what it is read by (Content-Type and Content-Transfer-Encoding), `parts` over what is
    in it, whatever the encoding, empty where nothing is. `original` is the digest of the message
    that it says it is the repaired copy of, `sent` when its Date says that it was sent, `title` 16
    octets over its subject as people read it. The others are what the header says, without white
    space, the ends of long values only.
    """

    key: bytes
    body: bytes
    parts: bytes
    message_id: bytes
    date: bytes
    sender: bytes
    subject: bytes
    recipients: bytes
    original: bytes = b""
    sent: int | None = None
    title: bytes = b""


def stored_form(content: bytes) -> StoredForm:
    """Return what recognises a message whatever its server did to line ends, 8-bit octets, bare CR
    and NUL.

    Without a blank line, lines of the header that are no field are the body.
    """
    # Without its bare CR a message may have another end of its header, so that goes first.
    plain = content.replace(b"\r", b"").replace(b"\0", b"\x80")
    head = _head(plain)
    said = [_said(head, name) for name in (b"from", b"date", b"subject")]
    rest = plain[len(head) :]
    if head and not head.endswith(b"\n\n"):
        rest = b"\n".join(value for name, value in header.pieces(head) if not name)
    read_by = [_said(head, name).lower() for name in (b"content-type", _ENCODING)]
    to = hashlib.sha256(b"\n".join(_said(head, name) for name in (b"to", b"cc"))).digest()[:16]
    body = hashlib.sha256(b"\n".join((*read_by, rest.rstrip(b"\n"))))
    key = hashlib.sha256(b"\n".join((*said, to, body.digest()))).digest()[:16]
    sender, date, subject = (value[-_SAID_KEPT:] for value in said)
    one = _said(head, b"message-id")[-_SAID_KEPT:]
    parts = parts_digest(content)
    title = header.text(header.first(head, b"subject") or b"").encode("utf-8", "replace")
    return StoredForm(
        key,
        body.digest()[:16],
        parts,
        one,
        date,
        sender,
        subject,
        to,
        original_of(head),
        header.sent(head),
        hashlib.sha256(title).digest()[:16],
    )


def same_message(ours: bytes, theirs: bytes) -> bool:
    """Return whether a message fetched from a destination is ours, whatever its server did to its
    octets.
    """
    return stored_form(ours).key == stored_form(theirs).key


def is_copy(ours: StoredForm, theirs: StoredForm) -> bool:
    """Return whether a message of a destination can be ours: the same body, read in the same way,
    or the same parts encoded otherwise, of the same sender and date, to the same recipients, under
    the same subject.

    Servers put words before a subject, and add a Date, or a To, where there is none. An equal
    Message-ID proves nothing: what a mailing list sends on bears the one of the message sent
    directly.
    """
    if ours.body != theirs.body and not (ours.parts and ours.parts == theirs.parts):
        return False
    if ours.key == theirs.key:
        return True
    one = ours.message_id and ours.message_id == theirs.message_id
    return (
        ours.sender == theirs.sender
        and ours.recipients in {theirs.recipients, _NOBODY}
        and ours.date in {theirs.date, b""}
        and (theirs.subject.endswith(ours.subject) if ours.subject or one else not theirs.subject)
    )


def is_rebuilt_of(rebuilt: StoredForm, theirs: StoredForm) -> bool:
    """Return whether a message that was put together again may be this one: its body was encoded
    anew, so that only its Message-ID, the time it was sent and its subject tell.
    """
    told = bool(rebuilt.message_id) and rebuilt.sent is not None
    return (
        told
        and rebuilt.message_id == theirs.message_id
        and rebuilt.sent == theirs.sent
        and rebuilt.title == theirs.title
    )


def original_of(head: bytes) -> bytes:
    """Return the digest of the message that a repaired copy stands for; empty for any other
    message.
    """
    text = header.first(head, b"x-mailsync-repaired") or b""
    try:
        return bytes.fromhex(text.decode("ascii", "replace").strip())
    except ValueError:
        return b""


def _head(content: bytes) -> bytes:
    """Return the header block; nothing of a message without any field, which is all body."""
    block = header.block(content)
    return block if next(header.fields(block), None) else b""


def _said(head: bytes, name: bytes) -> bytes:
    return _SPACE.sub(b"", header.first(head, name) or b"").translate(_HIGH)


def _body(content: bytes, start: int) -> bytes | memoryview:
    """Return the body with CRLF line ends and none at its end, and without NUL; without a copy
    where it is so already, and as it is where a part of it is binary.
    """
    body: bytes | memoryview = memoryview(content)[start:]
    # Counting single octets is much faster than counting pairs. Where a bare CR makes up for a bare
    # LF nothing is folded, which can keep two deliveries of such a message apart, but never take
    # two messages for one.
    lines_differ = content.count(b"\n", start) != content.count(b"\r", start)
    has_nul = content.find(b"\0", start) >= 0
    if (lines_differ or has_nul) and not _BINARY.search(content, start):
        body = content[start:].replace(b"\0", b"\x80")
        if lines_differ:
            body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return body[:-2] if body[-2:] == b"\r\n" else body
