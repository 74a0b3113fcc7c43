"""The repertoire: every lie the servers of `tests.servers.liar` can tell, by a name that is a
sentence about the server.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Final

from tests.servers.liar import (
    Answer,
    Exchange,
    Kept,
    Lie,
    Mail,
    Says,
    closing,
    composed,
    ended,
    quoted,
    slowly,
    stuffed,
)

_HUGE: Final = b"99999999999999999999999999"


def _on(*names: str) -> Callable[[Exchange], bool]:
    return lambda asked: asked.name in names


FETCH: Final = _on("UID FETCH")
OPEN: Final = _on("SELECT", "EXAMINE")
STATES: Final = _on("SELECT", "EXAMINE", "LIST", "STATUS")
LIST: Final = _on("LIST")
ANY: Final = _on(
    "SELECT", "EXAMINE", "LIST", "STATUS", "UID FETCH", "APPEND", "CREATE", "UID SEARCH", "LSUB"
)


def replaced(when: Callable[[Exchange], bool], pattern: bytes, by: bytes) -> Answer:
    """Make an answer in which a pattern of each response, literals apart, is replaced."""
    expression = re.compile(pattern)

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not when(asked):
            return said
        return [_outside(one, lambda text: expression.sub(by, text)) for one in said]

    return answer


def _outside(one: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change a response, but for the literal in it."""
    head, mark, content = _parts(one)
    return change(one) if mark is None else change(head) + mark + content


def _parts(one: bytes) -> tuple[bytes, bytes | None, bytes]:
    """Part a FETCH response: before its literal, the literal's mark, the literal and the rest."""
    found = re.search(rb"\{\d+\}\r\n", one)
    if found is None:
        return one, None, b""
    return one[: found.start()], found[0], one[found.end() :]


def added(when: Callable[[Exchange], bool], *lines: bytes) -> Answer:
    """Make an answer that begins with lines of its own."""

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        return [*(one + b"\r\n" for one in lines), *said] if when(asked) else said

    return answer


def without(when: Callable[[Exchange], bool], pattern: bytes, last: int = 0) -> Answer:
    """Make an answer that leaves out the responses a pattern fits; only the `last` ones if told."""

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not when(asked):
            return said
        fits = [number for number, one in enumerate(said) if re.match(pattern, one)]
        out = set(fits[-last:] if last else fits)
        return [one for number, one in enumerate(said) if number not in out]

    return answer


def bodies(change: Callable[[bytes], bytes], *, honest: bool = True) -> Answer:
    """Make an answer in which each whole body is changed; its literal is as long as it says, unless
    `honest` is False.
    """

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not FETCH(asked):
            return said
        return [_rebodied(one, change, honest) for one in said]

    return answer


def _rebodied(one: bytes, change: Callable[[bytes], bytes], honest: bool) -> bytes:
    found = re.search(rb"BODY\[\] \{(\d+)\}\r\n", one)
    if found is None:
        return one
    size = int(found[1])
    content = one[found.end() : found.end() + size]
    new = change(content)
    length = len(new) if honest else size
    return one[: found.start()] + b"BODY[] {%d}\r\n" % length + new + one[found.end() + size :]


def refusing(
    name: str, words: bytes, times: int | None = None, kind: bytes = b"NO"
) -> Callable[[Exchange], Says | None]:
    """Refuse a command, the first so many times or always."""

    def instead(asked: Exchange) -> Says | None:
        if asked.name != name or (times is not None and asked.count("refused") > times):
            return None
        return [asked.tag + b" " + kind + b" " + words + b"\r\n"]

    return instead


def refusing_what_is_read(asked: Exchange) -> Says | None:
    """Refuse an APPEND while a mailbox is open for reading, much as Courier does."""
    if asked.name in {"EXAMINE", "SELECT", "CLOSE", "UNSELECT"}:
        asked.session["reading"] = asked.name == "EXAMINE"
    if asked.name != "APPEND" or not asked.session.get("reading"):
        return None
    return [asked.tag + b" NO Current box is selected READ-ONLY.\r\n"]


def leaving(
    name: str, *, done: bool, word: bytes = b"* BYE enough\r\n", times: int | None = None
) -> tuple[Callable[[Exchange], Says | None] | None, Answer | None]:
    """Hang up at a command, after it was done or without."""

    def instead(asked: Exchange) -> Says | None:
        if asked.name != name or (times is not None and asked.count("left") > times):
            return None
        return closing(asked.talk, word)

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name != name or (times is not None and asked.count("left") > times):
            return said
        return closing(asked.talk, word)

    return (None, answer) if done else (instead, None)


def endless(when: Callable[[Exchange], bool], line: bytes) -> Callable[[Exchange], Says | None]:
    """Repeat a line for ever; `%d` in it counts."""

    def forever() -> Iterator[bytes]:
        for number in itertools.count(1, 2_000):
            lines = range(number, number + 2_000)
            yield b"".join(line % one for one in lines) if b"%d" in line else line * 2_000

    return lambda asked: forever() if when(asked) else None


