"""Several copies of one message are one message, which loses nothing that a person set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailsync.plan import flags_of_copies

FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "work"]))


@given(st.lists(FLAGS, min_size=1))
def test_a_star_stays_and_a_message_is_read_only_where_every_copy_is(
    copies: list[frozenset[str]],
) -> None:
    flags = flags_of_copies(copies)
    for flag in ("\\Flagged", "\\Answered", "work"):
        assert (flag in flags) == any(flag in copy for copy in copies)
    for flag in ("\\Seen", "\\Deleted"):
        assert (flag in flags) == all(flag in copy for copy in copies)


def test_no_copy_bears_no_flags() -> None:
    assert flags_of_copies([]) == frozenset()
