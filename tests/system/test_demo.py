"""The README's first command keeps its promise: it migrates, verifies, prints the report and where
the archive lies.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_migrates_a_mailbox_and_says_where_the_archive_lies(tmp_path: Path) -> None:
    archive = tmp_path / "an archive"
    done = subprocess.run(
        [
            ROOT / "scripts/demo",
            "--venv",
            Path(sys.prefix),
            "--archive",
            archive,
            "--messages",
            "60",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(archive) in done.stdout
    assert "mailsync migrate" in done.stdout
    assert "mailsync verify" in done.stdout
    assert any(archive.rglob("cur/*.mailsync,S=*"))