def echo(kind: bytes, coded: bool = False) -> Answer:
    """Say the password back: in a refusal of the login, or in an alert after it."""

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name not in {"LOGIN", "AUTHENTICATE"}:
            return said
        secret = asked.mail.password.encode()
        if coded:
            secret = base64.b64encode(b"\0" + asked.mail.user.encode() + b"\0" + secret)
        if kind == b"ALERT":
            return [b"* OK [ALERT] your password %s is old\r\n" % secret, *said]
        if kind == b"BYE":
            return closing(asked.talk, b"* BYE no entry with %s\r\n" % secret)
        return [asked.tag + b" " + kind + b" cannot log in with %s\r\n" % secret]

    return answer


def _lists(name: bytes, change: Callable[[bytes], bytes]) -> Answer:
    """Rewrite the LIST line of a mailbox; given is its name, without quotes."""
    written = re.escape(quoted(name))

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not LIST(asked):
            return said
        return [
            b"* LIST " + change(name) + b"\r\n"
            if re.match(rb'\* LIST \([^)]*\) "/" ' + written + rb"\r\n", one)
            else one
            for one in said
        ]

    return answer


def _larger(found: re.Match[bytes]) -> bytes:
    return b"RFC822.SIZE %d" % (int(found[1]) + 10)


def _sized(_asked: Exchange, said: list[bytes]) -> Says:
    return [
        _outside(one, lambda text: re.sub(rb"RFC822\.SIZE (\d+)", _larger, text)) for one in said
    ]


