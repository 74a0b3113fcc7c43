"""From what a person chose, in times and in words, to the messages it means; and what to say where
it means none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mailsync.app.accounts import Login
from mailsync.app.requests import Choice
from mailsync.archive import Archive
from mailsync.engine.chosen import Chosen
from mailsync.engine.names import no_mailbox
from mailsync.engine.selection import Selection
from mailsync.errors import ConfigError, NothingMatches
from mailsync.formats.quantities import moment
from mailsync.mapping import show
from mailsync.model import MailboxPath

SEARCHED: Final = "the sender, the recipients or the subject"
DIGITS: Final = frozenset("0123456789abcdef")
SHOWN: Final = 5
"""Digests named of several that begin alike."""


def chosen_of(
    choice: Choice, archive: Archive, login: Login, *, sending: bool = False, imported: bool = True
) -> Chosen:
    """Return the messages of an account's archive that a choice means; `sending` and `imported` as
    in `Selection`.

    Raises ConfigError when no complete pull had ended by the time it names, or where several
    digests begin as one that it names, and NothingMatches where no mailbox is called so.
    """
    named = bool(choice.digests or choice.message_id)
    selection = Selection(
        globs=choice.mailboxes,
        since=choice.since,
        before=choice.before,
        message_id=choice.message_id,
        digests=frozenset(digest_of(archive, text) for text in choice.digests),
        search=choice.search,
        include_gone=choice.include_gone or choice.gone_since is not None or named,
        as_of=None if choice.as_of is None else _run_as_of(archive, login, choice.as_of),
        gone_from=(
            None if choice.gone_since is None else archive.first_run_since(choice.gone_since)
        ),
        also_moved=choice.also_moved,
        sending=sending,
        imported=imported,
    )
    chosen = Chosen(archive, login.name, selection, login.ledger_key)
    if selection.globs and not chosen.mailboxes:
        there = [box.path for box in archive.mailboxes(login.name)]
        raise NothingMatches(no_mailbox(f"of {login.shown} in the archive", selection.globs, there))
    return chosen


def digest_of(archive: Archive, beginning: str) -> bytes:
    """Return the one digest that begins with these hexadecimal digits, in any case.

    Raises NothingMatches where none does, and ConfigError where several do.
    """
    text = beginning.strip().lower()
    if not 0 < len(text) <= 64 or set(text) - DIGITS:
        raise ConfigError(
            f"{beginning!r} is no digest: write the beginning of one, as `mailsync list` shows them"
            " (0-9 and a-f)"
        )
    found = archive.find(text)
    if not found:
        raise NothingMatches(
            f"no message's digest begins with {text}; `mailsync list ACCOUNT --mailbox …` shows"
            " them"
        )
    if len(found) > 1:
        some = ", ".join(one.hex()[: max(12, len(text) + 4)] for one in found[:SHOWN])
        raise ConfigError(
            f"{len(found)} messages' digests begin with {text}:"
            f" {some}{' …' if len(found) > SHOWN else ''}; write more of it"
        )
    return found[0]


def demand_messages(choice: Choice, chosen: Chosen) -> None:
    """Raise NothingMatches where a choice means no message; with what else there is.

    A mailbox that is empty, and held nothing that it lost, is a choice of nothing left out.
    """
    if any(True for box in chosen.mailboxes for _ in chosen.messages(box.path)):
        return
    if not chosen.selection.narrows and not (choice.mailboxes and left_out(chosen)):
        return
    said = "; ".join(_conditions(choice))
    raise NothingMatches(
        f"nothing in the archive of {chosen.account} matches: {said}{hint(chosen)}"
    )


def hint(chosen: Chosen) -> str:
    """Return how many messages a choice leaves out that are not on the server where they were, and
    how they are asked for; empty where there are none.
    """
    return "".join(f"; {text}" for text in left_out(chosen))


def left_out(chosen: Chosen) -> list[str]:
    """Return what `hint` says, sentence by sentence."""
    selection = chosen.selection
    if selection.as_of is not None:
        return []
    losses = chosen.losses()
    lost = sum(loss.lost for loss in losses)
    moved = sum(sum(loss.moved.values()) for loss in losses)
    said = []
    if lost and not selection.include_gone:
        said.append(f"{lost:,} more left the server: --include-gone")
    if moved and selection.include_gone and not selection.also_moved:
        said.append(f"{moved:,} more went to another mailbox: --also-moved")
    return said


def moved_to(moved: Mapping[MailboxPath, int]) -> str:
    """Return where messages went that left a mailbox, those it most went to first."""
    some = sorted(moved.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{show(path)} ({count:,})" for path, count in some)


def as_of(chosen: Chosen) -> str:
    """Return which pull a choice as of a time goes by, in words; empty for another choice."""
    run = chosen.selection.as_of
    if run is None:
        return ""
    return f"as of the pull that ended {moment(chosen.archive.vanishing(run)[1])} (run {run})"


def _conditions(choice: Choice) -> Iterator[str]:
    if choice.mailboxes:
        yield f"mailbox {' '.join(choice.mailboxes)}"
    if choice.search:
        yield f"“{choice.search}” in {SEARCHED}"
    if choice.message_id:
        yield f"Message-ID {choice.message_id}"
    if choice.digests:
        yield f"digest {' '.join(choice.digests)}"
    if choice.since is not None:
        yield f"arrived {moment(choice.since)} or later"
    if choice.before is not None:
        yield f"arrived before {moment(choice.before)}"
    if choice.gone_since is not None:
        yield f"left the server {moment(choice.gone_since)} or later"
    if choice.as_of is not None:
        yield f"there on {moment(choice.as_of)}"


def _run_as_of(archive: Archive, login: Login, time: int) -> int:
    run = archive.run_as_of(login.name, time)
    if run is None:
        first = archive.first_complete(login.name)
        ended = moment(first.ended, seconds=True) if first and first.ended else ""
        since = f"; the first one ended {ended}" if ended else ""
        at = moment(time, seconds=True)
        raise ConfigError(f"no complete pull of {login.shown} had ended by {at}{since}")
    return run.id
