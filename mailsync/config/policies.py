"""Settings that are more than a word: how POP3 messages are marked and kept, and how much may cross
the line.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from mailsync.config.amounts import DURATION_PATTERN, SIZE_PATTERN
from mailsync.config.section import Section
from mailsync.config.values import (
    read_octets,
    read_span,
)


class SeenOlderThan(Section):
    """Messages older than this count as read."""

    seen_older_than: Annotated[
        float,
        BeforeValidator(read_span),
        Field(gt=0, description="Age, such as 30d."),
        WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
    ]


def _mark_form(given: object) -> str | None:
    if isinstance(given, str) and given in {"seen", "unseen"}:
        return "word"
    if isinstance(given, SeenOlderThan) or (
        isinstance(given, dict) and set(given) == {"seen_older_than"}
    ):
        return "age"
    return None


Mark = Annotated[
    Annotated[Literal["seen", "unseen"], Tag("word")] | Annotated[SeenOlderThan, Tag("age")],
    Discriminator(
        _mark_form,
        custom_error_type="mark_form",
        custom_error_message="must be seen, unseen or {seen_older_than: 30d}",
    ),
]


class DeleteAfter(Section):
    """Messages are deleted on the server once the archive has held them for so long, and only if it
    provably does.
    """

    compare: Annotated[
        Literal["header", "content"],
        Field(
            description=(
                "content: a message is fetched once more and compared before it is deleted. header:"
                " only where its header does not make it unique; else the header and the first"
                " lines are compared, and what was changed further down is not seen."
            )
        ),
    ] = "content"

    delete_after: Annotated[
        float,
        BeforeValidator(read_span),
        Field(
            ge=0,
            description=(
                "How long the archive must have held a message before it is deleted on the server,"
                " such as 14d."
            ),
        ),
        WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
    ]


def _keep_form(given: object) -> str | None:
    if given == "forever":
        return "word"
    if isinstance(given, DeleteAfter) or (isinstance(given, dict) and "delete_after" in given):
        return "age"
    return None


Keep = Annotated[
    Annotated[Literal["forever"], Tag("word")] | Annotated[DeleteAfter, Tag("age")],
    Discriminator(
        _keep_form,
        custom_error_type="keep_form",
        custom_error_message="must be forever or {delete_after: 14d}",
    ),
]

Octets = Annotated[
    int,
    BeforeValidator(read_octets),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0},
                {"type": "string", "pattern": SIZE_PATTERN},
            ]
        }
    ),
]


class Limits(Section):
    """How much may cross the line to or from this account."""

    bytes_per_day: Annotated[
        Octets | None,
        Field(description="In 24 hours, such as 2GB; a run that reaches it goes on the next day."),
    ] = None
    bytes_per_second: Annotated[Octets | None, Field(description="On average, such as 5MB.")] = None
