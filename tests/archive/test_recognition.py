"""Not downloading what is here already: by size, header, tail and object id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mailsync.archive.reindex import reindex
from mailsync.formats import header
from mailsync.model import INBOX, Excerpt, Kind
from tests.archive.archive_steps import (
    damages,
    files,
    messages,
    only_file,
    opened,
    pull,
    pull_whole,
    pulling,
    rot,
    scan,
    sha256,
    uid,
    uidl,
)
from tests.messages import plain

WORK = ("Work",)


def head(content: bytes) -> bytes:
    return header.block(content)


def test_only_sizes_that_were_here_before_are_candidates(tmp_path: Path) -> None:
    here, elsewhere = uid(1, plain(1)), uid(2, plain(1000000))
    with opened(tmp_path / "a") as archive:
        with pulling(archive) as run:
            run.add(here)
            assert run.candidates([uid(9, plain(1)).entry]) == []
        with pulling(archive) as run:
            again = uid(9, plain(1), WORK).entry
            unsized = replace(again, size=None)
            assert run.candidates([again, elsewhere.entry, unsized]) == [again]


def test_the_size_a_server_announced_counts_as_well(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(b"x", plain(1), size=12_345)])
        with pulling(archive) as run:
            entry = replace(uid(1, plain(1)).entry, size=12_345)
            assert run.candidates([entry]) == [entry]
            assert run.recognise(Excerpt(entry, head(plain(1)))) == sha256(plain(1))


def test_a_message_is_recognised_by_its_whole_header_and_its_tail(tmp_path: Path) -> None:
    entry = uid(5, plain(1), WORK).entry
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), flags=["\\Seen"])])
        with pulling(archive) as run:
            digest = run.recognise(Excerpt(entry, head(plain(1))))
            assert digest == sha256(plain(1))
            assert run.tail_equals(digest, Excerpt(entry, plain(1)[-100:]))
            assert run.tail_equals(digest, Excerpt(entry, plain(1)))
            assert not run.tail_equals(digest, Excerpt(entry, plain(1)[-100:-1] + b"?"))
            assert not run.tail_equals(digest, Excerpt(entry, b"more" + plain(1)))
            assert not run.tail_equals(b"0" * 32, Excerpt(entry, b""))


def test_what_differs_in_anything_is_not_recognised(tmp_path: Path) -> None:
    entry = uid(5, plain(1), WORK).entry
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        with pulling(archive) as run:
            assert (
                run.recognise(Excerpt(entry, head(plain(1)).replace(b"Message", b"message")))
                is None
            )
            assert (
                run.recognise(Excerpt(replace(entry, size=len(plain(1)) + 1), head(plain(1))))
                is None
            )
            assert run.recognise(Excerpt(replace(entry, size=None), head(plain(1)))) is None


def test_a_match_is_a_placement_without_a_fetch(tmp_path: Path) -> None:
    entry = uid(5, plain(1), WORK, flags=["\\Seen"]).entry
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        with pulling(archive) as run:
            stored = run.match(entry, sha256(plain(1)))
            assert stored is not None
            assert (stored.kind, stored.digest) == (Kind.MATCHED, sha256(plain(1)))
            again = run.match(entry, sha256(plain(1)))
            assert again is not None
        (message,) = messages(archive, WORK)
        assert message.flags == {"\\Seen"}
        first, second = files(tmp_path / "a")
        assert first.stat().st_ino == second.stat().st_ino
        assert damages(archive) == []


def test_a_match_with_rotten_content_asks_for_the_message(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        rot(only_file(tmp_path / "a"))
        with pulling(archive) as run:
            assert run.match(uid(5, plain(1), WORK).entry, sha256(plain(1))) is None
            assert run.match(uid(6, plain(2), WORK).entry, sha256(plain(2))) is None
        assert messages(archive, WORK) == []


def test_a_match_in_the_same_mailbox_does_not_believe_in_a_file_that_vanished(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        only_file(tmp_path / "a").unlink()
        with pulling(archive) as run:
            assert run.match(uid(1, plain(1), validity=2).entry, sha256(plain(1))) is None


def test_a_match_does_not_make_a_damaged_placement_sound(tmp_path: Path) -> None:
    message = uid(1, plain(1))
    with opened(tmp_path / "a") as archive:
        pull_whole(archive, [message])
        only_file(tmp_path / "a").unlink()
        assert len(damages(archive)) == 1
        with pulling(archive) as run:
            assert run.match(message.entry, sha256(plain(1))) is None
            assert run.add(message).kind is Kind.MENDED


def test_an_object_id_names_the_content_within_an_account(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), object_id="E1")])
        with pulling(archive) as run:
            assert run.same_object(uid(9, plain(1), WORK, object_id="E1").entry) == sha256(plain(1))
            assert run.same_object(uid(9, plain(1), WORK, object_id="E2").entry) is None
            assert run.same_object(uid(9, plain(1), WORK).entry) is None
        with pulling(archive, "bob") as run:
            assert run.same_object(uid(9, plain(1), WORK, object_id="E1").entry) is None


def test_a_damaged_message_is_not_recognised(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1), object_id="E1")])
        rot(only_file(tmp_path / "a"))
        assert len(damages(archive)) == 1
        with pulling(archive) as run:
            entry = uid(9, plain(1), object_id="E1").entry
            assert run.same_object(entry) is None
            assert run.recognise(Excerpt(entry, head(plain(1)))) is None
            assert not run.tail_equals(sha256(plain(1)), Excerpt(entry, plain(1)[-50:]))


def test_a_matched_message_is_not_among_those_a_server_may_be_tidied_of(tmp_path: Path) -> None:
    entry = uidl(b"a", plain(1)).entry
    with opened(tmp_path / "a") as archive:
        pull(archive, [uid(1, plain(1))])
        with pulling(archive) as run:
            run.match(entry, sha256(plain(1)))
            assert run.held([entry], run.started) == {}
        assert messages(archive, INBOX)[0].digest == sha256(plain(1))


def test_a_message_is_proved_by_its_file_and_header(tmp_path: Path) -> None:
    entry = uidl(b"a", plain(1)).entry
    with opened(tmp_path / "a") as archive:
        pull(archive, [uidl(b"a", plain(1))])
        with pulling(archive) as run:
            assert run.proves(sha256(plain(1)), Excerpt(entry, head(plain(1))))
            assert not run.proves(sha256(plain(1)), Excerpt(entry, head(plain(2))))
            assert not run.proves(sha256(plain(9)), Excerpt(entry, head(plain(1))))
            rot(only_file(tmp_path / "a"))
            assert not run.proves(sha256(plain(1)), Excerpt(entry, head(plain(1))))
        assert archive.last_known("alice").state(INBOX) is None


DRAFT = b"Subject: no id, no way\r\n\r\nbody\r\n"


def test_after_a_lost_catalogue_a_mailbox_knows_its_message_by_size_date_and_header(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "a"
    with opened(directory) as archive:
        pull(archive, [uid(1, DRAFT), uid(2, plain(2))])
    (directory / "catalogue.sqlite3").unlink()
    reindex(directory, "alice", by_uid=True)
    with opened(directory) as archive:
        with pulling(archive) as run:
            there = uid(71, DRAFT).entry
            assert run.recognise_place(Excerpt(there, head(DRAFT))) == sha256(DRAFT)
            other_day = replace(there, internaldate=1_600_000_000)
            elsewhere = uid(71, DRAFT, WORK).entry
            for entry in (other_day, elsewhere, replace(there, size=len(DRAFT) + 1)):
                assert run.recognise_place(Excerpt(entry, head(DRAFT))) is None
            assert run.recognise_place(Excerpt(there, head(plain(2)))) is None
            stored = run.match(there, sha256(DRAFT))
            assert stored is not None
            run.complete(scan([uid(71, DRAFT)]))
        # Its UID is known now.
        with pulling(archive) as run:
            assert run.recognise_place(Excerpt(uid(72, DRAFT).entry, head(DRAFT))) is None


def test_of_two_messages_that_only_their_middle_tells_apart_none_is_recognised_by_its_place(
    tmp_path: Path,
) -> None:
    directory, other = tmp_path / "a", DRAFT.replace(b"body", b"soul")
    with opened(directory) as archive:
        pull(archive, [uid(1, DRAFT), uid(2, other)])
    (directory / "catalogue.sqlite3").unlink()
    reindex(directory, "alice", by_uid=True)
    with opened(directory) as archive, pulling(archive) as run:
        assert run.recognise_place(Excerpt(uid(1, DRAFT).entry, head(DRAFT))) is None


def test_what_pop3_cannot_recognise_is_told_beforehand_and_is_not_new(tmp_path: Path) -> None:
    directory, delivered = tmp_path / "a", b"Received: by mx with id 7\r\n" + plain(2)
    there = [uidl(b"a", DRAFT), uidl(b"b", delivered)]
    with opened(directory) as archive:
        pull(archive, there)
    (directory / "catalogue.sqlite3").unlink()
    done = reindex(directory, "alice", by_uid=False)
    assert (done.unplaced, done.unrecognisable) == (2, 1)
    with opened(directory) as archive, pulling(archive) as run:
        assert run.recognise(Excerpt(there[1].entry, head(delivered))) == sha256(delivered)
        assert run.add(there[0]).kind is Kind.DUPLICATE
    assert len(files(directory)) == 2
