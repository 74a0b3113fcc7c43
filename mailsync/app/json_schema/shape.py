"""How reports are described: classes whose keys have a type, and a docstring that says what they
mean. They are never made; what is printed is proved against them by the tests.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A JSON object. A key with a default may be left out; others may come without notice."""

    model_config = ConfigDict(use_attribute_docstrings=True, defer_build=True)


class Problem(Shape):
    """One mistake of the configuration."""

    where: str
    """the file and the line"""
    what: str
    """what is wrong there, and what to write instead"""


class Head(Shape):
    """Every command prints these; one that could not begin prints these alone."""

    version: int
    """2"""
    command: str
    """the command, such as `pull`"""
    exit_code: int
    """what the process ends with"""
    complete: bool
    """whether everything asked for is done: the exit code is 0, or 5, where all is brought, but
    very much vanished from the server"""
    error: str | None
    """what stopped the command, in words, else null"""
    problems: list[Problem]
    """every mistake of the configuration, else empty"""
