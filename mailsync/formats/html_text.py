"""HTML as a person reads it without a browser: lines of text, table cells apart, and where links
lead. Reads anything; follows nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

LIMIT: Final = 1_000_000
"""Characters that are read: nobody reads on, and rubbish may cost much more time than its size."""
_SILENT: Final = frozenset({"script", "style", "title"})
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_APART: Final = frozenset(
    [
        "blockquote",
        "dl",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "ul",
    ]
)
"""What a blank line stands around."""
_CELLS: Final = frozenset({"td", "th"})
_ROWS: Final = frozenset({"tr", "table"})
_BETWEEN_CELLS: Final = " | "
_SPACE: Final = re.compile(r"\s+")
_SCHEME: Final = re.compile(r"^(?:mailto:|tel:|https?://)(?:www\.)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The lines, in which `[1]` behind some words means that these lead to the first of `links`."""

    lines: list[str]
    links: list[str]


def read(html: str, first: int = 1) -> HtmlText:
    """Return what an HTML text says; its links are numbered from `first` on."""
    reader = _Reader(first)
    try:
        reader.feed(html[:LIMIT])
        reader.close()
    except (AssertionError, ValueError):
        # The standard library's parser gives up on some rubbish; what was read stands.
        pass
    return HtmlText(reader.lines(), reader.links)


@dataclass(slots=True)
class _Link:
    """A link whose words are being read."""

    target: str
    words: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects lines."""

    def __init__(self, first: int) -> None:
        super().__init__(convert_charrefs=True)
        self._first = first
        self._numbers: dict[str, int] = {}
        self._lines: list[list[str]] = [[]]
        self._silent = 0
        self._preformatted = 0
        self._prefix = ""
        self._link: _Link | None = None
        self._cells = 0
        self._cell_says = self._waits = self._gap = False
        """Whether the cell of a row holds words yet, and whether more of them begin a line; whether
        a blank line comes before the next words.
        """

    @property
    def links(self) -> list[str]:
        """Where the links lead, in the order of their numbers."""
        return list(self._numbers)

    def lines(self) -> list[str]:
        """Return the lines, without blank ones at the ends or beside each other."""
        self._end_link()
        found = [_SPACE.sub(" ", "".join(pieces)).strip(" |") for pieces in self._lines]
        return found if found[-1] else found[:-1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a cell or a link."""
        values = dict(attrs)
        self._silent += tag in _SILENT
        self._preformatted += tag == "pre"
        if tag in _CELLS:
            self._begin_cell()
        elif tag == "a":
            self._end_link()
            target = (values.get("href") or "").strip()
            self._link = _Link(target) if target and not target.startswith("#") else None
        elif tag == "img":
            self.handle_data(values.get("alt") or "")
        elif tag in _BLOCKS:
            self._break(tag)
            self._prefix = "- " if tag == "li" else self._prefix
        elif tag == "body":
            self._silent = 0

    def handle_endtag(self, tag: str) -> None:
        """End a line or a link."""
        self._silent = max(0, self._silent - (tag in _SILENT))
        self._preformatted = max(0, self._preformatted - (tag == "pre"))
        if tag == "a":
            self._end_link()
        elif tag in _BLOCKS and tag not in {"br", "li"}:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        """Take text, unless it is none for people."""
        if self._silent:
            return
        if self._link is not None:
            self._link.words.append(data)
        first, *more = data.split("\n") if self._preformatted else [data]
        self._say(first)
        for line in more:
            self._new_line()
            self._say(line)

    def _say(self, text: str) -> None:
        if text.strip():
            if self._waits and self._cell_says:
                self._new_line()
            if self._gap and len(self._lines) > 1:
                self._lines.insert(-1, [])
            self._lines[-1].append(self._prefix)
            self._prefix = ""
            self._gap = self._waits = False
            self._cell_says = True
        self._lines[-1].append(text)

    def _new_line(self) -> None:
        """Begin a line unless this one holds no words yet."""
        if "".join(self._lines[-1]).strip(" |\n\t\r"):
            self._lines.append([])
        else:
            self._lines[-1].clear()

    def _begin_cell(self) -> None:
        if self._cells:
            self._lines[-1].append(_BETWEEN_CELLS)
        self._cells += 1
        self._cell_says = self._waits = False

    def _break(self, tag: str) -> None:
        """Begin a line; what a cell holds first, and the cell behind it, stay on the line of their
        row.
        """
        if self._cells and tag not in _ROWS:
            self._waits = True
            return
        self._cells = 0
        self._cell_says = self._waits = False
        if not self._prefix:
            empty = tag == "br" and not "".join(self._lines[-1]).strip()
            self._gap |= empty or tag in _APART
        self._new_line()

    def _end_link(self) -> None:
        """Put a mark behind the words of a link that do not say themselves where it leads."""
        link, self._link = self._link, None
        if link is None:
            return
        said = _bare("".join(link.words))
        if said and said != _bare(link.target):
            number = self._numbers.setdefault(link.target, self._first + len(self._numbers))
            self._lines[-1].append(f" [{number}]")


def _bare(text: str) -> str:
    """Return an address without what people leave out."""
    return _SCHEME.sub("", _SPACE.sub("", text)).rstrip("/").lower()
