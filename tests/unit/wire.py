"""Hostile messages: chance goes in, a payload and the source on whose topic it comes go out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from mien.observation import EMOTIONS, new_id, now

VALUES = [
    *("null", "true", "false", "0", "-0", "-1", "1", "0.5", "1e400", "-1e400", "1e308", "5e-324", "NaN", "Infinity"),
    *("-Infinity", "9007199254740992", "9007199254740991", "9" * 400, "1" + "0" * 5000, "0." + "3" * 3000, "01", "+1"),
    *('""', '"x"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"' + "a" * 70_000 + '"', '"../../etc/passwd"'),
    *('"\'; DROP TABLE frames; --"', '"cam\\n"', '"CAM"', '"+"', '"#"', '"$SYS"', '"c\\u0430m"', '"happy\\u0000"'),
    *("[]", "{}", "[[]]", "[null]", "[1, 2, 3]", "[1, 2, 3, 4, 5]", "[0, 0, 0, 0]", "[-1e9, 0, 1, 1]", '{"a": 1}'),
    *("[" * 2000 + "]" * 2000, "[" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000, '{"a":' * 50_000),
    *('"2026-11-22T07:01:54Z"', '"2026-11-22T07:01:54"', '"9999-12-31T23:59:59.999999Z"', '"0001-01-01T00:00:00Z"'),
    *('"1969-12-31T23:59:59Z"', '"2199-12-31T23:59:59Z"', '"2200-01-01T00:00:00Z"', '"2026-13-45T99:99:99Z"'),
    *('"2026-11-22T07:01:54+99:99"', '"2026-11-22T07:01:60Z"', '"2026-02-30T00:00:00Z"', "1e18", "1795368902"),
    *(f'"{new_id()}"', f'"{new_id().upper()}"', '"00000000-0000-0000-0000-000000000000"', f'"{new_id()} "'),
    *('"happy"', '"Happy"', '"contempt"', '"mien-1@3f9c2a1b"', '"' + "m" * 101 + '"', "\xff", "/* */ 1", "'x'"),
]


def whole(chance: random.Random) -> dict[str, Any]:
    """Return an observation with nothing wrong in it."""
    shares = dict.fromkeys(EMOTIONS, 0.02) | {chance.choice(EMOTIONS): 0.88}
    face = {"track": 3, "box": [1, 2, 96, 96], "confidence": 0.97, "emotion": "happy", "probabilities": shares}
    head = {"id": new_id(), "source": "cam", "session": new_id(), "seq": chance.randrange(10**6)}
    more = {"time": now().isoformat(), "offset_s": 12.48, "frame": 374, "width": 1280, "height": 720}
    faces = [dict(face) for _ in range(chance.choice((0, 1, 1, 3)))]
    return {**head, **more, "model": "mien-1@3f9c2a1b", "elapsed_ms": 7.9, "faces": faces}


def hostile(chance: random.Random) -> tuple[bytes, str]:
    """Return a payload and the source on whose topic it comes."""
    return chance.choices(list(WAYS), weights=list(WAYS.values()))[0](chance)


def _bytes_changed(chance: random.Random) -> tuple[bytes, str]:
    content = bytearray(json.dumps(whole(chance)).encode())
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not content:
            break
        at = chance.randrange(len(content))
        how = chance.randrange(5)
        if how == 0:
            content[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del content[at : at + chance.randrange(1, 30)]
        elif how == 2:
            content[at:at] = content[at : at + chance.randrange(1, 60)]
        elif how == 3:
            content[at : at + 2] = chance.randbytes(2)
        else:
            del content[max(at, 1) :]
    return bytes(content), "cam"


def _value_changed(chance: random.Random) -> tuple[bytes, str]:
    """Put a value of the list in the place of a field's, at any depth."""
    record = whole(chance)
    place: Any = record
    while True:
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
        below = place[key]
        if not isinstance(below, dict | list) or not below or chance.random() < 0.3:
            break
        place = below
    place[key] = "<here>"
    return json.dumps(record).replace('"<here>"', chance.choice(VALUES)).encode("utf-8", "replace"), "cam"


def _keys_changed(chance: random.Random) -> tuple[bytes, str]:
    """Leave fields out, add unknown ones, or say one twice; of two alike the last counts, and is checked."""
    record = whole(chance)
    key = chance.choice(list(record))
    how = chance.randrange(3)
    if how == 0:
        del record[key]
    elif how == 1:
        record[chance.choice(("x", "ID", "", "__class__", "a" * 10_000))] = chance.choice((1, None, [[[]]]))
    text = json.dumps(record)
    if how == 2:
        text = text[:-1] + f', "{key}": {chance.choice(VALUES)}}}'
    return text.encode("utf-8", "replace"), "cam"


def _elsewhere(chance: random.Random) -> tuple[bytes, str]:
    return json.dumps(whole(chance)).encode(), chance.choice(("door", "CAM", "cam/x", "", "no UTF-8", "cam"))


def _many(chance: random.Random) -> tuple[bytes, str]:
    """Return one with more faces than there may be, or larger than it may be."""
    record = whole(chance)
    record["faces"] = (record["faces"] or [None]) * chance.choice((2, 100, 2000, 5001))
    return json.dumps(record).encode(), "cam"


def _noise(chance: random.Random) -> tuple[bytes, str]:
    noise = (
        chance.randbytes(chance.randrange(300)),
        json.dumps(whole(chance)).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(whole(chance)).encode(),
        json.dumps([whole(chance)]).encode(),
        json.dumps(json.dumps(whole(chance))).encode(),
        chance.choice(VALUES).encode("utf-8", "replace"),
        json.dumps(whole(chance)).encode() + b"{}",
        b" " * chance.randrange(5000),
    )
    return chance.choice(noise), "cam"


WAYS: dict[Callable[[random.Random], tuple[bytes, str]], float] = {
    _bytes_changed: 30,
    _value_changed: 45,
    _keys_changed: 15,
    _elsewhere: 5,
    _noise: 4.9,
    _many: 0.1,
}