def _validity_moves(asked: Exchange, said: list[bytes]) -> Says:
    if not OPEN(asked):
        return said
    number = 5_000 + asked.count("opened")
    return [re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY %d" % number, one) for one in said]


def _exists(change: Callable[[int], int]) -> Answer:
    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not STATES(asked):
            return said
        said = [
            re.sub(rb"^\* (\d+) EXISTS", lambda m: b"* %d EXISTS" % change(int(m[1])), one)
            for one in said
        ]
        return [
            re.sub(rb"MESSAGES (\d+)", lambda m: b"MESSAGES %d" % change(int(m[1])), one)
            for one in said
        ]

    return answer


def _neighbours(asked: Exchange, said: list[bytes]) -> Says:
    """Give each whole body to the UID before it."""
    box = asked.selected
    if not FETCH(asked) or box is None:
        return said
    contents = {one.uid: one.content for one in box.messages}
    order = sorted(contents)
    after = dict(itertools.pairwise(order))

    def swap(one: bytes) -> bytes:
        found = re.search(rb"UID (\d+)", one)
        other = after.get(int(found[1])) if found else None
        return one if other is None else _rebodied(one, lambda _: contents[other], honest=True)

    return [swap(one) for one in said]


_STRANGER: Final = b"Subject: nobody asked for this\r\n\r\nbody\r\n"


def _unasked(when: Callable[[Exchange], bool]) -> Answer:
    line = b"* 1 FETCH (UID 4000000 FLAGS () RFC822.SIZE %d BODY[] {%d}\r\n%s)" % (
        len(_STRANGER),
        len(_STRANGER),
        _STRANGER,
    )
    return added(lambda asked: FETCH(asked) and when(asked), line)


def _goes(asked: Exchange) -> Says | None:
    """Take a mailbox away when it is about to be opened."""
    if not OPEN(asked) or asked.words()[0] != b"Work":
        return None
    asked.mail.boxes.pop(b"Work", None)
    return [asked.tag + b" NO [NONEXISTENT] no such mailbox\r\n"]


def _stops(asked: Exchange, said: list[bytes]) -> Says:
    """Hang up in the middle of the first body."""
    if not FETCH(asked) or not any(b"BODY[] {" in one for one in said):
        return said
    if asked.count("stopped") > 1:
        return said
    whole = b"".join(said)
    return closing(asked.talk, whole[: len(whole) // 2])


def _loris(asked: Exchange, said: list[bytes]) -> Says:
    return slowly(said, asked.talk) if FETCH(asked) else said


def _expunges(asked: Exchange, said: list[bytes]) -> Says:
    if not FETCH(asked) or len(said) < 3:
        return said
    return [said[0], b"* 1 EXPUNGE\r\n", *said[1:]]


def _overtold(said: list[bytes]) -> Says:
    """Announce a hundred octets more than the body has."""
    return [
        re.sub(rb"BODY\[\] \{(\d+)\}", lambda m: b"BODY[] {%d}" % (int(m[1]) + 100), one)
        for one in said
    ]


def _appenduid(change: Callable[[int, int], tuple[bytes, bytes]]) -> Answer:
    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name != "APPEND":
            return said

        def other(found: re.Match[bytes]) -> bytes:
            return b"[APPENDUID %s %s]" % change(int(found[1]), int(found[2]))

        return [re.sub(rb"\[APPENDUID (\d+) (\d+)\]", other, one) for one in said]

    return answer


def _headers_only(mail: Mail, coming: list[tuple[bytes, bytes]]) -> None:
    for name, content in coming:
        mail.put(name, content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


def _other_bodies(mail: Mail, coming: list[tuple[bytes, bytes]]) -> None:
    for name, content in coming:
        head, blank, body = content.partition(b"\r\n\r\n")
        mail.put(name, head + blank + body.swapcase())


def _longer_bodies(mail: Mail, coming: list[tuple[bytes, bytes]]) -> None:
    for name, content in coming:
        mail.put(name, content + b"A line that an attacker added.\r\n")


def _refill(mail: Mail) -> None:
    for box in mail.boxes.values():
        for one in box.messages:
            one.content = b"Subject: refilled %d\r\n\r\nquite another message\r\n" % one.uid


def _empty(mail: Mail) -> None:
    for box in mail.boxes.values():
        box.validity += 1000
        box.messages.clear()
        box.uidnext = 1


def _cut_in_place(mail: Mail) -> None:
    for box in mail.boxes.values():
        for one in box.messages:
            one.content = one.content[:200]


def _reset_uids(mail: Mail) -> None:
    """Give the UIDs of the same UIDVALIDITY to the messages in another order."""
    for box in mail.boxes.values():
        contents = [one.content for one in box.messages]
        for one, content in zip(box.messages, reversed(contents), strict=True):
            one.content = content


def _identified(content: bytes) -> list[bytes]:
    head = content.partition(b"\r\n\r\n")[0]
    if b"message-id:" in head.lower():
        return [content]
    return [b"Message-ID: <made.%d@liar.test>\r\n" % (hash(content) & 0xFFFF) + content]


def _subject(content: bytes) -> list[bytes]:
    return [re.sub(rb"(?m)^Subject: ", b"Subject: [External] ", content, count=1)]


def _seven_bits(content: bytes) -> list[bytes]:
    head, blank, body = content.partition(b"\r\n\r\n")
    return [re.sub(rb"[\x80-\xff]", b"X", head) + blank + body]


def _throttled(name: str) -> Lie:
    return Lie(
        f"the server throttles {name} for ever",
        f"{name} is answered NO [THROTTLED]",
        "imap",
        "both" if name in {"LIST", "SELECT"} else "source" if "FETCH" in name else "destination",
        instead=refusing(name, b"[THROTTLED] slow down"),
    )


def _once_throttled(name: str, side: str) -> Lie:
    return Lie(
        f"the server throttles the first two {name}",
        f"two times NO [THROTTLED] to {name}, then the truth",
        "imap",
        side,
        instead=refusing(name, b"[THROTTLED] slow down", 2),
    )


def _leaves(name: str, side: str, *, done: bool, times: int | None = None) -> Lie:
    instead, answer = leaving(name, done=done, times=times)
    when = "for ever" if times is None else f"{times} time"
    how = "having done it" if done else "without doing it"
    return Lie(
        f"the server says BYE to {name} {how}, {when}",
        "* BYE, and the connection ends",
        "imap",
        side,
        instead=instead,
        answer=answer,
    )


def _imap(name: str, wire: str, side: str = "both", **ways: object) -> Lie:
    return Lie(name, wire, "imap", side, **ways)  # type: ignore[arg-type]


TWO_WORDS: Final = b"My Folder"
QUOTES: Final = b'say "hi" x'
"""Names that some servers list in an unreadable way; a test that tells of it needs mailboxes so
called.
"""

_LISTS: Final = [
    ("the name is in two words and no quotes", TWO_WORDS, lambda name: b'() "/" ' + name),
    ("the quotes in a name are not escaped", QUOTES, lambda name: b'() "/" "%s"' % name),
    ("an attribute is in brackets of its own", b"Work", lambda name: b'(\\X (y)) "/" ' + name),
    ("the attributes are two dots", b"Work", lambda name: b'(..) / "%s"' % name),
    ("two blanks and tabs part the words", b"Work", lambda name: b'()  "/"\t"%s"' % name),
]


def _listing(told: str, name: bytes, change: Callable[[bytes], bytes]) -> Lie:
    return _imap(
        f"in a LIST line {told}",
        "the LIST line of one mailbox is hard to read",
        "source",
        answer=_lists(name, change),
    )


IMAP_LIES: Final = (
    _imap(
        "sizes are ten octets too many",
        "RFC822.SIZE + 10 in FETCH",
        "source",
        answer=_sized,
    ),
    _imap(
        "all sizes are zero",
        "RFC822.SIZE 0",
        answer=replaced(FETCH, rb"RFC822\.SIZE \d+", b"RFC822.SIZE 0"),
    ),
    _imap(
        "sizes have 26 digits",
        "RFC822.SIZE 999…",
        answer=replaced(FETCH, rb"RFC822\.SIZE \d+", b"RFC822.SIZE " + _HUGE),
    ),
    _imap(
        "sizes are missing", "no RFC822.SIZE", answer=replaced(FETCH, rb" RFC822\.SIZE \d+", b"")
    ),
    _imap(
        "a body is cut to its half, and so is its literal",
        "BODY[] {half}",
        "source",
        answer=bodies(lambda content: content[: len(content) // 2]),
    ),
    _imap("a body is empty", "BODY[] {0}", "source", answer=bodies(lambda _: b"")),
    _imap(
        "a body is cut and the literal is not",
        "fewer octets than {n}",
        "source",
        answer=bodies(lambda content: content[: len(content) // 2], honest=False),
    ),
    _imap(
        "a literal announces more than comes",
        "{n + 100}",
        "source",
        answer=lambda asked, said: _overtold(said) if FETCH(asked) else said,
    ),
    _imap(
        "a body is NIL",
        "BODY[] NIL",
        "source",
        answer=lambda asked, said: (
            [re.sub(rb"(?s)BODY\[\] \{.*", b"BODY[] NIL)\r\n", one) for one in said]
            if FETCH(asked)
            else said
        ),
    ),
    _imap(
        "a literal announces nine exabytes",
        "BODY[] {9000000000000000000}",
        "source",
        answer=lambda asked, said: (
            [re.sub(rb"BODY\[\] \{\d+\}", b"BODY[] {9000000000000000000}", one) for one in said]
            if FETCH(asked)
            else said
        ),
    ),
    _imap(
        "each body comes under its neighbour's UID",
        "BODY[] of the next",
        "source",
        answer=_neighbours,
    ),
    _imap(
        "all messages have one EMAILID",
        "EMAILID (M1)",
        "source",
        answer=replaced(FETCH, rb"EMAILID \([^)]+\)", b"EMAILID (M1)"),
        also=("OBJECTID",),
    ),
    _imap(
        "every EMAILID is NIL",
        "EMAILID NIL",
        "source",
        answer=replaced(FETCH, rb"EMAILID \([^)]+\)", b"EMAILID NIL"),
        also=("OBJECTID",),
    ),
    _imap(
        "UIDVALIDITY is 9999999999999999999",
        "a UIDVALIDITY of 64 bits",
        answer=replaced(STATES, rb"UIDVALIDITY \d+", b"UIDVALIDITY 9999999999999999999"),
    ),
    _imap(
        "UIDVALIDITY changes at every SELECT", "a new UIDVALIDITY each time", answer=_validity_moves
    ),
    _imap(
        "UIDVALIDITY is missing when a mailbox is opened",
        "no [UIDVALIDITY]",
        answer=without(OPEN, rb"\* OK \[UIDVALIDITY"),
    ),
    _imap(
        "UIDVALIDITY is zero",
        "UIDVALIDITY 0",
        answer=replaced(STATES, rb"UIDVALIDITY \d+", b"UIDVALIDITY 0"),
    ),
    _imap(
        "UIDNEXT is missing when a mailbox is opened",
        "no [UIDNEXT]",
        answer=without(OPEN, rb"\* OK \[UIDNEXT"),
    ),
    _imap("UIDNEXT is one", "UIDNEXT 1", answer=replaced(STATES, rb"UIDNEXT \d+", b"UIDNEXT 1")),
    _imap(
        "UIDNEXT is beyond 64 bits",
        "UIDNEXT 2^64",
        answer=replaced(STATES, rb"UIDNEXT \d+", b"UIDNEXT 18446744073709551616"),
    ),
    _imap("EXISTS is five too many", "EXISTS + 5", answer=_exists(lambda number: number + 5)),
    _imap("EXISTS is one too few", "EXISTS - 1", answer=_exists(lambda number: max(0, number - 1))),
    _imap("EXISTS is zero", "0 EXISTS, MESSAGES 0", "source", answer=_exists(lambda _: 0)),
    _imap("EXISTS is missing", "no EXISTS", answer=without(OPEN, rb"\* \d+ EXISTS")),
    *(_listing(*one) for one in _LISTS),
    _imap(
        "LIST leaves out a mailbox",
        "no LIST line for the last one",
        "source",
        answer=without(LIST, rb'\* (?:LIST|STATUS) .*"Work"'),
        hidden=True,
    ),
    _imap(
        "LIST leaves out INBOX",
        "no LIST line for INBOX",
        answer=without(LIST, rb'\* (?:LIST|STATUS) .*"INBOX"'),
    ),
    _imap(
        "LIST names a mailbox 60,000 levels deep",
        "a name of 120,000 octets",
        answer=added(
            lambda asked: LIST(asked) and asked.words()[-1:] != [b""],
            b'* LIST () "/" {119999}\r\n' + b"/".join([b"a"] * 60_000),
        ),
    ),
    _imap(
        "LIST names a mailbox with NUL and a line end",
        "a literal name of odd octets",
        "source",
        answer=added(
            lambda asked: LIST(asked) and asked.words()[-1:] != [b""],
            b'* LIST () "/" {5}\r\na\0\r\nb',
        ),
    ),
    _imap(
        "LIST names a mailbox ../../etc",
        "a name that climbs",
        "source",
        answer=added(
            lambda asked: LIST(asked) and asked.words()[-1:] != [b""],
            b'* LIST (\\Noselect) "/" "../../etc"',
        ),
        hidden=True,
    ),
    _imap(
        "a FETCH line has no UID",
        "FETCH without UID",
        answer=replaced(FETCH, rb"\(UID \d+ ?", b"("),
    ),
    _imap(
        "a message nobody listed comes with those asked for",
        "an extra FETCH beside the bodies",
        answer=_unasked(lambda asked: b"BODY.PEEK[]" in asked.line),
    ),
    _imap(
        "a message beyond UIDNEXT is listed and served",
        "an extra FETCH in every answer",
        answer=_unasked(lambda _: True),
        more=(_STRANGER,),
    ),
    _imap(
        "FETCH leaves out the last message",
        "one FETCH line less, then OK",
        "source",
        answer=without(FETCH, rb"\* \d+ FETCH", 1),
    ),
    _imap(
        "FETCH is OK and brings nothing",
        "only the tagged OK",
        "source",
        answer=without(FETCH, rb"\* \d+ FETCH"),
    ),
    _imap(
        "FETCH lines cannot be read",
        "* 1 FETCH UID 1 …)",
        "source",
        answer=replaced(FETCH, rb"^(\* \d+ FETCH) \(", rb"\1 "),
    ),
    _imap(
        "UIDs are beyond 64 bits",
        "UID 2^64 + n",
        "source",
        answer=replaced(FETCH, rb"UID (\d+)", rb"UID 1844674407370955161\1"),
    ),
    _imap(
        "the message of sequence number 0 is there",
        "* 0 FETCH (UID 0 …)",
        "source",
        answer=added(FETCH, b"* 0 FETCH (UID 0 FLAGS () RFC822.SIZE 5)"),
    ),
    _imap(
        "INTERNALDATE is nonsense",
        'INTERNALDATE "99-Foo-0000 …"',
        answer=replaced(
            FETCH, rb'INTERNALDATE "[^"]*"', b'INTERNALDATE "99-Foo-0000 99:99:99 +9999"'
        ),
    ),
    _imap(
        "INTERNALDATE is missing",
        "no INTERNALDATE",
        answer=replaced(FETCH, rb' INTERNALDATE "[^"]*"', b""),
    ),
    _imap(
        "STATUS counts nine quintillions",
        "MESSAGES 9e18",
        answer=replaced(STATES, rb"MESSAGES \d+", b"MESSAGES 9000000000000000000"),
    ),
    _imap(
        "EXISTS counts nine quintillions",
        "9e18 EXISTS",
        answer=replaced(OPEN, rb"^\* \d+ EXISTS", b"* 9000000000000000000 EXISTS"),
    ),
    _imap(
        "all UIDs have vanished",
        "VANISHED 1:99999999999999999999",
        answer=added(_on("UID FETCH", "EXAMINE"), b"* VANISHED (EARLIER) 1:99999999999999999999"),
        also=("ENABLE", "CONDSTORE", "QRESYNC"),
    ),
    _imap(
        "a mailbox vanishes between LIST and SELECT",
        "NO [NONEXISTENT], and it is there no more",
        "source",
        instead=_goes,
    ),
    _imap(
        "a mailbox is listed and, being there, is said not to be there",
        "NO [NONEXISTENT]",
        "source",
        instead=lambda asked: (
            [asked.tag + b" NO [NONEXISTENT] no such mailbox\r\n"]
            if OPEN(asked) and asked.words()[0] == b"Work"
            else None
        ),
        hidden=True,
    ),
    *(_throttled(name) for name in ("LIST", "EXAMINE", "UID FETCH", "APPEND", "CREATE")),
    _once_throttled("LIST", "both"),
    _once_throttled("EXAMINE", "both"),
    _once_throttled("UID FETCH", "source"),
    _once_throttled("APPEND", "destination"),
    _once_throttled("CREATE", "destination"),
    _imap(
        "a FETCH is over quota",
        "NO [OVERQUOTA]",
        "source",
        instead=refusing("UID FETCH", b"[OVERQUOTA] account exceeded its bandwidth"),
    ),
    _leaves("LIST", "both", done=False),
    _leaves("EXAMINE", "both", done=False, times=1),
    _leaves("UID FETCH", "source", done=False, times=1),
    _leaves("APPEND", "destination", done=True, times=1),
    _leaves("APPEND", "destination", done=False, times=1),
    _leaves("APPEND", "destination", done=True),
    _imap(
        "the connection breaks in the middle of a body",
        "half, then nothing",
        "source",
        answer=_stops,
    ),
    _imap(
        "the greeting is BYE",
        "* BYE",
        answer=lambda asked, said: (
            closing(asked.talk, b"* BYE closed\r\n") if asked.name == "GREETING" else said
        ),
    ),
    _imap(
        "an answer to LIST never ends",
        "LIST lines for ever",
        instead=endless(LIST, b'* LIST () "/" "box%d"\r\n'),
    ),
    _imap(
        "untagged OKs never end",
        "* OK for ever",
        "source",
        instead=endless(FETCH, b"* OK still here\r\n"),
    ),
    _imap(
        "the answer to SEARCH is one endless line",
        "* SEARCH 1 1 1 …",
        instead=endless(_on("UID SEARCH"), b" 1"),
        side="destination",
    ),
    _imap("the server sends an octet every 0.7 s", "slow loris at FETCH", "source", answer=_loris),
    *(
        _imap(
            f"the server echoes the password{' in base64' if coded else ''} in {kind.decode()}",
            "the login is said back",
            answer=echo(kind, coded),
        )
        for kind in (b"NO", b"BAD", b"BYE", b"ALERT")
        for coded in (False, True)
    ),
    _imap("an EXPUNGE comes in the middle of a FETCH", "* 1 EXPUNGE, untrue", answer=_expunges),
    _imap(
        "a command is completed that nobody sent",
        "X99 OK",
        answer=added(FETCH, b"X99 OK done"),
    ),
    _imap(
        "flags are nested lists",
        "FLAGS (\\Seen (x))",
        answer=replaced(FETCH, rb"FLAGS \(", b"FLAGS ((x) "),
    ),
    _imap(
        "the connection talks binary rubbish",
        "octets 0x80 to 0xff",
        answer=added(FETCH, bytes(range(128, 256))),
    ),
    # What a destination does with what it was given.
    _imap(
        "an appended message is not kept", "OK, nothing stored", "destination", keep=lambda _: []
    ),
    _imap(
        "only 200 octets of an appended message are kept",
        "OK, cut in the store",
        "destination",
        keep=lambda content: [content[:200]],
    ),
    _imap(
        "an appended message is kept twice",
        "OK, stored twice",
        "destination",
        keep=lambda content: [content, content],
        hidden=True,
    ),
    _imap(
        "another body is kept under the header",
        "OK, another body of the same length",
        "destination",
        keep=lambda content: [
            content.partition(b"\r\n\r\n")[0]
            + b"\r\n\r\n"
            + content.partition(b"\r\n\r\n")[2].swapcase()
        ],
    ),
    _imap("a missing Message-ID is added", "OK, a header more", "destination", keep=_identified),
    _imap("the subject is rewritten", "OK, Subject: [External] …", "destination", keep=_subject),
    _imap(
        "octets beyond ASCII in a header become X",
        "OK, as Cyrus does",
        "destination",
        keep=_seven_bits,
    ),
    _imap(
        "APPENDUID names the message before",
        "[APPENDUID v uid-1]",
        "destination",
        answer=_appenduid(lambda validity, uid: (b"%d" % validity, b"%d" % max(1, uid - 1))),
    ),
    _imap(
        "APPENDUID is huge",
        "[APPENDUID 9e25 9e25]",
        "destination",
        answer=_appenduid(lambda *_: (_HUGE, _HUGE)),
    ),
    _imap(
        "APPENDUID names a UIDVALIDITY nobody knows",
        "[APPENDUID 1 uid]",
        "destination",
        answer=_appenduid(lambda _, uid: (b"1", b"%d" % uid)),
    ),
    _imap(
        "APPEND is refused and done",
        "NO, stored",
        "destination",
        answer=lambda asked, said: (
            [asked.tag + b" NO not today\r\n"] if asked.name == "APPEND" else said
        ),
    ),
    _imap(
        "APPEND is refused while a mailbox is open for reading",
        "NO, as Courier says",
        "destination",
        instead=refusing_what_is_read,
    ),
    _imap("CREATE is OK and makes nothing", "OK, no mailbox", "destination", named=lambda _: None),
    _imap(
        "CREATE trims blanks",
        "the mailbox has another name",
        "destination",
        named=lambda name: name.strip(),
    ),
    _imap("CREATE composes accents", "NFC of the name", "destination", named=composed),
    _imap("CREATE makes names lower case", "another name", "destination", named=bytes.lower),
    _imap(
        "copies without a body were there before",
        "headers of all messages",
        "destination",
        before=_headers_only,
    ),
    _imap(
        "other bodies under the same headers were there before",
        "same sizes",
        "destination",
        before=_other_bodies,
    ),
    _imap(
        "longer bodies under the same headers were there before",
        "sizes differ",
        "destination",
        before=_longer_bodies,
    ),
    _imap(
        "the mailboxes are refilled under the same UIDs",
        "other contents",
        "destination",
        between=_refill,
    ),
    _imap(
        "the mailboxes are made anew, empty",
        "a new UIDVALIDITY",
        "destination",
        between=_empty,
        removed=True,
    ),
    _imap(
        "what was kept shrinks to 200 octets", "the same UIDs", "destination", between=_cut_in_place
    ),
    _imap(
        "SEARCH finds nothing",
        "* SEARCH",
        "destination",
        answer=replaced(_on("UID SEARCH"), rb"^\* SEARCH[0-9 ]*", b"* SEARCH"),
    ),
    _imap(
        "SEARCH finds UIDs of 26 digits",
        "* SEARCH 999…",
        "destination",
        answer=replaced(_on("UID SEARCH"), rb"^\* SEARCH", b"* SEARCH " + _HUGE),
    ),
    _imap(
        "UIDs are dealt anew under the same UIDVALIDITY",
        "contents change places",
        "source",
        between=_reset_uids,
    ),
)


# POP3 -------------------------------------------------------------------------------------------

RETR: Final = _on("RETR")


def _pop3(name: str, wire: str, **ways: object) -> Lie:
    return Lie(name, wire, "pop3", "source", **ways)  # type: ignore[arg-type]


def _session(asked: Exchange) -> list[Kept]:
    found = asked.session["messages"]
    assert isinstance(found, list)
    return found


def _surplus(asked: Exchange, said: list[bytes]) -> Says:
    if not RETR(asked) or "surplus" in asked.session:
        return said
    asked.session["surplus"] = True
    return [b"-ERR what was that?\r\n", *said]


def _shifted(asked: Exchange, said: list[bytes]) -> Says:
    if not RETR(asked):
        return said
    number = int(asked.line)
    if number >= len(_session(asked)):
        return [b"-ERR no such message\r\n"]
    return [b"+OK\r\n", stuffed(ended(_session(asked)[number].content)), b".\r\n"]


def _retr(change: Callable[[bytes], bytes]) -> Answer:
    """Change what RETR sends between the status and the last dot, stuffing and all."""

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if not RETR(asked) or len(said) < 3:
            return said
        return [said[0], change(said[1]), said[2]]

    return answer


def _half(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: max(1, len(lines) // 2)])


def _line_feeds(asked: Exchange, said: list[bytes]) -> Says:
    return [one.replace(b"\r\n", b"\n") for one in said] if RETR(asked) else said


def _numbers(name: str, change: Callable[[Exchange, bytes, int], bytes]) -> Answer:
    """Change the second word of each line of a UIDL or LIST listing; given are word and number."""

    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name != name or asked.line:
            return said
        return [
            b"%d %s\r\n" % (number, change(asked, one.split()[1], number))
            if 0 < number < len(said) - 1
            else one
            for number, one in enumerate(said)
        ]

    return answer


def _uidl_of_the_day(asked: Exchange, _word: bytes, number: int) -> bytes:
    if "day" not in asked.session:
        asked.session["day"] = asked.count("day")
    return b"day%d-%d" % (int(str(asked.session["day"])), number)


def _reuse(mail: Mail) -> None:
    """Put other messages of the same sizes under the UIDLs."""
    for one in mail.box(b"INBOX").messages:
        head, blank, body = one.content.partition(b"\r\n\r\n")
        one.content = head + blank + body.swapcase()


def _reuse_header(mail: Mail) -> None:
    """Put messages of the same sizes and without a Received line under the UIDLs."""
    for one in mail.box(b"INBOX").messages:
        one.content = one.content.swapcase().replace(b"\r\n.", b"\r\nX")


def _portion(asked: Exchange, said: list[bytes]) -> Says:
    if asked.name in {"UIDL", "LIST"} and not asked.line:
        return [*said[:11], b".\r\n"] if len(said) > 12 else said
    return said


def _kept(asked: Exchange) -> Says | None:
    return [b"+OK\r\n"] if asked.name == "DELE" else None


def _other_deleted(asked: Exchange) -> Says | None:
    if asked.name != "DELE":
        return None
    messages = _session(asked)
    number = int(asked.line) % len(messages)
    box = asked.mail.box(b"INBOX").messages
    box[:] = [one for one in box if one is not messages[number]]
    return [b"+OK\r\n"]


def _top(asked: Exchange, said: list[bytes]) -> Says:
    if asked.name != "TOP" or len(said) < 3:
        return said
    return [said[0], b"Subject: another\r\nMessage-ID: <another@liar.test>\r\n\r\n", said[2]]


def _pop_echo(change: Callable[[bytes], bytes]) -> Callable[[Exchange], Says | None]:
    return lambda asked: (
        [b"-ERR cannot log in with %s\r\n" % change(asked.line)] if asked.name == "PASS" else None
    )


def _far_echo(asked: Exchange) -> Says | None:
    """Say the password across the 300th character, where a line may be cut."""
    return [b"-ERR " + b"x" * 285 + asked.line + b"\r\n"] if asked.name == "PASS" else None


def _breaks(asked: Exchange, said: list[bytes]) -> Says:
    if not RETR(asked) or len(said) < 3 or asked.count("broken") > 1:
        return said
    return closing(asked.talk, said[0], said[1][: len(said[1]) // 2])


def _undotted(asked: Exchange, said: list[bytes]) -> Says:
    if not RETR(asked) or len(said) < 3:
        return said
    return [said[0], (b"\r\n" + said[1]).replace(b"\r\n..", b"\r\n.")[2:], said[2]]


def _pop_loris(asked: Exchange, said: list[bytes]) -> Says:
    return slowly(said, asked.talk) if RETR(asked) else said


def _minus_one(asked: Exchange, said: list[bytes]) -> Says:
    if not RETR(asked) or asked.line != b"2":
        return said
    return [b"-ERR this message cannot be read\r\n"]


def _without_last(name: str) -> Answer:
    def answer(asked: Exchange, said: list[bytes]) -> Says:
        if asked.name != name or asked.line or len(said) < 3:
            return said
        return [*said[:-2], said[-1]]

    return answer


def _listings(asked: Exchange, said: list[bytes]) -> Says:
    if asked.name in {"UIDL", "LIST"} and not asked.line and len(said) > 3:
        return [*said[:-2], said[-1]]
    return said


POP3_LIES: Final = (
    _pop3("a surplus -ERR comes before the first message", "one answer too many", answer=_surplus),
    _pop3("each RETR brings the next message", "answers shifted by one", answer=_shifted),
    _pop3("RETR is cut short", "half the lines, then the dot", answer=_retr(_half)),
    _pop3("RETR is empty", "+OK and the dot", answer=_retr(lambda _: b"")),
    _pop3("dots are not doubled", "a line of one dot ends the message", answer=_undotted),
    _pop3("answers end in LF alone", "LF.LF", answer=_line_feeds),
    _pop3("UIDLs are reused for other bodies of the same size", "same headers", between=_reuse),
    _pop3(
        "UIDLs are reused for other messages of the same size", "all differs", between=_reuse_header
    ),
    _pop3("all UIDLs are equal", "UIDL 1 for all", answer=_numbers("UIDL", lambda *_: b"1")),
    _pop3("UIDLs change every session", "new UIDLs", answer=_numbers("UIDL", _uidl_of_the_day)),
    _pop3(
        "UIDLs are message numbers",
        "1, 2, 3 …",
        answer=_numbers("UIDL", lambda _asked, _word, number: b"%d" % number),
    ),
    _pop3(
        "a UIDL has 10,000 octets",
        "beyond RFC 1939",
        answer=_numbers("UIDL", lambda _asked, word, _number: word * 1000),
    ),
    _pop3(
        "UIDLs hold odd octets",
        "0x80 and escapes",
        answer=_numbers("UIDL", lambda _asked, word, _number: word + b"\x1b[2J\x80"),
    ),
    _pop3("UIDL leaves out the last message", "a line less", answer=_without_last("UIDL")),
    _pop3("LIST leaves out the last message", "a line less", answer=_without_last("LIST")),
    _pop3(
        "UIDL and LIST leave out the last message, STAT does not", "a line less", answer=_listings
    ),
    _pop3(
        "LIST sizes are 100 too many",
        "size + 100",
        answer=_numbers("LIST", lambda _asked, word, _number: b"%d" % (int(word) + 100)),
    ),
    _pop3(
        "LIST sizes are all 1",
        "size 1",
        answer=_numbers("LIST", lambda *_: b"1"),
    ),
    _pop3("LIST sizes have 26 digits", "999…", answer=_numbers("LIST", lambda *_: _HUGE)),
    _pop3(
        "STAT counts one more",
        "STAT + 1",
        answer=lambda asked, said: (
            [re.sub(rb"\+OK (\d+)", lambda m: b"+OK %d" % (int(m[1]) + 1), one) for one in said]
            if asked.name == "STAT"
            else said
        ),
    ),
    _pop3("the mailbox is shown in portions of 10", "as Gmail does", answer=_portion),
    _pop3("DELE is OK and nothing is deleted", "+OK, kept", instead=_kept, hidden=True),
    _pop3("DELE deletes the next message", "+OK, another is gone", instead=_other_deleted),
    _pop3(
        "QUIT is refused",
        "-ERR to QUIT, nothing deleted",
        instead=lambda asked: [b"-ERR not all deleted\r\n"] if asked.name == "QUIT" else None,
    ),
    _pop3("TOP gives another header", "another message's", answer=_top),
    _pop3("the password is echoed", "-ERR … password", instead=_pop_echo(bytes)),
    _pop3(
        "the password is echoed in upper case", "-ERR … PASSWORD", instead=_pop_echo(bytes.upper)
    ),
    _pop3(
        "the password is echoed in lower case", "-ERR … password", instead=_pop_echo(bytes.lower)
    ),
    _pop3(
        "the password is echoed in base64", "-ERR … cGFzcw==", instead=_pop_echo(base64.b64encode)
    ),
    _pop3("the password is echoed where a line is cut", "at 285 octets", instead=_far_echo),
    _pop3("RETR never ends", "lines for ever", instead=endless(RETR, b"+OK\r\nline\r\n")),
    _pop3("UIDL never ends", "lines for ever", instead=endless(_on("UIDL"), b"+OK\r\n%d uidl\r\n")),
    _pop3("RETR is one endless line", "no line end ever", instead=endless(RETR, b"+OK x")),
    _pop3("the connection breaks in the middle of a message", "half", answer=_breaks),
    _pop3("the server sends an octet every 0.7 s", "slow loris at RETR", answer=_pop_loris),
    _pop3("the second message cannot be read", "-ERR to RETR 2", answer=_minus_one),
    _pop3(
        "LIST is refused for now",
        "-ERR [SYS/TEMP]",
        instead=lambda asked: (
            [b"-ERR [SYS/TEMP] come back later\r\n"] if asked.name == "LIST" else None
        ),
    ),
    _pop3(
        "too many connections",
        "-ERR [IN-USE] at PASS",
        instead=lambda asked: (
            [b"-ERR [IN-USE] too many connections\r\n"] if asked.name == "PASS" else None
        ),
    ),
)

LIES: Final[tuple[Lie, ...]] = (*IMAP_LIES, *POP3_LIES)


def named(name: str, protocol: str = "imap") -> Lie:
    """Find a lie by its name."""
    return next(lie for lie in LIES if (lie.name, lie.protocol) == (name, protocol))
