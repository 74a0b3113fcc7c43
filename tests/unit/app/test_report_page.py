from __future__ import annotations

import errno
import os
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.app.report_page.file import keep
from mailsync.app.report_page.of_runs import page_of_runs
from mailsync.app.report_page.of_verification import page_of_verification
from mailsync.app.verify import Comparison, Proof, Verification
from mailsync.archive import Damage
from mailsync.engine.coverage import Coverage
from mailsync.engine.report import NOTES_KEPT, Proved, Report
from mailsync.errors import ConnectionLost, DiskFull, MailsyncError
from mailsync.formats.terminal import plain
from mailsync.model import Entry, UidRef

EVIL = '"><img src=x onerror=alert(1)></td></table><script>alert(2)</script>{{ 7 * 7 }}&amp;\x1b[2J'
WORDS = "html head meta title style body header main section footer h1 h2 h3 p dl dt dd div code"
TAGS = frozenset([*WORDS.split(), "table", "thead", "tbody", "tfoot", "tr", "th", "td"])
ATTRIBUTES = frozenset({"class", "scope", "lang", "charset", "name", "content", "http-equiv"})


class Page(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, _: str) -> None:
        self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def migrated(name: str = "Work") -> list[Report]:
    pulled = Report("pull", "old", archive="/mail/old", started=1000, ended=1065)
    inbox = pulled.of(("INBOX",))
    inbox.seen, inbox.new, inbox.octets = 2000, 1990, 63_100_000
    pushed = Report("push", "old", name, archive="/mail/old", started=1000, ended=1070)
    sent = pushed.of((name,))
    sent.seen, sent.new, sent.to = 2000, 2000, name
    pushed.note("repaired", (name,), "UID 7", f"was repaired {name}")
    pushed.proof.append(Proved((name,), (name,), 2000, 2000, 2000, 2000, compared=20))
    return [pulled, pushed]


def test_a_migrations_page_says_what_was_moved_and_that_it_was_proved() -> None:
    page = Page(page_of_runs("migrate", migrated(), 2000))
    assert "Migration: old → Work" in page.text
    proof = (
        "Proved: 2,000 messages at the source, all in the archive and on the destination; sizes of"
        " all, contents of 20 compared."
    )
    assert page.text.count(proof) == 2
    assert "INBOX 2,000 1,990 63.1 MB" in page.text
    assert "Work UID 7 was repaired Work" in page.text
    assert "Nothing that was asked for is missing" in page.text


def test_what_is_not_there_is_named_with_its_reason() -> None:
    pulled, pushed = migrated()
    pushed.of(("Work",)).failed = 1
    pushed.trouble_with("failed", ("Work",), "UID 9", "the server refused it: too large")
    pushed.proof[0] = Proved(("Work",), ("Work",), 2000, 2000, 2000, 1999)
    page = Page(page_of_runs("migrate", [pulled, pushed], 2000))
    assert "Work UID 9 the server refused it: too large" in page.text
    assert "Not everything asked for is done" in page.text
    assert "not proved" in page.text
    assert "Proved:" not in page.text


def test_a_run_that_was_stopped_says_why_and_what_is_safe() -> None:
    (pulled, _) = migrated()
    pulled.error = ConnectionLost("old", "the line broke")
    page = Page(page_of_runs("pull", [pulled], 2000))
    assert "Stopped:" in page.text
    assert "the line broke" in page.text
    assert "1,990 messages done before that are safe" in page.text
    assert "Nothing that was asked for is missing" not in page.text


def test_a_page_lists_the_mailboxes_that_the_terminal_lists_and_no_empty_table() -> None:
    pulled = Report("pull", "old", archive="/mail/old")
    pulled.of(("Work",)).seen = 4
    text = Page(page_of_runs("pull", [pulled], 2000)).text
    assert "1 mailbox without news" in text
    assert "Work" not in text
    refused = Report("pull", "old", error=ConnectionLost("old", "the line broke"))
    assert "Mailbox by mailbox" not in Page(page_of_runs("pull", [refused], 2000)).text


def test_remarks_whose_number_alone_was_kept_are_counted() -> None:
    (pulled, _) = migrated()
    for number in range(NOTES_KEPT + 5):
        pulled.note("expunged", None, f"UID {number}", "is odd")
    assert "5 more are not listed" in Page(page_of_runs("pull", [pulled], 2000)).text


def test_a_verifications_page_names_damage_and_what_the_archive_lacks() -> None:
    proof = Proof(Path("/mail/old"), ("old",), 10, 9, 1000)
    proof.damages.append(Damage(Path("/mail/old/x"), None, "is not what was stored", True))
    lacking = Coverage(("Work",), 3, missing=(Entry(UidRef(("Work",), 1, 7), 2000),))
    compared = Comparison("old", [lacking], [("Spam",)], ["LIST {"])
    page = Page(page_of_verification(Verification((proof,), (compared,), 13), 2000))
    assert "1 damaged" in page.text
    assert "/mail/old/x is not what was stored yes" in page.text
    assert "UID 7 (2.0 kB) not in the archive" in page.text
    assert "cannot be listed: LIST {" in page.text
    assert "Not everything asked for is done" in page.text


def test_a_sound_archive_is_said_to_be_sound() -> None:
    found = Verification((Proof(Path("/mail/old"), ("old",), 10, 9, 1000),), (), 0)
    assert "Sound: every file is what was put there" in Page(page_of_verification(found)).text


@given(st.text(max_size=50) | st.just(EVIL))
def test_no_text_of_a_server_becomes_anything_but_text(name: str) -> None:
    pulled, pushed = migrated(name or "x")
    pulled.error = MailsyncError(name)
    proof = Proof(Path("/mail"), (name,), damages=[Damage(Path("/mail/x"), None, name, True)])
    compared = Comparison(name, [Coverage((name or "x",), trouble=name)], [], [name])
    for made in (
        page_of_runs("migrate", [pulled, pushed], 2000),
        page_of_verification(Verification((proof,), (compared,), 13), 2000),
    ):
        page = Page(made)
        assert page.tags <= TAGS
        assert page.attributes <= ATTRIBUTES
        assert "\x1b" not in made
        assert " ".join(plain(name).split()) in page.text


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    made = page_of_runs("migrate", migrated(EVIL), 2000)
    assert "default-src 'none'" in made
    style = made[made.index("<style>") : made.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_a_report_is_private_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    before = os.umask(0)
    try:
        keep(page_of_runs("pull", migrated()[:1], 2000), path)
        keep(page_of_runs("pull", migrated()[:1], 3000), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_but_a_report_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mailsync.yaml"
    path.write_text("accounts: {}")
    with pytest.raises(MailsyncError, match="no report of mailsync"):
        keep("page", path)
    with pytest.raises(MailsyncError):
        keep("page", tmp_path)
    assert path.read_text() == "accounts: {}"


def test_a_report_that_does_not_fit_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    first = page_of_runs("pull", migrated()[:1], 2000)
    keep(first, path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        keep(page_of_runs("pull", migrated()[:1], 3000), path)
    assert path.read_text() == first
    assert list(tmp_path.iterdir()) == [path]
