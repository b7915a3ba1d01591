"""How large a Parquet file's data is, before any of it is read: its footer goes in, rows and bytes come out.

The footer is a structure of Thrift's compact protocol. Only the number of rows and the uncompressed bytes of each row
group are looked for, everything else is skipped; a footer that is damaged or nested too deep is an error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

__all__ = ["rows_and_bytes"]

MAGIC = b"PAR1"
LONGEST = 16 << 20
"""A longer footer describes nothing that is read here."""

DEEPEST = 16
BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, MAP, STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12
ROW_GROUPS, TOTAL_BYTES, ROWS = 4, 2, 3


def rows_and_bytes(path: Path) -> tuple[int, int]:
    """Return how many rows a Parquet file has, and how many bytes its columns take up uncompressed.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no Parquet file, or its footer is damaged.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        if size < 12 or tail[4:] != MAGIC:
            raise ValueError("it is no Parquet file, or not a whole one")
        (length,) = struct.unpack("<I", tail[:4])
        if length > min(size - 8, LONGEST):
            raise ValueError("its footer is damaged")
        file.seek(size - 8 - length)
        footer = _Footer(file.read(length))
    try:
        footer.file()
    except (IndexError, RecursionError) as error:
        raise ValueError("its footer is damaged") from error
    return footer.rows, footer.size


class _Footer:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self.rows = self.size = 0

    def file(self) -> None:
        for field, kind in self._fields():
            if field == ROW_GROUPS and kind in LISTS:
                count, inner = self._list()
                for _ in range(count):
                    self._row_group() if inner == STRUCT else self._skip(inner, 0)
            else:
                self._skip(kind, 0)

    def _row_group(self) -> None:
        for field, kind in self._fields():
            if field in (TOTAL_BYTES, ROWS) and kind in INTEGERS:
                value = self._integer()
                if value < 0:
                    raise ValueError("its footer is damaged")
                self.size += value if field == TOTAL_BYTES else 0
                self.rows += value if field == ROWS else 0
            else:
                self._skip(kind, 0)

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and kind of each field of a structure; whoever takes them reads or skips the values."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._integer()
            yield field, head & 15

    def _skip(self, kind: int, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError("its footer is damaged")
        if kind == BYTE:
            self._byte()
        elif kind in INTEGERS:
            self._varint()
        elif kind == DOUBLE:
            self._pass(8)
        elif kind == BINARY:
            self._pass(self._varint())
        elif kind in LISTS:
            count, inner = self._list()
            for _ in range(count):
                self._byte() if inner in BOOLEANS else self._skip(inner, depth + 1)
        elif kind == MAP:
            if count := self._varint():
                kinds = self._byte()
                for _ in range(count):
                    self._skip(kinds >> 4, depth + 1)
                    self._skip(kinds & 15, depth + 1)
        elif kind == STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        elif kind not in BOOLEANS:
            raise ValueError("its footer is damaged")

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        count = self._varint() if head >> 4 == 15 else head >> 4
        if count > len(self._data) - self._at:  # an item has a byte at least
            raise ValueError("its footer is damaged")
        return count, head & 15

    def _pass(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("its footer is damaged")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
