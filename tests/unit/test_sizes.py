"""What is too large to be read at once is named, with its place."""

from __future__ import annotations

from pathlib import Path

from scripts.sizes import CLASS, FUNCTION, MODULE, oversized


def test_what_is_as_large_as_allowed_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "well.py"
    function = "def f():\n" + "    1\n" * (FUNCTION - 1)
    kind = "class C:\n" + "    x = 1\n" * (CLASS - 1)
    path.write_text(function + kind + "\n" * (MODULE - FUNCTION - CLASS))
    assert list(oversized(path)) == []


def test_a_line_more_of_anything_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ill.py"
    function = "    async def f():\n" + "        1\n" * FUNCTION
    path.write_text("\nclass C:\n" + function + "    x = 1\n" * CLASS + "\n" * MODULE)
    found = [line.removeprefix(f"{path}:") for line in oversized(path)]
    assert [line.partition(" has ")[0] for line in found] == [
        "1: the module",
        "2: class C",
        "3: function f",
    ]
