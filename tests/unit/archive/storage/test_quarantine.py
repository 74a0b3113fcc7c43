"""What goes to quarantine stays there."""

from __future__ import annotations

from pathlib import Path

from mailsync.archive.storage.quarantine import Quarantine


def test_nothing_there_is_overwritten_and_each_has_its_reason(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    for content in (b"one", b"two"):
        (tmp_path / "x").write_bytes(content)
        place = quarantine.move_in(tmp_path / "x", f"it is {content.decode()}")
        assert place.read_bytes() == content
    quarantine.keep("x", b"three", "it is three")
    assert {path.name: path.read_bytes() for path in (tmp_path / "quarantine").iterdir()} == {
        "x": b"one",
        "x.1": b"two",
        "x.2": b"three",
        "README.txt": b"x: it is one\nx.1: it is two\nx.2: it is three\n",
    }
    assert not (tmp_path / "x").exists()


def test_the_same_octets_are_kept_once(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    for content in (b"one", b"two", b"one", b"two"):
        quarantine.keep("x", content, "rotten")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.txt", "x", "x.1"]


def test_a_link_that_leads_nowhere_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine/x").symlink_to("nowhere")
    (tmp_path / "x").write_bytes(b"one")
    place = Quarantine(tmp_path / "quarantine").move_in(tmp_path / "x", "rotten")
    assert place == tmp_path / "quarantine/x.1"
    assert (tmp_path / "quarantine/x").is_symlink()
