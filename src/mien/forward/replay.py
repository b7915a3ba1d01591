"""What makes a message an observation: payloads go in, an observation or the reason why it is none comes out.

What is none is set aside in the store as a dead letter. A later version may read what an earlier one could not, so
dead letters can be tried again.
"""

from __future__ import annotations

from mien.observation import Observation, decode
from mien.stores.base import DeadLetter, Store

__all__ = ["read", "replay"]

PAGE = 100


def read(payload: bytes, source: str) -> Observation:
    """Return the observation that a message on a source's topic holds.

    Raises:
        ValueError: It holds none, or one that does not belong there.
    """
    observation = decode(payload)
    if observation.source != source:
        raise ValueError(f"it is of source '{observation.source}', but came on the topic of '{source}'")
    if observation.time is None:
        raise ValueError("it has no time, so it belongs to no minute")
    return observation


def replay(store: Store) -> tuple[int, int]:
    """Store the dead letters that are valid by now, and return how many those were and how many are left.

    Raises:
        StoreError: The database fails; what was stored until then stays so.
    """
    valid = left = 0
    before: int | None = None
    while letters := store.dead_letters(PAGE, before):
        before = letters[-1].id
        good = [letter.id for letter in letters if _is_stored(store, letter)]
        store.drop_dead_letters(good)
        valid, left = valid + len(good), left + len(letters) - len(good)
    return valid, left


def _is_stored(store: Store, letter: DeadLetter) -> bool:
    """Say whether the store has by now what the letter holds."""
    *_, source, kind = ("", "", *letter.topic.split("/"))
    if kind != "observations":
        return False
    try:
        store.add([read(letter.payload, source)])
    except ValueError:
        return False
    return True
