"""Which flags a message bears that lies in one mailbox several times. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

_OF_ALL: Final = frozenset({"\\Seen", "\\Deleted"})
"""Flags that would hide a copy which does not bear them."""


def flags_of_copies(copies: Collection[frozenset[str]]) -> frozenset[str]:
    """Return the flags of the one message that stands for all these copies: what a person set on
    any of them stays, and it is read, or marked for deletion, only where all of them are.
    """
    if not copies:
        return frozenset()
    any_of = frozenset[str]().union(*copies)
    return any_of - (_OF_ALL - frozenset.intersection(*copies))
