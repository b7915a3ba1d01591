"""Names are sorted as people do."""

from __future__ import annotations

from pathlib import Path

from mien.media.folder import contents_of
from mien.media.photos import matching
from mien.words import by_number

NAMES = ["cam1", "Cam2", "cam2b", "cam10", "hall 3", "hall 12"]


def test_numbers_in_names_are_sorted_by_their_value() -> None:
    assert sorted(sorted(NAMES, reverse=True), key=by_number) == NAMES
    assert sorted(["", "b", "10", "9", "a9"], key=by_number) == ["", "9", "10", "a9", "b"]


def test_photos_come_in_that_order_from_a_folder_and_from_a_pattern(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.jpg").touch()
    assert [file.stem for file in contents_of(tmp_path).photos] == NAMES
    assert [file.stem for file in matching(tmp_path / "cam*.jpg")] == ["cam1", "cam2b", "cam10"]
