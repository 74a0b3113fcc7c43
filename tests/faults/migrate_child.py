"""The command line with less patience, to be killed: `python -m tests.faults.migrate_child
ARGUMENTS…`.

A local server has stored within a moment whatever a killed client had sent, so nobody has to wait
half a minute for that. With `UNTOLD` in the environment it is as if the server did not tell under
which UIDs it stored messages: a Dovecot whose UIDPLUS is masked still does.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from unittest.mock import patch

from mailsync.app import runs
from mailsync.cli.main import main
from mailsync.stores.imap import append_responses
from mailsync.stores.imap.response import Result

PATIENCE = 1.0


def untold(_: Result, count: int) -> tuple[None, list[None]]:
    """Read an answer as if there were no APPENDUID in it."""
    return None, [None] * count


if __name__ == "__main__":
    with ExitStack() as stack:
        stack.enter_context(patch.object(runs, "PATIENCE", PATIENCE))
        if "UNTOLD" in os.environ:
            stack.enter_context(patch.object(append_responses, "append_uids", untold))
        main()
