"""`--report FILE.html`: the page about what a command did, where it is wanted."""

from __future__ import annotations

from collections.abc import Callable

from mailsync import exit_codes
from mailsync.cli.lines import complain, say
from mailsync.cli.session import Session
from mailsync.errors import MailsyncError
from mailsync.formats.terminal import plain


def keep_report(session: Session, code: int, page: Callable[[], str]) -> int:
    """Write the page, if one is wanted; return what the command ends with, `code` unless that is 0
    and there is no page: what was done is done all the same.
    """
    if session.report is None:
        return code
    from mailsync.app.report_page.file import keep  # noqa: PLC0415  seldom wanted

    name = plain(str(session.report))
    try:
        keep(page(), session.report)
    except MailsyncError as error:
        complain(f"the report {name} was not written: {plain(str(error))}; what was done is done")
        return code if code != exit_codes.DONE else exit_codes.of_error(error)
    if not session.quiet and not session.json:
        say(f"a report to keep: {name}")
    return code
