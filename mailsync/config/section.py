"""What every section of the configuration has in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
)


class Section(BaseModel):
    """One section: nothing in it can be changed, or be written that no setting reads."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    later: ClassVar[dict[str, str]] = {}
    """Settings people may look for here, with what to do instead."""
