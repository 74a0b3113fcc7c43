"""POP3: messages known by UIDL, by UIDL and size, or by their content alone; never gone."""

from __future__ import annotations

from pathlib import Path

from mailsync.model import INBOX, Kind, UidlRef, UidRef
from tests.archive.archive_steps import (
    files,
    messages,
    opened,
    pull,
    pulling,
    scan,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain


def test_a_message_is_known_by_its_uidl(tmp_path: Path) -> None:
    message = uidl(b"abc", plain(1))
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            run.add(message)
            run.complete(scan([message], validity=0))
        with pulling(archive) as run:
            known = run.known(scan([message], validity=0))
            assert set(known.messages) == {b"abc"}
            assert (known.live, known.messages[b"abc"].size) == (1, len(plain(1)))
            assert run.add(uidl(b"abc", plain(1), number=7)).kind is Kind.DUPLICATE
        assert archive.mailboxes("alice")[0].live == 1


def test_a_uidl_with_another_size_is_another_message(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(b"abc", plain(1))])
        (stored,) = pull(archive, [uidl(b"abc", plain(1000))])
        assert stored.kind is Kind.NEW
        assert {message.digest for message in messages(archive)} == {
            sha256(plain(1)),
            sha256(plain(1000)),
        }
        assert archive.mailboxes("alice")[0].live == 2


def test_without_uidl_a_message_is_its_content(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(None, plain(1)), uidl(None, plain(2), 2)])
        stored = pull(archive, [uidl(None, plain(2), 1), uidl(None, plain(3), 2)])
        assert [one.kind for one in stored] == [Kind.DUPLICATE, Kind.NEW]
        assert archive.mailboxes("alice")[0].live == 3
        assert len(files(tmp_path / "a")) == 3


def test_what_is_no_longer_on_a_pop3_server_is_not_gone(tmp_path: Path) -> None:
    both, one = [uidl(b"a", plain(1)), uidl(b"b", plain(2))], [uidl(b"b", plain(2))]
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            for message in both:
                run.add(message)
            run.complete(scan(both, validity=0))
        with pulling(archive) as run:
            run.absent([])
            run.retire(INBOX)
            assert run.complete(scan(one, validity=0)) == 0
        assert len(messages(archive)) == 2


def test_pop3_messages_survive_an_imap_pull_of_the_same_account(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(b"a", plain(1)), uidl(b"b", plain(2))])
        with pulling(archive) as run:
            assert run.add(uid(1, plain(2))).kind is Kind.DUPLICATE
            assert run.complete(scan([uid(1, plain(2))])) == 0
        assert len(messages(archive)) == 2
        assert len(files(tmp_path / "a")) == 2


def test_any_octets_serve_as_uidl(tmp_path: Path) -> None:
    names = [b"\xff\xfe", b" ", b"a" * 70, b"\x00"]
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(name, plain(n), n) for n, name in enumerate(names)])
        assert set(archive.last_known("alice").known(scan([], validity=0)).messages) == set(names)


def test_held_are_messages_stored_as_they_were_fetched(tmp_path: Path) -> None:
    other = plain(1).replace(b"mx.example.org", b"mx2.example.org", 1)
    messages = [
        uidl(b"own", plain(1)),
        uidl(b"other route", other),
        uidl(b"two octets more", plain(2), size=len(plain(2)) - 2),
    ]
    with opened(tmp_path / "a") as archive:
        pull(archive, messages)
        with pulling(archive) as run:
            held = run.held([message.entry for message in messages], run.started)
            assert held == {
                messages[0].entry: sha256(plain(1)),
                messages[2].entry: sha256(plain(2)),
            }
            assert run.held([message.entry for message in messages], 0) == {}
            assert run.held([uidl(None, plain(1)).entry], run.started) == {}


def test_the_kind_of_reference_decides_the_mailbox() -> None:
    assert UidlRef(b"a", 1).mailbox == INBOX
    assert UidRef(("Work",), 1, 1).mailbox == ("Work",)
