"""The command line with less patience, to be killed: `python -m tests.faults.migrate_child ARGUMENTS…`.

A local server has stored within a moment whatever a killed client had sent, so nobody has to wait half a minute for that.
"""

from __future__ import annotations

from unittest.mock import patch

from mailsync.cli import runs
from mailsync.cli.main import main

PATIENCE = 1.0

if __name__ == "__main__":
    with patch.object(runs, "PATIENCE", PATIENCE):
        main()
