"""Bring everything a source has and the archive lacks; change nothing on the source.

A run (`run`) chooses mailboxes (`choice`) and lets the `scan_loop` plan each scan and fetch what is
new. What the archive has already is recognised without fetching it (`recognition`); what comes is
counted, and a mailbox closed once all of it is there (`intake`).
"""

from mailsync.engine.pull.choice import choose, shows_everything, unmatched
from mailsync.engine.pull.rehearsal import rehearse_pull
from mailsync.engine.pull.run import pull

__all__ = ["choose", "pull", "rehearse_pull", "shows_everything", "unmatched"]
