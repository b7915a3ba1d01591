"""The drill of backup, restore and replay, and damaged outboxes, one round of each; more of them: `make chaos`."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration"))

import drill
import parts

from postgres import Server

pytestmark = pytest.mark.timeout(300)
RATE = 30.0


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    parts.stop_all()


def test_a_sqlite_store_is_restored_and_filled_again(tmp_path: Path) -> None:
    drill.restored(tmp_path, random.Random(1), RATE)


def test_a_postgresql_store_is_restored_and_filled_again(tmp_path: Path, postgresql: Server) -> None:
    drill.restored(tmp_path, random.Random(2), RATE, postgresql)


@pytest.mark.parametrize("harm", drill.HARMS)
def test_a_damaged_outbox_is_set_aside_and_what_it_lost_is_counted(tmp_path: Path, harm: str) -> None:
    figures = drill.damaged(tmp_path, random.Random(3), RATE, harm)
    assert figures.dropped < figures.taken
