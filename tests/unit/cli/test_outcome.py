from __future__ import annotations

import json

import pytest

from mailsync.cli import outcome
from mailsync.cli.session import Session
from mailsync.engine.report import NOTES_KEPT, Proved, Report
from mailsync.errors import (
    AuthenticationFailed,
    ConnectionLost,
    DiskFull,
    IntegrityError,
    MailsyncError,
)


def pulled(*, error: MailsyncError | None = None) -> Report:
    report = Report("pull", "old", archive="/mail/old", started=1000, ended=1065, error=error)
    inbox = report.of(("INBOX",))
    inbox.seen, inbox.new, inbox.duplicate, inbox.octets = 2000, 1990, 10, 63_100_000
    sent = report.of(("Work", "Sent"))
    sent.seen, sent.skipped = 5, 1
    report.note("expunged", ("Work", "Sent"), "UID 7", "was deleted on the server meanwhile")
    return report


def said(
    capsys: pytest.CaptureFixture[str], *reports: Report, session: Session | None = None
) -> tuple[int, str, str]:
    code = outcome.show(reports, session or Session({}))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_pull_ends_with_a_table_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, pulled())
    lines = out.splitlines()
    assert lines[0].split() == ["mailbox", "seen", "new", "duplicate", "skipped", "failed", "size"]
    assert lines[2].split() == ["INBOX", "2,000", "1,990", "10", "-", "-", "63.1", "MB"]
    assert lines[3].split() == ["Work/Sent", "5", "-", "-", "1", "-", "-"]
    assert lines[4].split()[:3] == ["all", "2,005", "1,990"]
    assert "Work/Sent, UID 7: was deleted on the server meanwhile" in lines[5]
    assert lines[-1] == "old: complete: 2,000 messages (1,990 new contents, 63.1 MB) in 65 s"
    assert (code, err) == (0, "")


def test_a_failed_message_is_named_on_standard_error_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = pulled()
    report.of(("INBOX",)).failed = 1
    report.trouble_with("failed", ("INBOX",), "UID 5", "the server sent \x1b[2Jnonsense")
    code, _, err = said(capsys, report)
    assert code == 3
    assert err.splitlines() == [
        "! INBOX, UID 5: the server sent �[2Jnonsense",
        "old: incomplete: see the lines marked ! above; the next run tries again",
    ]


def test_quiet_says_nothing_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, pulled(), session=Session({}, quiet=True)) == (0, "", "")


def test_quiet_still_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    report = pulled()
    report.trouble_with("failed", ("INBOX",), "UID 5", "no")
    code, out, err = said(capsys, report, session=Session({}, quiet=True))
    assert (code, out) == (3, "")
    assert "UID 5" in err


def test_a_server_that_gave_up_is_told_with_what_is_safe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = said(capsys, pulled(error=ConnectionLost("old", "the line broke")))
    assert code == 75
    assert "old: the line broke" in err
    assert "1,990 messages done so far are safe" in err


def test_remarks_without_end_are_cut_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    report = pulled()
    for uid in range(50):
        report.trouble_with("failed", ("INBOX",), f"UID {uid}", "no")
    assert "… and 30 more like these (-v shows them)" in said(capsys, report)[2]
    assert "UID 49" in said(capsys, report, session=Session({}, verbose=True))[2]


def test_json_is_one_report_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session({}, json=True, command="pull")
    code, out, err = said(
        capsys, pulled(), pulled(error=AuthenticationFailed("old", "no")), session=session
    )
    answer = json.loads(out)
    assert (answer["version"], answer["command"], answer["exit_code"], answer["complete"]) == (
        2,
        "pull",
        code,
        False,
    )
    assert [report["account"] for report in answer["reports"]] == ["old", "old"]
    assert answer["reports"][0]["total"]["new"] == 1990
    assert err == ""


def test_a_dry_run_says_would(capsys: pytest.CaptureFixture[str]) -> None:
    report = pulled()
    report.dry_run = True
    assert (
        said(capsys, report)[1].splitlines()[-1]
        == "old: would bring up to 1,990 messages, 63.1 MB; nothing was changed"
    )


def test_colours_stay_off_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report = pulled()
    report.of(("INBOX",)).failed = 1
    report.trouble_with("failed", ("INBOX",), "UID 5", "no")
    assert "\x1b" not in "".join(map(str, said(capsys, report)))


