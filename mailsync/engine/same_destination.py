"""Whether a server at another port is the destination that messages were sent to, by what it holds.

The numbers of its mailboxes do not tell that: a clone, or what a backup was read back into, has
those of its original.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest

from mailsync import identity
from mailsync.archive import Archive
from mailsync.engine.matching import SAMPLE, forms_of, ways
from mailsync.errors import IntegrityError, MailboxError
from mailsync.identity import StoredForm
from mailsync.model import Mailbox, MailboxPath
from mailsync.stores.base import Destination


def holds_what_was_sent(
    archive: Archive, key: str, destination: Destination, listed: Sequence[Mailbox]
) -> bool:
    """Return whether of the messages that were sent last, by the ledger of `key`, those that are
    still under their UIDs are the same, and there are any. Raises StoreUnavailable.

    The last ones tell most: a clone that was made in between holds others under their UIDs.
    """
    found = False
    for path, wanted in _sample(archive, key, listed).items():
        try:
            forms = forms_of(destination.bodies(path, list(wanted)))
        except MailboxError:
            continue
        for uid, form in forms.items():
            if not _is_one_of(archive, wanted[uid], form):
                return False
            found = True
    return found


def _sample(
    archive: Archive, key: str, listed: Sequence[Mailbox]
) -> Mapping[MailboxPath, Mapping[int, Collection[bytes]]]:
    """Return the newest UIDs of each mailbox in turn, with the digests that may be there."""
    newest = {
        box.path: archive.newest_sent(key, box.path, box.state.uidvalidity, SAMPLE)
        for box in listed
        if box.state is not None
    }
    columns = ([(path, uid) for uid in uids] for path, uids in newest.items())
    places = [place for row in zip_longest(*columns) for place in row if place is not None]
    sample: dict[MailboxPath, dict[int, Collection[bytes]]] = {}
    for path, uid in places[:SAMPLE]:
        sample.setdefault(path, {})[uid] = newest[path][uid]
    return sample


def _is_one_of(archive: Archive, digests: Collection[bytes], theirs: StoredForm) -> bool:
    for digest in digests:
        try:
            content = archive.content(digest)
        except IntegrityError:
            continue  # reported when it comes to sending it
        if any(identity.is_copy(ours, theirs) for ours in ways(content)):
            return True
    return False
