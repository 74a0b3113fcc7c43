"""One pull or push from its login to its report: opens store and archive, runs the engine, closes both."""

from __future__ import annotations
