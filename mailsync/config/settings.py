"""What can be configured: every setting, its default and its rules, each once.

The JSON Schema is made from these classes, and those of `account` and `policies`.

A setting stands here only when the program obeys it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
)
from pydantic_core import PydanticCustomError

from mailsync.config.account import ImapAccount, Pop3Account, meant_protocol
from mailsync.config.paths import UserPath
from mailsync.config.section import Section


class ArchiveSettings(Section):
    """Where the archives lie and how they are written."""

    later: ClassVar[dict[str, str]] = {}

    root: Annotated[
        UserPath, Field(description="The directory under which every account gets its archive.")
    ]
    format: Annotated[
        Literal["maildir", "mbox"],
        Field(
            description=(
                "How messages are stored: maildir (one file a message), or mbox (one file a"
                " mailbox, appended to)."
            )
        ),
    ] = "maildir"
    dedupe: Annotated[
        Literal["message-id", "exact", "none"],
        Field(
            description=(
                "What counts as the same message: the same Message-ID and text (message-id), the"
                " same bytes (exact), nothing (none)."
            )
        ),
    ] = "message-id"


Account = Annotated[
    Annotated[Pop3Account, Tag("pop3")] | Annotated[ImapAccount, Tag("imap")],
    Discriminator(meant_protocol),
]


class Settings(Section):
    """A whole configuration."""

    model_config = ConfigDict(title="mailsync configuration")

    archive: Annotated[
        ArchiveSettings, Field(description="Where the archives lie and how they are written.")
    ]
    accounts: Annotated[
        dict[str, Account],
        Field(min_length=1, description="Your logins, each under a name of your choice."),
    ]

    @field_validator("accounts")
    @classmethod
    def _tell_archives_apart(
        cls, accounts: dict[str, Pop3Account | ImapAccount]
    ) -> dict[str, Pop3Account | ImapAccount]:
        seen: dict[str, str] = {}
        for name, account in accounts.items():
            archive = account.archive or name
            first = seen.setdefault(archive.casefold(), archive)
            if first != archive:
                raise PydanticCustomError(
                    "archive_case",
                    "the archives {first} and {archive} differ only in upper and lower case, which"
                    " not every disk can tell apart: write them alike if they shall be one, else"
                    " rename one",
                    {"first": first, "archive": archive},
                )
        return accounts

    @classmethod
    def of(cls, value: object, base: Path) -> Self:
        """Validate plain values; relative paths start at `base`.

        Raises pydantic's ValidationError.
        """
        return cls.model_validate(value, context={"base": base})
