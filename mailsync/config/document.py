"""A YAML file as plain values that know their lines; knows no setting by name.

Every plain scalar stays the text that was written, so `password: 012345` and `pipelining: off` mean
what they look like; only an empty value, `~` and `null` are None. Numbers are made by whoever
expects a number. No message quotes the text of a value: it may be a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

from mailsync.errors import ConfigError, Problem
from mailsync.formats.redaction import without_password

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
Path: TypeAlias = tuple[str | int, ...]

_NODE_LIMIT: Final = 100_000
_NULL: Final = "tag:yaml.org,2002:null"
_SCALARS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "int", "float", "bool")
)
_PLAIN: Final = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class _Composer(yaml.SafeLoader):
    """PyYAML's composer that guesses no types but null (YAML 1.1 would read `off` as false and
    `0755` as 493).
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own class attribute, never changed
        first: [(_NULL, re.compile(r"^(?:~|null|Null|NULL|)$"))] for first in ("~", "n", "N", "")
    }


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one file, and the line (from 1) on which each key or list member stands."""

    name: str
    value: Value
    lines: dict[Path, int] = field(default_factory=dict)

    def where(self, path: Path) -> str:
        """Return `file:line` of a value, or of the nearest thing around it that is written in the
        file.
        """
        while path not in self.lines:
            if not path:
                return self.name
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}"


def parse(raw: bytes, name: str) -> tuple[Document, list[Problem]]:
    """Read a YAML file; duplicate keys and other things that still leave a document are returned as
    problems.

    Raises ConfigError when the file cannot be read as YAML at all. `name` is how the file is called
    in messages.
    """
    text = _decode(raw, name)
    loader = None
    try:
        loader = _Composer(text)
        node = loader.get_single_node()
        reader = _Reader(name)
        value = reader.read(node, ()) if node is not None else None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _unreadable(name, line, "a control character stands there; remove it") from None
    except yaml.MarkedYAMLError as error:
        raise _unreadable(name, _line_of(error), _explain(error)) from None
    except RecursionError:
        raise ConfigError([Problem(name, "is nested too deeply to be a configuration")]) from None
    finally:
        if loader is not None:
            loader.dispose()
    return Document(name, value, reader.lines), reader.problems


class _Reader:
    """One walk from YAML nodes to plain values, taking down lines and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: Path) -> Value:
        self._count += 1
        if id(node) in self._open or self._count > _NODE_LIMIT:
            raise _unreadable(
                self.name,
                _line(node),
                "an alias (*name) leads back to itself, or there are far too many",
            )
        self._open.add(id(node))
        self.lines.setdefault(path, _line(node))
        try:
            return self._plain(node, path)
        finally:
            self._open.discard(id(node))

    def _plain(self, node: yaml.Node, path: Path) -> Value:
        if isinstance(node, yaml.MappingNode) and node.tag in _PLAIN:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag in _PLAIN:
            return [self.read(member, (*path, index)) for index, member in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return None if node.tag == _NULL else str(node.value)
        self._problem(node, 'a value that begins with "!" must stand in quotes')
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Value:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or key_node.tag not in _SCALARS - {_NULL}:
                self._problem(key_node, "the word before a colon must be plain text")
            elif key == "<<":
                self._problem(key_node, "merging with << is not supported: write the lines out")
            elif key in result:
                first = self.lines[*path, key]
                # A key below `password` may be the password itself, written the wrong way.
                shown = "a key" if "password" in path else f"`{without_password(key)}`"
                self._problem(key_node, f"{shown} is given twice (first on line {first}): keep one")
            else:
                self.lines[*path, key] = _line(key_node)
                result[key] = self.read(value_node, (*path, key))
        return result

    def _problem(self, node: yaml.Node, what: str) -> None:
        self.problems.append(Problem(f"{self.name}:{_line(node)}", what))


def _decode(raw: bytes, name: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _unreadable(
            name, line, "is not UTF-8 text; save the file with the encoding UTF-8"
        ) from None
    return text.replace("\r\n", "\n")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


_EXPLANATIONS: Final = (
    (r"\\t", "a tab stands where YAML allows only spaces: indent with spaces"),
    (
        r"undefined alias|while scanning an alias",
        'a value that begins with "*" must stand in quotes',
    ),
    (
        r"while scanning an anchor|duplicate anchor",
        'a value that begins with "&" must stand in quotes',
    ),
    (r"tag", 'a value that begins with "!" must stand in quotes'),
    (r"unexpected end of stream|quoted scalar", "a quotation mark is opened and not closed"),
    (
        r"mapping values are not allowed here",
        'a second ": " stands on this line; put the value in quotes, or check the indentation',
    ),
    (r"cannot start any token", "this character cannot begin a value: put the value in quotes"),
    (
        r"could not find expected ':'",
        "a colon is missing after a word, or the indentation is wrong",
    ),
    (
        r"flow (?:sequence|mapping)",
        (
            "a [ or { is opened and not closed, a comma is missing, or a value that begins with !"
            " does not stand in quotes"
        ),
    ),
    (r"single document", "a second document begins here (---): keep one"),
    (r"block (?:mapping|end|sequence)", "the indentation does not fit the lines above"),
)


def _explain(error: yaml.MarkedYAMLError) -> str:
    """Say in our own words what PyYAML found; its own may quote the file, and the file may hold a
    password.
    """
    said = f"{error.context or ''} {error.problem or ''}"
    for pattern, words in _EXPLANATIONS:
        if re.search(pattern, said):
            return words
    return "this is not valid YAML; check indentation, colons and quotes"


def _unreadable(name: str, line: int, what: str) -> ConfigError:
    return ConfigError([Problem(f"{name}:{line}", what)])
