"""Messages as an enemy writes them: each is an observation in all its parts, or refused with a reason, and soon.

100,000 go to the reader that stands before the tables, in all the ways below; 1,500 through broker, forwarder and store
in tests/integration/test_hostile.py. Others come with another seed: `WIRE_SEED=7 pytest tests/unit/test_wire.py`.
"""

from __future__ import annotations

import math
import os
import random
import re
import time

import pytest
from wire import hostile

from mien.forward.replay import read
from mien.observation import EMOTIONS, Observation, decode, encode
from mien.stores import rows

COUNT = 100_000
MAX_S = 5.0
"""One message may take so long on a busy machine; on an idle one none takes 20 ms."""


def assert_whole(one: Observation, source: str) -> None:
    """Check all that a table rests on, by other means than the reader's."""
    assert one.source == source
    assert re.fullmatch("[a-z0-9_-]{1,64}", one.source)
    for text in (one.id, one.session):
        assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    assert all(type(number) is int and 0 <= number < 2**53 for number in (one.seq, one.frame))
    assert all(type(number) is int and 1 <= number < 2**20 for number in (one.width, one.height))
    assert 1 <= len(one.model) <= 100
    assert one.time is not None
    assert one.time.tzinfo is not None
    assert all(math.isfinite(number) and number >= 0 for number in (one.elapsed_ms, one.offset_s or 0.0))
    assert len(one.faces) <= 5000
    for face in one.faces:
        assert face.emotion in (*EMOTIONS, None)
        assert face.track is None or 0 <= face.track < 2**53
        assert all(abs(number) < 2**20 for number in face.box)
        shares = [getattr(face.probabilities, emotion) for emotion in EMOTIONS]
        assert all(0 <= share <= 1 for share in (*shares, face.confidence))
        assert 0.97 < sum(shares) < 1.03


@pytest.mark.timeout(300)
def test_each_of_100_000_hostile_messages_is_read_whole_or_refused() -> None:
    chance = random.Random(os.environ.get("WIRE_SEED", "mien"))
    accepted, reasons = 0, set()
    for n in range(COUNT):
        payload, source = hostile(chance)
        began = time.process_time()
        try:
            one = read(payload, source)
            row = rows.frame_row(one)
        except ValueError as error:
            reason = str(error)
            assert reason, payload[:200]
            assert len(reason) < 500, payload[:200]
            reasons.add(re.sub("[0-9]+|`[^`]*`|'[^']*'", "…", reason))
        else:
            accepted += 1
            assert_whole(one, source)
            assert decode(encode(one)) == one
            assert rows.to_time(row["time"]) == one.time
            assert "\0" not in row["model"]
        assert time.process_time() - began < MAX_S, (n, payload[:200])
    assert 0.01 < accepted / COUNT < 0.5, "some damage does no harm, most does"
    assert len(reasons) > 25, "refused for many reasons, not for one"
