"""Messages and answers made to do harm: every parser of what strangers wrote says no in our own
words, in time that grows with the size.

`tests/corpus` keeps answers that broke somebody's program once, each a line as a server might send
it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync import identity
from mailsync.app import preview
from mailsync.errors import StoreError
from mailsync.formats import header, maildir
from mailsync.formats.folders import NAME_LIMIT, folder_name, path_of
from mailsync.stores.imap import fetch_response, list_response, mailbox_names, quota, uid_set
from mailsync.stores.imap.presence import present_of
from mailsync.stores.imap.repair import repaired
from mailsync.stores.imap.response import Answer, result_of
from tests.growth import LINEAR, TIMES, growth
from tests.messages import plain

CORPUS = Path(__file__).parents[1] / "corpus"
SIZE = 320_000
"""Octets of a message that is made to be slow."""

READERS: dict[str, Callable[[Answer], object]] = {
    "line": lambda answer: fetch_response.line_of(answer, "a"),
    "body": lambda answer: fetch_response.body_of(answer, "a"),
    "present": lambda answer: present_of(answer, "a", ("INBOX",), 1),
    "listed": list_response.listed,
    "status": list_response.status,
    "namespaces": list_response.namespaces,
    "roots": quota.roots_of,
    "storage": quota.storage_of,
    "result": lambda answer: result_of(answer.line),
    "number": lambda answer: (answer.number, answer.word),
    "ranges": lambda answer: uid_set.ranges_of(answer.line),
    "flags": lambda answer: fetch_response.flags_of(answer.line),
    "epoch": lambda answer: fetch_response.epoch(answer.line),
}

lines = sorted((CORPUS / "imap").iterdir())
words = st.sampled_from(
    b'FETCH|(UID|FLAGS|RFC822.SIZE|BODY[]|BODY[HEADER]|INTERNALDATE|NIL|(|)|"|{3}|~{3}|LIST|STATUS|\\Seen|1|4294967296|-1|\xff|\0|"/"|*'.split(
        b"|"
    )
)
likely = st.lists(words, max_size=14).map(b" ".join)


def read(reader: str, answer: Answer) -> None:
    """What cannot be read is passed over, or said to break the protocol; nothing else may come of
    it.
    """
    with suppress(StoreError):
        READERS[reader](answer)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", lines, ids=lambda path: path.name)
def test_answers_of_broken_servers_break_no_reader(path: Path, reader: str) -> None:
    line = path.read_bytes()
    read(reader, Answer([line]))
    read(reader, Answer([line + b" {3}", b"abc", b")"]))


@pytest.mark.parametrize("reader", READERS)
@given(
    st.lists(st.one_of(st.binary(max_size=60), likely), min_size=1, max_size=5).filter(
        lambda parts: len(parts) % 2 == 1
    )
)
def test_answers_nobody_thought_of_break_no_reader(reader: str, parts: list[bytes]) -> None:
    read(reader, Answer(parts))


@given(st.binary(max_size=300), st.sampled_from([b"/", b".", b"\\", None, b"//", b"\xff"]))
def test_whatever_a_server_calls_its_mailboxes_their_folders_stay_in_the_tree(
    name: bytes, delimiter: bytes | None
) -> None:
    path = mailbox_names.Names().learn(name, delimiter)
    assert path is not None
    folder = folder_name(path)
    assert "/" not in folder
    assert folder not in {".", ".."}
    assert len(folder.encode()) <= NAME_LIMIT + 40
    path_of(folder)


BOMBS: dict[str, Callable[[int], bytes]] = {
    "a million fields": lambda size: b"A: b\r\n" * (size // 6) + b"\r\n",
    "one field a thousand times": lambda size: (
        (b"Message-ID: <" + b"x" * 1000 + b"@y>\r\n") * (size // 1017) + b"\r\n"
    ),
    "one long line": lambda size: b"Subject: " + b"x" * size,
    "folded for ever": lambda size: b"Subject: x" + b"\r\n " * (size // 3),
    "colons": lambda size: b":" * size,
    "line ends": lambda size: b"X: y" + b"\r" * size,
    "bare LF": lambda size: b"\n " * (size // 2),
    "encoded words": lambda size: b"Subject: " + b"=?utf-8?B?w7w=?= " * (size // 17) + b"\r\n\r\n",
    "encoded words unfinished": lambda size: (
        b"Subject: " + b"=?utf-8?Q?" * (size // 10) + b"\r\n\r\n"
    ),
    "comments": lambda size: b"Message-ID: " + b"(" * size + b"\r\nDate: x\r\n\r\n",
    "angles": lambda size: b"Message-ID: " + b"<" * size + b"\r\nDate: x\r\n\r\n",
    "quotes": lambda size: b"Message-ID: " + b'"\\' * (size // 2) + b"\r\nDate: x\r\n\r\n",
    "blanks": lambda size: b"Message-ID: <a@b>" + b" " * size + b"\r\nDate: x\r\n\r\n",
}


def judge(content: bytes) -> None:
    print_ = identity.fingerprint(content)
    header.text(print_.subject)
    header.text(print_.sender)
    identity.presence_key(content)
    identity.message_id_key(content)
    identity.stored_form(content)
    identity.original_of(content)


@pytest.mark.parametrize("name", BOMBS)
def test_a_message_that_is_all_header_costs_no_more_than_its_size_says(name: str) -> None:
    contents = {size: BOMBS[name](size) for size in (SIZE, SIZE // TIMES)}
    assert growth(lambda size: judge(contents[size]), SIZE) < LINEAR


NESTED: dict[str, Callable[[int], bytes]] = {
    "multiparts": lambda depth: b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level)
        for level in range(depth)
    ),
    "messages": lambda depth: b"Content-Type: message/rfc822\r\n\r\n" * depth,
    "one boundary": lambda depth: (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * depth
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_a_message_within_messages_without_end_is_shown_as_far_as_that_goes(name: str) -> None:
    content = b"Subject: deep\r\n" + NESTED[name](3_000) + b"\r\ntext\r\n"
    shown = preview.read(content).lines
    assert preview.headers(content)["Subject"] == "deep"
    assert all("\x1b" not in line for line in shown)


@pytest.mark.parametrize("field", [b"Subject", b"From", b"To", b"Message-ID"])
def test_what_is_shown_of_a_message_commands_no_terminal(field: bytes) -> None:
    evil = b"\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\t\xe2\x80\xae =?utf-8?B?G10wO293bmVkBw==?="
    content = plain(1).replace(b"Subject: Message number 1", b"X: y")
    content = field + b": " + evil + b"\r\n" + content
    shown = "\n".join([*preview.headers(content).values(), *preview.read(content).lines])
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


@given(st.binary(max_size=400))
def test_any_file_name_is_read_or_not_ours(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    maildir.parse(text)
    base, messages = maildir.split(text)
    assert text.startswith(base)
    maildir.flags_of(messages, {})
    maildir.parse_keywords(name)


@pytest.mark.parametrize("name", NESTED)
def test_a_message_nested_without_end_is_repaired_or_left_as_it_is(name: str) -> None:
    content = b"Subject: deep\r\nX: gr\xfcn\r\n" + NESTED[name](3_000) + b"\r\ntext\0\r\n"
    repaired(content)
