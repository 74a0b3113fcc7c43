"""Which mailbox of a destination is which of ours; names as people write them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import INBOX, VIEWS, Mailbox, MailboxPath

ROLES: Final = ("\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive")

_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "\\Sent": (
        "Sent", "Sent Items", "Sent Messages", "Sent Mail", "Gesendet", "Gesendete Objekte",
        "Gesendete Elemente", "Envoyés", "Messages envoyés", "Éléments envoyés", "Enviados",
        "Elementos enviados", "Posta inviata", "Inviata", "Verzonden", "Verzonden items",
        "Skickat", "Sendt", "Wysłane", "Отправленные",
    ),
    "\\Drafts": (
        "Drafts", "Draft", "Entwürfe", "Brouillons", "Borradores", "Bozze", "Concepten",
        "Rascunhos", "Utkast", "Черновики",
    ),
    "\\Trash": (
        "Trash", "Deleted Items", "Deleted Messages", "Bin", "Papierkorb", "Gelöschte Objekte",
        "Gelöschte Elemente", "Corbeille", "Éléments supprimés", "Papelera", "Cestino",
        "Prullenbak", "Lixeira", "Papperskorgen", "Корзина",
    ),
    "\\Junk": (
        "Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail", "Spamverdacht",
        "Courrier indésirable", "Pourriel", "Indésirables", "Correo no deseado",
        "Posta indesiderata", "Ongewenst", "Skräppost", "Спам",
    ),
    "\\Archive": (
        "Archive", "Archives", "Archiv", "Archivo", "Archivio", "Archief", "Arkiv", "Архив",
    ),
}  # fmt: skip

_FOLDED: Final = {
    role: tuple((name.casefold(),) for name in names) for role, names in _USUAL.items()
}

_ESCAPE: Final = re.compile(r"[/\\]")
_WRITTEN: Final = re.compile(r"\\([/\\])|(/)")


@dataclass(frozen=True, slots=True)
class MappingRules:
    """What the user said: mailboxes renamed by name (their subfolders follow), and a mailbox that
    everything goes below.
    """

    explicit: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    into: MailboxPath = ()


@dataclass(frozen=True, slots=True)
class Move:
    """One mailbox of ours and where it goes; `theirs` None for a view, which is not pushed."""

    ours: Mailbox
    theirs: MailboxPath | None


@dataclass(frozen=True, slots=True)
class MappingPlan:
    """Where every mailbox goes.

    `collisions` names their mailboxes in which several of ours end without the user having said so.
    """

    moves: tuple[Move, ...]
    collisions: Mapping[MailboxPath, tuple[MailboxPath, ...]]


def plan_mapping(
    ours: Sequence[Mailbox], theirs: Sequence[Mailbox], rules: MappingRules
) -> MappingPlan:
    """Decide for all mailboxes at once.

    Of several that would meet without the user having said so, one keeps the place (the one of that
    very name, else the first) and the others keep their own names; only where that name is taken
    too do they meet, as a collision.
    """
    roles, there = _roles(ours), _There(theirs)
    places = [_place(mailbox, roles, there, rules) for mailbox in ours]
    ruled = [by_rule(mailbox.path, rules) is not None for mailbox in ours]
    own = [(*rules.into, *mailbox.path) for mailbox in ours]
    taken: dict[MailboxPath, list[int]] = {}
    for each in sorted(
        range(len(ours)), key=lambda each: (not ruled[each], places[each] != own[each])
    ):
        place = places[each]
        if place is None:
            continue
        if place in taken and not ruled[each] and own[each] not in taken:
            place = places[each] = own[each]
        taken.setdefault(place, []).append(each)
    met = {
        place: [each for each in sorted(those) if not ruled[each]] for place, those in taken.items()
    }
    collisions = {
        place: tuple(ours[each].path for each in those)
        for place, those in met.items()
        if len(those) > 1
    }
    return MappingPlan(tuple(map(Move, ours, places)), collisions)


def destination_path(
    mailbox: Mailbox, ours: Sequence[Mailbox], theirs: Sequence[Mailbox], rules: MappingRules
) -> MailboxPath | None:
    """Decide where one mailbox goes: by the user's rule, by its role or its parent's, else by its
    own name; None for a view.
    """
    return _place(mailbox, _roles(ours), _There(theirs), rules)


def is_bin(mailbox: Mailbox) -> bool:
    """Return whether a mailbox is for what was thrown away (`\\Trash`, `\\Junk`), or below one that
    has the usual name of one.
    """
    bins = {"\\Trash", "\\Junk"}
    top = _fold(mailbox.path[:1])
    return bool(mailbox.special_use & bins) or any(top in _FOLDED[role] for role in bins)


def archive_of(theirs: Sequence[Mailbox], rules: MappingRules) -> MailboxPath:
    """Return where messages go that live in no mailbox of their own but only in a view of all mail
    (RFC 6154 `\\All`).
    """
    there = _There(theirs)
    return (*rules.into, *(there.box("\\Archive") or there.spelled(("Archive",))))


def spelled_there(path: MailboxPath, theirs: Sequence[Mailbox]) -> MailboxPath:
    """Return `path` as the destination spells it, where a mailbox or a parent of that name differs
    in case only.
    """
    return _There(theirs).spelled(path)


def _roles(ours: Sequence[Mailbox]) -> Mapping[MailboxPath, frozenset[str]]:
    return {mailbox.path: mailbox.special_use for mailbox in ours}


class _There:
    """A destination's mailboxes, by name and by role: made once for all questions, so that a
    thousand mailboxes take no time.
    """

    def __init__(self, theirs: Sequence[Mailbox]) -> None:
        self._exact = {
            mailbox.path[:depth] for mailbox in theirs for depth in range(1, len(mailbox.path) + 1)
        }
        self._folded = {_fold(known): known for known in sorted(self._exact, reverse=True)}
        self._by_role = {
            role: mailbox.path for mailbox in reversed(theirs) for role in mailbox.special_use
        }
        self._by_name = {
            _fold(mailbox.path): mailbox.path
            for mailbox in theirs
            if len(mailbox.path) == 1 and not mailbox.special_use
        }

    def spelled(self, path: MailboxPath) -> MailboxPath:
        """Return the longest beginning of `path` that is there as it is written there."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self._exact:
                return path
            found = self._folded.get(_fold(path[:depth]))
            if found:
                return (*found, *path[depth:])
        return path

    def box(self, role: str) -> MailboxPath | None:
        """Find the mailbox of a role: as the server says, else by a usual name at the top."""
        return self._by_role.get(role) or next(
            (self._by_name[name] for name in _FOLDED[role] if name in self._by_name), None
        )


