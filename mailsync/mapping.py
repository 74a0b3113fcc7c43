"""Which mailbox of a destination is which of ours; names as people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailsync.model import INBOX, VIEWS, Mailbox, MailboxPath

ROLES: Final = ("\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive")

_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "\\Sent": ("Sent", "Sent Items", "Sent Messages", "Sent Mail", "Gesendet", "Gesendete Objekte", "Gesendete Elemente", "Envoyés",
               "Messages envoyés", "Éléments envoyés", "Enviados", "Elementos enviados", "Posta inviata", "Inviata", "Verzonden",
               "Verzonden items", "Skickat", "Sendt", "Wysłane", "Отправленные"),
    "\\Drafts": ("Drafts", "Draft", "Entwürfe", "Brouillons", "Borradores", "Bozze", "Concepten", "Rascunhos", "Utkast", "Черновики"),
    "\\Trash": ("Trash", "Deleted Items", "Deleted Messages", "Bin", "Papierkorb", "Gelöschte Objekte", "Gelöschte Elemente", "Corbeille",
                "Éléments supprimés", "Papelera", "Cestino", "Prullenbak", "Lixeira", "Papperskorgen", "Корзина"),
    "\\Junk": ("Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail", "Spamverdacht", "Courrier indésirable", "Pourriel", "Indésirables",
               "Correo no deseado", "Posta indesiderata", "Ongewenst", "Skräppost", "Спам"),
    "\\Archive": ("Archive", "Archives", "Archiv", "Archivo", "Archivio", "Archief", "Arkiv", "Архив"),
}  # fmt: skip

_ESCAPE: Final = re.compile(r"[/\\]")
_WRITTEN: Final = re.compile(r"\\([/\\])|(/)")


@dataclass(frozen=True, slots=True)
class MappingRules:
    """What the user said: mailboxes renamed by name (their subfolders follow), and a mailbox that everything goes below."""

    explicit: Mapping[MailboxPath, MailboxPath] = field(default_factory=dict)
    into: MailboxPath = ()


@dataclass(frozen=True, slots=True)
class Move:
    """One mailbox of ours and where it goes; `theirs` None for a view, which is not pushed."""

    ours: Mailbox
    theirs: MailboxPath | None


@dataclass(frozen=True, slots=True)
class MappingPlan:
    """Where every mailbox goes. `collisions` names their mailboxes in which several of ours end without the user having said so."""

    moves: tuple[Move, ...]
    collisions: Mapping[MailboxPath, tuple[MailboxPath, ...]]


def plan_mapping(ours: Sequence[Mailbox], theirs: Sequence[Mailbox], rules: MappingRules) -> MappingPlan:
    """Decide for all mailboxes at once. Of two that would meet by role, the second keeps its own name."""
    taken: dict[MailboxPath, list[Mailbox]] = {}
    moves: list[Move] = []
    for mailbox in ours:
        path = destination_path(mailbox, ours, theirs, rules)
        if path in taken and _by_rule(mailbox.path, rules) is None:
            own = (*rules.into, *mailbox.path)
            path = own if own not in taken else path
        if path is not None:
            taken.setdefault(path, []).append(mailbox)
        moves.append(Move(mailbox, path))
    collisions = {
        path: tuple(mailbox.path for mailbox in boxes)
        for path, boxes in taken.items()
        if len([mailbox for mailbox in boxes if _by_rule(mailbox.path, rules) is None]) > 1
    }
    return MappingPlan(tuple(moves), collisions)


def destination_path(mailbox: Mailbox, ours: Sequence[Mailbox], theirs: Sequence[Mailbox], rules: MappingRules) -> MailboxPath | None:
    """Decide where one mailbox goes: by the user's rule, by its role or its parent's, else by its own name; None for a view."""
    ruled = _by_rule(mailbox.path, rules)
    if ruled is not None:
        return ruled
    if mailbox.attributes & VIEWS:
        return None
    if rules.into:
        return spelled_there((*rules.into, *mailbox.path), theirs)
    if mailbox.path == INBOX:
        return INBOX
    return _by_role(mailbox.path, ours, theirs) or spelled_there(mailbox.path, theirs)


def archive_of(theirs: Sequence[Mailbox], rules: MappingRules) -> MailboxPath:
    """Tell where letters go that live in no mailbox of their own but only in a view of all mail (RFC 6154 `\\All`)."""
    return (*rules.into, *(_their_box("\\Archive", theirs) or spelled_there(("Archive",), theirs)))


def spelled_there(path: MailboxPath, theirs: Sequence[Mailbox]) -> MailboxPath:
    """Give `path` as the destination spells it, where a mailbox or a parent of that name differs in case only."""
    exact = {mailbox.path[:depth] for mailbox in theirs for depth in range(1, len(mailbox.path) + 1)}
    folded = {tuple(part.casefold() for part in known): known for known in sorted(exact, reverse=True)}
    for depth in range(len(path), 0, -1):
        if path[:depth] in exact:
            return path
        found = folded.get(tuple(part.casefold() for part in path[:depth]))
        if found:
            return (*found, *path[depth:])
    return path


def _by_rule(path: MailboxPath, rules: MappingRules) -> MailboxPath | None:
    for depth in range(len(path), 0, -1):
        if path[:depth] in rules.explicit:
            return (*rules.into, *rules.explicit[path[:depth]], *path[depth:])
    return None


def _by_role(path: MailboxPath, ours: Sequence[Mailbox], theirs: Sequence[Mailbox]) -> MailboxPath | None:
    """Follow a role from our server to theirs, for the mailbox itself or for the nearest parent that has one."""
    uses = {mailbox.path: mailbox.special_use for mailbox in ours}
    for depth in range(len(path), 0, -1):
        held = uses.get(path[:depth], frozenset())
        for role in ROLES:
            there = _their_box(role, theirs) if role in held else None
            if there:
                return spelled_there((*there, *path[depth:]), theirs)
    return None


def _their_box(role: str, theirs: Sequence[Mailbox]) -> MailboxPath | None:
    """Find their mailbox of a role: as the server says, else by a usual name at the top."""
    for mailbox in theirs:
        if role in mailbox.special_use:
            return mailbox.path
    by_name = {mailbox.path[0].casefold(): mailbox.path for mailbox in theirs if len(mailbox.path) == 1 and not mailbox.special_use}
    return next((by_name[name.casefold()] for name in _USUAL[role] if name.casefold() in by_name), None)


def parse_name(text: str) -> MailboxPath:
    """Read a mailbox name as people write it: parts joined by `/`; a `/` or `\\` inside a part has a `\\` before it."""
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
    """Tell whether a mailbox is chosen: by any glob, and by none with `!`. `*` crosses `/`, `?` is one character, the last word counts.

    Only negated globs mean everything but those. INBOX is written in any case.
    """
    name = show(path)
    chosen = all(glob.startswith("!") for glob in globs)
    for negated, pattern in _patterns(globs, inbox=path[:1] == INBOX):
        if pattern.fullmatch(name):
            chosen = not negated
    return chosen


def _patterns(globs: Sequence[str], *, inbox: bool) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for glob in globs:
        negated = glob.startswith("!")
        text = glob.removeprefix("!")
        if inbox and text[:5].upper() == "INBOX":
            text = "INBOX" + text[5:]
        body = "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in text)
        yield negated, re.compile(body, re.DOTALL)
