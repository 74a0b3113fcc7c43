from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.formats.file_names import LONGEST, numbered, safe


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\me\\\\a.doc", "a.doc"),
        (".bashrc", "bashrc"),
        ("..", "instead"),
        ("", "instead"),
        ("a\x00b\x1b[31m.txt", "a_b_[31m.txt"),
        ("exe\u202efdp.scr", "exe_fdp.scr"),
        ("CON.txt", "_CON.txt"),
        ("a:b?.txt ", "a_b_.txt"),
        ("  two   words\n.txt", "two words .txt"),
    ],
)
def test_a_name_is_made_harmless(given_name: str, name: str) -> None:
    assert safe(given_name, "instead") == name


@given(st.text(max_size=400))
def test_any_name_is_one_component_that_every_system_takes(name: str) -> None:
    found = safe(name, "instead")
    assert 0 < len(found.encode()) <= LONGEST + 1
    assert not set(found) & set("/\\:\0\n")
    assert found.strip(" .") == found


def test_a_long_name_keeps_its_ending() -> None:
    assert safe("ü" * 200 + ".pdf", "x").endswith("ü.pdf")


def test_a_second_file_of_a_name_gets_a_number() -> None:
    assert [numbered("a.b.pdf", one) for one in (1, 2)] == ["a.b.pdf", "a.b (2).pdf"]
    assert numbered("README", 3) == "README (3)"