def _fold(path: MailboxPath) -> MailboxPath:
    return tuple(part.casefold() for part in path)


def _place(
    mailbox: Mailbox,
    roles: Mapping[MailboxPath, frozenset[str]],
    there: _There,
    rules: MappingRules,
) -> MailboxPath | None:
    ruled = by_rule(mailbox.path, rules)
    if ruled is not None:
        return ruled
    if mailbox.attributes & VIEWS:
        return None
    if rules.into:
        return there.spelled((*rules.into, *mailbox.path))
    if mailbox.path == INBOX:
        return INBOX
    return _by_role(mailbox.path, roles, there) or there.spelled(mailbox.path)


def by_rule(path: MailboxPath, rules: MappingRules) -> MailboxPath | None:
    """Return the name the user gave to a mailbox, or to a parent of it; None where he gave none."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in rules.explicit:
            return (*rules.into, *rules.explicit[path[:depth]], *path[depth:])
    return None


def _by_role(
    path: MailboxPath, roles: Mapping[MailboxPath, frozenset[str]], there: _There
) -> MailboxPath | None:
    """Follow a role from our server to theirs, for the mailbox itself or for the nearest parent
    that has one.
    """
    for depth in range(len(path), 0, -1):
        held = roles.get(path[:depth], frozenset())
        for role in ROLES:
            box = there.box(role) if role in held else None
            if box:
                return there.spelled((*box, *path[depth:]))
    return None


def usual_role(path: MailboxPath) -> str | None:
    """Return the role that a mailbox has by its name, as programs call theirs; None for others."""
    folded = _fold(path)
    return next((role for role, names in _FOLDED.items() if folded in names), None)


def parse_name(text: str) -> MailboxPath:
    """Read a mailbox name as people write it: parts joined by `/`; a `/` or `\\` inside a part has
    a `\\` before it.
    """
    parts = [""]
    position = 0
    for found in _WRITTEN.finditer(text):
        parts[-1] += text[position : found.start()]
        position = found.end()
        if found[2]:
            parts.append("")
        else:
            parts[-1] += found[1]
    parts[-1] += text[position:]
    path = tuple(parts)
    return INBOX if len(path) == 1 and path[0].upper() == "INBOX" else path


def show(path: MailboxPath) -> str:
    """Write a mailbox name for people; `parse_name` reads it again."""
    return "/".join(_ESCAPE.sub(r"\\\g<0>", part) for part in path)


def matches(path: MailboxPath, globs: Sequence[str]) -> bool:
    """Return whether a mailbox is chosen: by any glob, and by none with `!`.

    A name without `*` and `?` means the mailbox and all below it. `*` crosses `/`, `?` is one
    character, the last word counts.

    Only negated globs mean everything but those. INBOX is written in any case.
    """
    name = show(path)
    chosen = all(glob.startswith("!") for glob in globs)
    for negated, pattern in _patterns(globs, inbox=path[:1] == INBOX):
        if pattern.fullmatch(name):
            chosen = not negated
    return chosen


def is_named(path: MailboxPath, globs: Sequence[str]) -> bool:
    """Return whether a mailbox is chosen by its very name, without `*` or `?` in it."""
    names = [glob for glob in globs if not _is_pattern(glob)]
    return any(parse_name(name) == path for name in names) and matches(path, names)


def names_in(globs: Sequence[str]) -> Iterator[str]:
    """Yield the names among globs: what says which mailboxes, not which ones of those there are."""
    return (glob for glob in globs if not glob.startswith("!") and not _is_pattern(glob))


def _is_pattern(glob: str) -> bool:
    return not set(glob).isdisjoint("*?")


def _patterns(globs: Sequence[str], *, inbox: bool) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for glob in globs:
        negated = glob.startswith("!")
        text = glob.removeprefix("!")
        if inbox and text[:5].upper() == "INBOX":
            text = "INBOX" + text[5:]
        body = "".join(
            ".*" if char == "*" else "." if char == "?" else re.escape(char) for char in text
        )
        below = "" if _is_pattern(text) else "(?:/.*)?"
        yield negated, re.compile(body + below, re.DOTALL)


def respelled(path: MailboxPath, listed: Iterable[MailboxPath]) -> MailboxPath | None:
    """Return the one listed path that a server may have made of `path`: other blanks, other
    accents, other case; None where none or several might be.
    """
    alike = [one for one in listed if _folded(one) == _folded(path)]
    return alike[0] if len(alike) == 1 else None


def _folded(path: MailboxPath) -> tuple[str, ...]:
    return tuple(" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in path)
