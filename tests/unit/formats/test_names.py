"""Names on the disk: folders, files and keywords come back as they were, whatever a server calls
its mailboxes.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mailsync.formats import folders, maildir, mutf7
from mailsync.model import INBOX, MailboxPath

PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "/",
        "\\",
        "&",
        "&-",
        "&AOk-",
        "\\2e",
        "\\_",
        "%_",
        "%2e",
        "%25",
        "%~" + "0" * 32,
        "end ",
        "\\~" + "0" * 32,
        "INBOX",
        "inbox",
        "cur",
        "new",
        "tmp",
        "a:b",
        "Café",
        "\0",
        "~",
    ]
)
PATHS = st.lists(PARTS, min_size=1, max_size=5).map(tuple)


@given(PATHS)
@example(("",))
@example(("", ""))
@example(("..", "..", "etc"))
@example(("\\~" + "a" * 32,))
def test_a_folder_name_that_is_not_shortened_tells_its_mailbox(path: MailboxPath) -> None:
    name = folders.folder_name(path)
    assume(not folders.is_shortened(name))
    assert folders.path_of(name) == path


@given(st.lists(st.text(max_size=300), max_size=5).map(tuple) | PATHS, st.booleans())
@example((), False)
@example((), True)
@example(("x" * 300,), False)
@example(("手" * 200,), False)
@example(("\udcff",), False)
def test_no_mailbox_leaves_the_tree_or_breaks_the_disk(path: MailboxPath, hashed: bool) -> None:
    name = folders.folder_name(path, hashed=hashed)
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= folders.NAME_LIMIT
    assert "/" not in name
    assert name not in {".", ".."}
    # None that FAT, exFAT, NTFS or a network share refuse, nor an end that they drop.
    assert not set(name) & set(':*?"<>|\0\\')
    assert not name.endswith(" ")
    assert (name == "") == (path == INBOX)
    assert name == "" or (name[0] == "." and ".." not in name and not name.endswith("."))


@given(PATHS, PATHS)
@example(("a.b",), ("a", "b"))
@example(("x" * 300,), ("x" * 301,))
@example(("",), ("\\_",))
def test_two_mailboxes_never_share_a_folder(one: MailboxPath, other: MailboxPath) -> None:
    assume(one != other)
    assert folders.folder_name(one) != folders.folder_name(other)


@given(PATHS)
def test_hashed_names_of_mailboxes_that_differ_in_case_differ_in_more(path: MailboxPath) -> None:
    other = tuple(part.swapcase() for part in path)
    assume(path not in {other, INBOX} and other != INBOX)
    names = {folders.folder_name(each, hashed=True) for each in (path, other)}
    assert len({name.lower() for name in names}) == len(names) == 2
    assert all(folders.is_shortened(name) for name in names)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (INBOX, ""),
        (("Archive", "2024"), ".Archive.2024"),
        (("Entwürfe",), ".Entw&APw-rfe"),
        (("a.b", "c/d"), ".a%2eb.c%2fd"),
        (("..",), ".%2e%2e"),
        (("50%", "%2e", " "), ".50%25.%252e.%20"),
        (("a:b\\c", ""), ".a%3ab%5cc.%_"),
        (("INBOX", "x"), ".INBOX.x"),
        (("bell\x07",), ".bell&AAc-"),
    ],
)
def test_folder_names_are_those_other_programs_know(path: MailboxPath, name: str) -> None:
    assert folders.folder_name(path) == name
    assert folders.path_of(name) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (".a\\2eb.c\\2fd", ("a.b", "c/d")),
        (".\\_.x", ("", "x")),
        (".a\\3ab.50%.%2e", ("a:b", "50%", "%2e")),
        (".50% off.100%ab", ("50% off", "100%ab")),
        (".end ", ("end ",)),
    ],
)
def test_folders_that_earlier_versions_named_tell_their_mailboxes(
    name: str, path: MailboxPath
) -> None:
    assert folders.path_of(name) == path


def test_names_that_earlier_versions_shortened_are_known_as_such() -> None:
    assert folders.is_shortened("." + "x" * 100 + "\\~" + "0" * 32)


@given(st.text())
def test_a_folder_of_another_program_is_some_mailbox(name: str) -> None:
    assert folders.path_of(name)


HALVES = "\ud83d\ude00\udfff\ud800"


@given(st.text() | st.text(st.sampled_from(f"{HALVES}\U0001f600\u00e9a&-,+/")))
@example("~peter/mail/台北/日本語")
@example("&&AOk-&-")
@example("\ud83d\ude00")
def test_modified_utf7_brings_any_text_back_in_ascii_and_half_a_surrogate_pair_too(
    text: str,
) -> None:
    assert mutf7.encode(text).isascii()
    assert mutf7.decode(mutf7.encode(text)) == text


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("\ud800", "&2AA-"), ("\U0001f600", "&2D3eAA-"), ("\u00e9&\u00e9", "&AOk-&-&AOk-")],
)
def test_names_are_written_as_archives_on_disk_have_them(text: str, encoded: str) -> None:
    assert mutf7.encode(text) == encoded


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        ("&-", "&"),
        ("&A-", "&A-"),
        ("&AAAA-", "&AAAA-"),
        ("a & b", "a & b"),
        ("&AOk-&A-", "&AOk-&A-"),
    ],
)
def test_what_is_no_modified_utf7_stays_as_it_is(encoded: str, text: str) -> None:
    assert mutf7.decode(encoded) == text


@given(st.text())
def test_modified_utf7_reads_anything(text: str) -> None:
    mutf7.decode(text)


# Files


@given(
    st.integers(-(10**10), 10**12),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 10**12),
    st.integers(1, 10**6),
)
def test_a_file_name_tells_what_it_was_made_of(
    internaldate: int, digest: bytes, size: int, copy: int
) -> None:
    base = maildir.name(internaldate, digest, size, copy)
    assert maildir.parse(base) == maildir.MaildirName(internaldate, digest[:16], copy, size)


@given(
    st.text()
    | st.from_regex(r"\A-?[0-9]{1,3}\.[0-9a-f]{30,33}(\.[0-9]{0,2})?\.mailsync,S=[0-9]*\n?")
)
@example("1" * 5_000 + "." + "0" * 32 + ".mailsync,S=1")
@example("1." + "0" * 32 + ".mailsync,S=" + "1" * 5_000)
@example("\u0661." + "0" * 32 + ".mailsync,S=1")
def test_a_name_of_another_program_is_none_of_ours_and_never_raises(text: str) -> None:
    read = maildir.parse(text)
    base, letters = maildir.split(text)
    maildir.flags_of(letters, {})
    assert read is None or (text == base and len(read.digest_prefix) == 16)


SYSTEM = ["\\Draft", "\\Flagged", "\\Answered", "\\Seen", "\\Deleted", "$Forwarded"]


@given(st.frozensets(st.sampled_from([*SYSTEM, "$Junk", "work"])), st.sampled_from(":!"))
def test_flags_come_back_from_a_file_name_in_the_order_maildir_demands(
    flags: frozenset[str], separator: str
) -> None:
    letters_of = {"$Junk": "a", "work": "b"}
    filename = maildir.with_flags("1.x", flags, letters_of, separator)
    base, letters = maildir.split(filename)
    assert base == "1.x"
    assert letters == "".join(sorted(letters))
    assert maildir.flags_of(letters, {"a": "$Junk", "b": "work"}) == flags


def test_a_keyword_without_a_letter_and_a_letter_without_a_keyword_are_left_out() -> None:
    assert maildir.with_flags("1.x", frozenset({"\\Seen", "work", "\\Recent"}), {}) == "1.x:2,S"
    assert maildir.flags_of("SXa", {}) == frozenset({"\\Seen"})
    assert maildir.split("1.x") == ("1.x", "")


@given(
    st.dictionaries(
        st.sampled_from(maildir.KEYWORD_LETTERS), st.from_regex(r"[!-~]+", fullmatch=True)
    )
)
def test_a_keyword_file_tells_what_it_was_made_of(keywords: dict[str, str]) -> None:
    assert maildir.parse_keywords(maildir.format_keywords(keywords)) == keywords


def test_a_keyword_file_written_elsewhere_is_read() -> None:
    written = b"0 $Junk\r\n1 a\x0bb\n26 late\n3\n4 \n25 last"
    assert maildir.parse_keywords(written) == {"a": "$Junk", "b": "a\x0bb", "z": "last"}


@given(
    st.binary()
    | st.lists(
        st.sampled_from(
            [b"0 a", b"\n", b"25 z", b"26 x", b"-1 x", b" ", b"\xc2\xb2 x", b"999 x", b"7 \r\n"]
        )
    ).map(b"".join)
)
def test_a_keyword_file_of_any_bytes_is_read(content: bytes) -> None:
    assert set(maildir.parse_keywords(content)) <= set(maildir.KEYWORD_LETTERS)