def test_damage_and_a_full_disk_win_over_everything() -> None:
    login = pulled(error=AuthenticationFailed("a", "x"))
    session = Session({}, json=True)
    assert outcome.show([login, pulled(error=DiskFull("x"))], session) == 74
    assert (
        outcome.show(
            [login, pulled(error=DiskFull("x")), pulled(error=IntegrityError("x"))], session
        )
        == 13
    )
    assert outcome.show([login, login], session) == 12
    assert outcome.show([login, pulled()], session) == 3
    assert outcome.show([pulled(), pulled()], session) == 0


def test_a_proof_says_what_was_compared_and_what_was_removed_since(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report("push", "old", "new", started=1000, ended=1000)
    report.proof.append(Proved(("INBOX",), ("INBOX",), 2117, 2117, 2117, 2112, 5, 20))
    code, out, _ = said(capsys, report)
    assert code == 0
    assert out.splitlines()[0] == (
        "proved: 2,117 messages at the source, all in the archive and on the destination, but for 5"
        " that were deleted or moved there since; sizes of all, contents of 20 compared"
    )


def test_of_several_accounts_those_are_named_at_the_end_that_are_not_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = Report("pull", "b", error=AuthenticationFailed("b", "refused"))
    short = Report("pull", "c")
    short.trouble_with("failed", ("INBOX",), "UID 5", "did not come")
    outcome.show([Report("pull", "a"), lost, short], Session({}))
    err = capsys.readouterr().err.splitlines()
    assert "! c: INBOX, UID 5: did not come" in err
    assert err[-1] == "! 2 of 3 accounts are not done: b, c"
    outcome.show([Report("pull", "a"), Report("pull", "b")], Session({}))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("different", "words"),
    [
        (12, "17 messages (12 different ones) at the source, all in the archive and on the"),
        (
            22,
            (
                "17 messages at the source, all in the archive; the 22 that it has of them and of"
                " earlier ones are on the destination, but for 3 that were deleted or moved"
                " there since"
            ),
        ),
    ],
)
def test_a_proof_never_counts_more_messages_at_the_source_than_there_are(
    different: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report("push", "old", "new", started=1000, ended=1000)
    numbers = (17, 17, different, different - 3, 3)
    report.proof.append(Proved(("INBOX",), ("INBOX",), *numbers))
    assert said(capsys, report)[1].startswith(f"proved: {words}")


@pytest.mark.parametrize("kind", ["failed", "expunged"])
@pytest.mark.parametrize(
    ("verbose", "words"),
    [(False, "(-v shows the first 10,000)"), (True, "(only their number was kept)")],
)
def test_remarks_beyond_those_that_are_kept_are_counted(
    kind: str, verbose: bool, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report("pull", "old")
    for number in range(NOTES_KEPT + 2345):
        report.note(kind, None, f"UID {number}", "is odd")
    _, out, err = said(capsys, report, session=Session({}, verbose=verbose))
    last = [line for line in (out + err).splitlines() if "…" in line][-1]
    shown = (out + err).count("is odd")
    assert last.endswith(f"… and {12_345 - shown:,} more like these {words}")
    assert report.as_json()["notes_dropped"] == 2345


def test_remarks_of_one_kind_do_not_crowd_out_those_of_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report("pull", "old")
    for number in range(NOTES_KEPT + 1):
        report.note("expunged", None, f"UID {number}", "was deleted")
    report.trouble_with("failed", None, "UID 5", "did not come")
    _, _, err = said(capsys, report)
    assert "! UID 5: did not come" in err


def test_a_push_lists_only_mailboxes_with_news_and_counts_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report("push", "old", "new", started=1000, ended=1000)
    there = report.of(("INBOX",))
    there.seen = there.duplicate = 2000
    work = report.of(("Work",))
    work.seen, work.new = 5, 1
    assert "INBOX" not in (out := said(capsys, report)[1])
    assert "Work" in out
    assert "1 mailbox without news" in out
    assert "INBOX" in said(capsys, report, session=Session({}, verbose=True))[1]
    del report.mailboxes["Work",]
    assert said(capsys, report)[1].splitlines() == [
        "1 mailbox without news",
        "old → new: complete: nothing new",
    ]


def test_asked_for_more_it_tells_where_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    assert "archive: /mail/old" not in said(capsys, pulled())[1]
    out = said(capsys, pulled(), session=Session({}, verbose=True))[1]
    assert "archive: /mail/old" in out
    assert "(65 s)" in out
