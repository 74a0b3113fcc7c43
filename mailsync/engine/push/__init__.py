"""Send an archive's messages to a destination: exactly once each, by the ledger first and by
looking where it knows nothing.

Nothing is ever deleted or overwritten there, and what the user moved or deleted there since is not
brought back. The way is: settle the mailboxes' names (`names`), look at the destination and the
ledger once (`look`), which gives a `PushPlan`; report it (a rehearsal ends here), and carry it out
(`sender`), with a second look at whatever stayed without an answer (`reconciler`).
"""

from mailsync.engine.push.run import push, rehearse_push, send_again
from mailsync.engine.push.session import Patience, PushSession
from mailsync.engine.push.streaming_push import AnnouncedProgress, StreamingPush

__all__ = [
    "AnnouncedProgress",
    "Patience",
    "PushSession",
    "StreamingPush",
    "push",
    "rehearse_push",
    "send_again",
]
