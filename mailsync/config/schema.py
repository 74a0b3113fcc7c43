"""The JSON Schema of the configuration, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from mailsync.config.settings import Settings


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema draft 2020-12) of what `load` accepts, made from the same
    classes.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(by_alias=True),
    }
