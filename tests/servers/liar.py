"""A mailbox store that knows the truth, and two servers over it, IMAP and POP3, that tell it or a
`Lie` about it.

Every answer is first made truthfully, as a list of wire octets, one item for each response; a lie
then may answer instead, alter the answer, alter what is kept of an appended message, or change the
mail behind everybody's back. So a test knows what really is there, and what was said of it.

```python
mail = Mail()
mail.put(b"INBOX", content)
with imap(mail, lie) as server:
    ...  # connect to server.port
assert server.told
```
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.servers.scripted import ClientGone, Conversation, Scripted

USER: Final = "alice"
PASSWORD: Final = "Tr0ub4dor-and-3"
IMAP: Final = (
    "IMAP4rev1",
    "AUTH=PLAIN",
    "SASL-IR",
    "LITERAL+",
    "UIDPLUS",
    "NAMESPACE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "UNSELECT",
)
POP3: Final = ("TOP", "UIDL", "USER", "RESP-CODES", "PIPELINING")
DATE: Final = b"14-Jul-2014 02:40:00 +0000"


@dataclass(slots=True)
class Kept:
    """A message as the server really has it."""

    uid: int
    content: bytes
    flags: set[bytes]
    internaldate: bytes


@dataclass(slots=True)
class Box:
    """A mailbox; `name` as it goes over the wire."""

    name: bytes
    validity: int
    messages: list[Kept] = field(default_factory=list)
    uidnext: int = 1
    subscribed: bool = True


@dataclass(slots=True)
class Mail:
    """One account: what is truly there. Every server over it sees every change at once."""

    boxes: dict[bytes, Box] = field(default_factory=dict)
    user: str = USER
    password: str = PASSWORD
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.box(b"INBOX")

    def box(self, name: bytes) -> Box:
        """Return a mailbox, made when it is not there."""
        with self.lock:
            if name not in self.boxes:
                self.boxes[name] = Box(name, 1_700_000_000 + len(self.boxes))
            return self.boxes[name]

    def put(
        self,
        name: bytes,
        content: bytes,
        flags: Iterable[bytes] = (),
        internaldate: bytes = DATE,
    ) -> Kept:
        """Add a message to a mailbox."""
        with self.lock:
            box = self.box(name)
            kept = Kept(box.uidnext, content, set(flags), internaldate)
            box.uidnext += 1
            box.messages.append(kept)
            return kept

    def contents(self) -> Counter[tuple[bytes, bytes]]:
        """Count what there is: mailbox and content."""
        with self.lock:
            return Counter(
                (box.name, m.content) for box in self.boxes.values() for m in box.messages
            )


@dataclass(slots=True)
class Exchange:
    """One command and all a lie may look at; `line` has NUL, number, NUL where a literal stood."""

    mail: Mail
    talk: Conversation
    tag: bytes
    name: str
    line: bytes
    literals: list[bytes]
    session: dict[str, object]
    server: dict[str, object]
    selected: Box | None = None

    def count(self, key: str) -> int:
        """Count, over all connections to this server, how often this is asked; the first is 1."""
        number = int(str(self.server.get(key, 0))) + 1
        self.server[key] = number
        return number

    def words(self) -> list[bytes]:
        """Return the arguments, each as what it means: quotes and literals undone."""
        return [self._word(one) for one in _TOKEN.findall(self.line)]

    def _word(self, token: bytes) -> bytes:
        if token.startswith(b"\0"):
            return self.literals[int(token.strip(b"\0"))]
        if token.startswith(b'"'):
            return re.sub(rb"\\(.)", rb"\1", token[1:-1])
        return token


_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|\0\d+\0|\([^)]*\)|[^ ()]+')

Says = Iterable[bytes]
Answer = Callable[[Exchange, list[bytes]], Says]


@dataclass(frozen=True, slots=True)
class Lie:
    """A lie a server can tell. `name` is a sentence about the server; `wire` says what becomes of
    the octets.

    `answer` alters a truthful answer, `instead` takes its place (None: no lie this time), `keep`
    gives the messages that are really kept of an appended one, `named` what a created mailbox is
    really called (None: it is not made). `before` changes the mail before the first connection;
    it is given the messages that will be sent. `between` changes it between two runs. `hidden`
    tells that no client can find it out, because all that it could ask agrees. `more` are contents
    that are served, though not there: a client may keep them. `removed` tells that a person
    may do the same to a destination: once a run named it, what is gone counts as taken away there.
    """

    name: str
    wire: str
    protocol: str
    side: str = "both"
    """`source`, `destination` or `both`: where it is worth telling."""
    answer: Answer | None = None
    instead: Callable[[Exchange], Says | None] | None = None
    keep: Callable[[bytes], list[bytes]] | None = None
    named: Callable[[bytes], bytes | None] | None = None
    before: Callable[[Mail, list[tuple[bytes, bytes]]], None] | None = None
    between: Callable[[Mail], None] | None = None
    also: tuple[str, ...] = ()
    hidden: bool = False
    more: tuple[bytes, ...] = ()
    removed: bool = False


TRUTH: Final = Lie("the server tells the truth", "nothing is altered", "both")


class Liar(Scripted):
    """A server over `mail`; `told` counts how often its lies were told on the wire or in the store.

    Several lies are told in their order, each altering what the one before it left. `spent`, where
    set, is told the number of answers and their octets as they go out, and `pause` the seconds that
    a slow server takes, instead of their passing.
    """

    spent: Callable[[int, int], None] | None = None
    pause: Callable[[float], None] | None = None

    def __init__(self, mail: Mail, lies: tuple[Lie, ...], protocol: str) -> None:
        self.mail = mail
        self.lies = lies
        self.told = 0
        self.state: dict[str, object] = {}
        super().__init__(self._imap if protocol == "imap" else self._pop3)

    def set(self, *lies: Lie) -> None:
        """Tell these lies from now on, and count anew."""
        self.lies = lies
        self.told = 0
        self.state.clear()

    def altered(self, exchange: Exchange, truth: list[bytes]) -> Says:
        """Return what is said in the place of `truth`."""
        for lie in self.lies:
            if lie.answer is None:
                continue
            said = lie.answer(exchange, truth)
            if not isinstance(said, list):  # it goes on for ever, or hangs up: the last word
                self.told += 1
                return said
            self.told += said != truth
            truth = said
        return truth

    def instead(self, exchange: Exchange) -> Says | None:
        """Return what a lie says without the command being done."""
        for lie in self.lies:
            if lie.instead is not None:
                said = lie.instead(exchange)
                if said is not None:
                    self.told += 1
                    return said
        return None

    def kept(self, content: bytes) -> list[bytes]:
        """Return what is really kept of an appended message."""
        found = [content]
        for lie in self.lies:
            if lie.keep is not None:
                found = [one for content in found for one in lie.keep(content)]
        self.told += found != [content]
        return found

    def named(self, name: bytes) -> bytes | None:
        """Return what a new mailbox is really called."""
        for lie in self.lies:
            if lie.named is not None:
                found = lie.named(name)
                self.told += found != name
                return found
        return name

    def capabilities(self, plain: tuple[str, ...]) -> list[str]:
        return [*plain, *(name for lie in self.lies for name in lie.also)]

    def _send(self, talk: Conversation, said: Says) -> None:
        answers = 1
        for one in [b"".join(said)] if isinstance(said, list) else said:
            if self.spent is not None:
                self.spent(answers, len(one))
            answers = 0
            talk.send(one)

    def _imap(self, talk: Conversation) -> None:
        talk.pause = self.pause
        session: dict[str, object] = {}
        imap_ = _Imap(self, session)
        greeting = Exchange(self.mail, talk, b"*", "GREETING", b"", [], session, self.state)
        known = " ".join(self.capabilities(IMAP)).encode()
        self._send(talk, self.altered(greeting, [b"* OK [CAPABILITY %s] ready\r\n" % known]))
        while True:
            tag, name, line, literals = _command(talk)
            with self.mail.lock:
                exchange = Exchange(
                    self.mail, talk, tag, name, line, literals, session, self.state, imap_.selected
                )
                said = self.instead(exchange)
                if said is None:
                    truth = imap_.answer(exchange)
                    exchange.selected = imap_.selected
                    said = self.altered(exchange, truth)
            self._send(talk, said)
            if name == "LOGOUT":
                return

    def _pop3(self, talk: Conversation) -> None:
        talk.pause = self.pause
        session: dict[str, object] = {}
        pop = _Pop3(self, session)
        greeting = Exchange(self.mail, talk, b"", "GREETING", b"", [], session, self.state)
        self._send(talk, self.altered(greeting, [b"+OK ready\r\n"]))
        while True:
            line = talk.readline()
            name, _, rest = line.partition(b" ")
            word = name.decode("latin-1").upper()
            exchange = Exchange(self.mail, talk, b"", word, rest, [], session, self.state)
            with self.mail.lock:
                said = self.instead(exchange)
                if said is None:
                    said = self.altered(exchange, pop.answer(exchange))
            self._send(talk, said)
            if word == "QUIT":
                return


def imap(mail: Mail, *lies: Lie) -> Liar:
    """Make an IMAP server that tells `lies`; use it as a context manager."""
    return Liar(mail, lies, "imap")


def pop3(mail: Mail, *lies: Lie) -> Liar:
    """Make a POP3 server over the INBOX that tells `lies`; use it as a context manager."""
    return Liar(mail, lies, "pop3")


_MARK: Final = re.compile(rb"~?\{(\d+)(\+?)\}\Z")


def _command(talk: Conversation) -> tuple[bytes, str, bytes, list[bytes]]:
    """Read an IMAP command: tag, name, the rest, literals."""
    text = talk.readline()
    literals: list[bytes] = []
    while mark := _MARK.search(text):
        if not mark[2]:
            talk.line("+ go on")
        text = text[: mark.start()] + b"\0%d\0" % len(literals)
        literals.append(talk.read(int(mark[1])))
        text += talk.readline()
    tag, _, rest = text.partition(b" ")
    first, _, line = rest.partition(b" ")
    name = first.decode("latin-1").upper()
    if name == "UID":
        second, _, line = line.partition(b" ")
        name = f"UID {second.decode('latin-1').upper()}"
    return tag, name, line, literals


def quoted(name: bytes) -> bytes:
    """Return a mailbox name as a quoted string (RFC 9051 section 4.3)."""
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _uids(text: bytes, box: Box) -> Callable[[int], bool]:
    """Tell which UIDs a set names."""
    last = max((one.uid for one in box.messages), default=0)
    spans = []
    for part in text.split(b","):
        first, _, end = part.partition(b":")
        numbers = [last if one == b"*" else int(one) for one in (first, end or first)]
        spans.append((min(numbers), max(numbers)))
    return lambda uid: any(low <= uid <= high for low, high in spans)


class _Imap:
    """One IMAP session that tells the truth."""

    def __init__(self, server: Liar, session: dict[str, object]) -> None:
        self.server = server
        self.mail = server.mail
        self.session = session
        self.selected: Box | None = None

    def answer(self, asked: Exchange) -> list[bytes]:
        """Do a command; returns its responses, the tagged one last."""
        method = getattr(self, "do_" + asked.name.lower().replace(" ", "_"), None)
        if method is None:
            return [asked.tag + b" BAD unknown command\r\n"]
        try:
            *untagged, tagged = method(asked)
        except (ValueError, IndexError):
            return [asked.tag + b" BAD this cannot be read\r\n"]
        return [b"* " + one + b"\r\n" for one in untagged] + [asked.tag + b" " + tagged + b"\r\n"]

    def do_capability(self, _: Exchange) -> list[bytes]:
        known = " ".join(self.server.capabilities(IMAP)).encode()
        return [b"CAPABILITY " + known, b"OK done"]

    def do_noop(self, _: Exchange) -> list[bytes]:
        return [b"OK done"]

    do_check = do_subscribe = do_enable = do_noop

    def do_id(self, _: Exchange) -> list[bytes]:
        return [b"ID NIL", b"OK done"]

    def do_logout(self, _: Exchange) -> list[bytes]:
        return [b"BYE bye", b"OK done"]

    def do_login(self, asked: Exchange) -> list[bytes]:
        given = [one.decode("utf-8", "replace") for one in asked.words()[:2]]
        return self._in(given == [self.mail.user, self.mail.password])

    def do_authenticate(self, asked: Exchange) -> list[bytes]:
        import base64  # noqa: PLC0415  one use

        mechanism, _, coded = asked.line.partition(b" ")
        if mechanism.upper() != b"PLAIN":
            return [b"NO no such mechanism"]
        if not coded:
            asked.talk.line("+ ")
            coded = asked.talk.readline()
        self.session["coded"] = coded
        words = base64.b64decode(coded).decode("utf-8", "replace").split("\0")
        return self._in(words[-2:] == [self.mail.user, self.mail.password])

    def _in(self, right: bool) -> list[bytes]:
        known = " ".join(self.server.capabilities(IMAP)).encode()
        if right:
            return [b"OK [CAPABILITY %s] in" % known]
        return [b"NO [AUTHENTICATIONFAILED] wrong user name or password"]

    def do_namespace(self, _: Exchange) -> list[bytes]:
        return [b'NAMESPACE (("" "/")) NIL NIL', b"OK done"]

    def do_list(self, asked: Exchange) -> list[bytes]:
        if asked.words()[-1:] == [b""]:
            return [b'LIST (\\Noselect) "/" ""', b"OK done"]
        returned = asked.line.upper().partition(b"RETURN")[2]
        found = []
        for box in self.mail.boxes.values():
            flags = b"\\Subscribed" if b"SUBSCRIBED" in returned and box.subscribed else b""
            found.append(b'LIST (%s) "/" %s' % (flags, quoted(box.name)))
            if b"STATUS" in returned:
                found.append(self._status(box, returned))
        return [*found, b"OK done"]

    def do_lsub(self, _: Exchange) -> list[bytes]:
        boxes = self.mail.boxes.values()
        return [
            *(b'LSUB () "/" ' + quoted(box.name) for box in boxes if box.subscribed),
            b"OK done",
        ]

    def _status(self, box: Box, wanted: bytes) -> bytes:
        told = {
            b"MESSAGES": len(box.messages),
            b"UIDNEXT": box.uidnext,
            b"UIDVALIDITY": box.validity,
            b"HIGHESTMODSEQ": box.uidnext,
        }
        numbers = b" ".join(b"%s %d" % pair for pair in told.items() if pair[0] in wanted)
        return b"STATUS %s (%s)" % (quoted(box.name), numbers)

    def do_status(self, asked: Exchange) -> list[bytes]:
        box = self._named(asked.words()[0])
        return (
            [self._status(box, asked.line.upper()), b"OK done"] if box else [b"NO no such mailbox"]
        )

    def _named(self, name: bytes) -> Box | None:
        return self.mail.boxes.get(b"INBOX" if name.upper() == b"INBOX" else name)

    def do_select(self, asked: Exchange) -> list[bytes]:
        box = self._named(asked.words()[0])
        self.selected = box
        if box is None:
            return [b"NO [NONEXISTENT] no such mailbox"]
        modseq = [b"OK [HIGHESTMODSEQ %d] m" % box.uidnext] if self._modseqs() else []
        return [
            b"%d EXISTS" % len(box.messages),
            b"0 RECENT",
            b"FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)",
            b"OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] p",
            b"OK [UIDVALIDITY %d] v" % box.validity,
            b"OK [UIDNEXT %d] n" % box.uidnext,
            *modseq,
            b"OK [READ-WRITE] open" if asked.name == "SELECT" else b"OK [READ-ONLY] open",
        ]

    do_examine = do_select

    def _modseqs(self) -> bool:
        return "CONDSTORE" in self.server.capabilities(())

    def do_close(self, _: Exchange) -> list[bytes]:
        self.selected = None
        return [b"OK done"]

    do_unselect = do_close

    def do_create(self, asked: Exchange) -> list[bytes]:
        name = self.server.named(asked.words()[0])
        if name is not None:
            if self._named(name) is not None:
                return [b"NO [ALREADYEXISTS] it is there"]
            self.mail.box(name)
        return [b"OK done"]

    def do_append(self, asked: Exchange) -> list[bytes]:
        words = asked.words()
        box = self._named(words[0])
        if box is None:
            return [b"NO [TRYCREATE] no such mailbox"]
        flags = next((one[1:-1].split() for one in words[1:-1] if one.startswith(b"(")), [])
        when = next((one for one in words[1:-1] if one[2:3] == b"-"), DATE)
        uid = box.uidnext
        for content in self.server.kept(asked.literals[-1]):
            self.mail.put(box.name, content, flags, when)
        told = [b"%d EXISTS" % len(box.messages)] if box is self.selected else []
        return [*told, b"OK [APPENDUID %d %d] done" % (box.validity, uid)]

    def do_uid_search(self, asked: Exchange) -> list[bytes]:
        box = self.selected
        if box is None:
            return [b"BAD no mailbox is selected"]
        text = asked.line.upper()
        found = re.search(rb"UID ([0-9:*,]+)", text)
        fits = _uids(found[1], box) if found else lambda _: True
        uids = [b"%d" % one.uid for one in box.messages if fits(one.uid)]
        return [b" ".join([b"SEARCH", *uids]), b"OK done"]

    def do_uid_fetch(self, asked: Exchange) -> list[bytes]:
        box = self.selected
        if box is None:
            return [b"BAD no mailbox is selected"]
        numbers, _, items = asked.line.partition(b" ")
        fits = _uids(numbers, box)
        found = [
            self._fetched(position, one, items.upper())
            for position, one in enumerate(box.messages, 1)
            if fits(one.uid)
        ]
        return [*found, b"OK done"]

    def _fetched(self, position: int, one: Kept, items: bytes) -> bytes:
        told = [b"UID %d" % one.uid]
        if b"FLAGS" in items:
            told.append(b"FLAGS (%s)" % b" ".join(sorted(one.flags)))
        if b"INTERNALDATE" in items:
            told.append(b'INTERNALDATE "%s"' % one.internaldate)
        if b"RFC822.SIZE" in items:
            told.append(b"RFC822.SIZE %d" % len(one.content))
        if b"EMAILID" in items:
            told.append(b"EMAILID (M%d)" % (hash(one.content) & 0xFFFFFFFF))
        if b"CHANGEDSINCE" in items:
            told.append(b"MODSEQ (%d)" % one.uid)
        if part := re.search(rb"BODY\.PEEK\[(HEADER)?\](?:<(\d+)\.(\d+)>)?", items):
            told.append(self._part(one.content, part))
        return b"%d FETCH (%s)" % (position, b" ".join(told))

    def _part(self, content: bytes, part: re.Match[bytes]) -> bytes:
        if part[1]:
            head, blank, _ = content.partition(b"\r\n\r\n")
            content = head + blank
        name = b"BODY[%s]" % (part[1] or b"")
        if part[2]:
            content = content[int(part[2]) : int(part[2]) + int(part[3])]
            name += b"<%s>" % part[2]
        return b"%s {%d}\r\n%s" % (name, len(content), content)

    def do_uid_store(self, asked: Exchange) -> list[bytes]:
        box = self.selected
        if box is None:
            return [b"BAD no mailbox is selected"]
        numbers, _, change = asked.line.partition(b" ")
        fits = _uids(numbers, box)
        flags = set(change[change.index(b"(") + 1 : change.rindex(b")")].split())
        for one in box.messages:
            if fits(one.uid):
                one.flags = one.flags - flags if change[:1] == b"-" else one.flags | flags
        return [b"OK done"]


class _Pop3:
    """One POP3 session that tells the truth about the INBOX as it was at login."""

    def __init__(self, server: Liar, session: dict[str, object]) -> None:
        self.server = server
        self.mail = server.mail
        self.session = session
        self.user = ""
        self.messages: list[Kept] = []
        self.gone: set[int] = set()

    def answer(self, asked: Exchange) -> list[bytes]:
        """Do a command; returns its answer in pieces: the status, lines or octets, the dot."""
        method = getattr(self, "do_" + asked.name.lower(), None)
        if method is None:
            return [b"-ERR unknown command\r\n"]
        try:
            found: list[bytes] = method(asked)
        except (ValueError, IndexError):
            return [b"-ERR no such message\r\n"]
        return found

    def do_capa(self, _: Exchange) -> list[bytes]:
        names = self.server.capabilities(POP3)
        return [b"+OK\r\n", *(name.encode() + b"\r\n" for name in names), b".\r\n"]

    def do_user(self, asked: Exchange) -> list[bytes]:
        self.user = asked.line.decode("utf-8", "replace")
        return [b"+OK\r\n"]

    def do_pass(self, asked: Exchange) -> list[bytes]:
        given = (self.user, asked.line.decode("utf-8", "replace"))
        if given != (self.mail.user, self.mail.password):
            return [b"-ERR [AUTH] wrong user name or password\r\n"]
        self.messages = list(self.mail.box(b"INBOX").messages)
        self.session["messages"] = self.messages
        return [b"+OK\r\n"]

    def do_noop(self, _: Exchange) -> list[bytes]:
        return [b"+OK\r\n"]

    do_utf8 = do_noop

    def do_stat(self, _: Exchange) -> list[bytes]:
        size = sum(len(ended(one.content)) for one in self.messages)
        return [b"+OK %d %d\r\n" % (len(self.messages), size)]

    def _numbered(self, asked: Exchange, told: Callable[[Kept], bytes]) -> list[bytes]:
        if asked.line:
            number = int(asked.line)
            return [b"+OK %d %s\r\n" % (number, told(self._message(number)))]
        lines = [b"%d %s\r\n" % (number, told(one)) for number, one in enumerate(self.messages, 1)]
        return [b"+OK\r\n", *lines, b".\r\n"]

    def _message(self, number: int) -> Kept:
        if number < 1 or number in self.gone:
            raise ValueError(number)
        return self.messages[number - 1]

    def do_list(self, asked: Exchange) -> list[bytes]:
        return self._numbered(asked, lambda one: b"%d" % len(ended(one.content)))

    def do_uidl(self, asked: Exchange) -> list[bytes]:
        return self._numbered(asked, lambda one: b"uidl-%06d" % one.uid)

    def do_retr(self, asked: Exchange) -> list[bytes]:
        return [b"+OK\r\n", stuffed(ended(self._message(int(asked.line)).content)), b".\r\n"]

    def do_top(self, asked: Exchange) -> list[bytes]:
        number, lines = map(int, asked.line.split())
        head, blank, body = self._message(number).content.partition(b"\r\n\r\n")
        shown = b"".join(body.splitlines(keepends=True)[:lines])
        return [b"+OK\r\n", stuffed(ended(head + blank + shown)), b".\r\n"]

    def do_dele(self, asked: Exchange) -> list[bytes]:
        self._message(int(asked.line))
        self.gone.add(int(asked.line))
        return [b"+OK\r\n"]

    def do_rset(self, _: Exchange) -> list[bytes]:
        self.gone.clear()
        return [b"+OK\r\n"]

    def do_quit(self, _: Exchange) -> list[bytes]:
        box = self.mail.box(b"INBOX")
        lost = [id(self.messages[number - 1]) for number in self.gone]
        box.messages[:] = [one for one in box.messages if id(one) not in lost]
        return [b"+OK bye\r\n"]


def ended(content: bytes) -> bytes:
    """Return a message with the last line end without which POP3 cannot send it."""
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """Double each dot that begins a line (RFC 1939 section 3)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


def composed(name: bytes) -> bytes:
    """Return a mailbox name as a server writes it that composes accents (NFC)."""
    from imapclient.imap_utf7 import decode, encode  # noqa: PLC0415  one use

    written: bytes = encode(unicodedata.normalize("NFC", decode(name)))
    return written


def closing(talk: Conversation, *said: bytes) -> Iterator[bytes]:
    """Say a last word, and hang up."""
    yield from said
    talk.close()
    raise ClientGone


def slowly(said: Iterable[bytes], talk: Conversation, seconds: float = 0.7) -> Iterator[bytes]:
    """Say it octet by octet, with a pause before each."""
    for one in said:
        for octet in one:
            talk.silence(seconds)
            yield bytes([octet])
