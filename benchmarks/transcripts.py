"""How much of transcripts is read: by Mien, webvtt-py and pysubs2, on the inputs of tests/unit/test_transcripts.py.

Needs both: `pip install webvtt-py pysubs2`. Each input is written to a file; right is a reader that gives exactly the
words that are said, and none twice; an input that a reader refuses counts as wrong.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from mien.reports.base.transcripts import read_transcript

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
tests = import_module("test_transcripts")
CUES = ("SBV", "ASS", "Whisper's text", "whisper.cpp's text")


def inputs() -> Iterator[tuple[str, str, str, str]]:
    """Yield a group, a file's name, its content and the words that are said in it."""
    for words, parts in tests.IN_A_CUE.values():  # names within the words count for nobody and against nobody
        spoken = " ".join(text for _, text in parts)
        yield (
            "words within cues",
            "t.vtt",
            tests.vtt("so it begins", words, "so it ends"),
            f"so it begins {spoken} so it ends",
        )
    for line in tests.TIMES:
        yield "times", "t.srt", f"1\n{line}\nhello all\n", "hello all"
        yield "times", "t.vtt", f"WEBVTT\n\n{line}\nhello all\n", "hello all"
    yield "rolling captions", "t.vtt", tests.ROLLING, "hello everybody and welcome to this this talk"
    for name, (file, content, _, expected) in tests.FORMS.items():
        spoken = " ".join(text for _, _, text in expected)
        yield "SBV, ASS, Whisper's text" if name in CUES else "texts", file, content, spoken


def ours(path: Path) -> str:
    """Return what this package reads."""
    return " ".join(part.text for part in read_transcript(path).utterances)


def webvtt_py(path: Path) -> str:
    """Return what webvtt-py reads."""
    webvtt = import_module("webvtt")

    readers = {".srt": webvtt.from_srt, ".sbv": webvtt.from_sbv}
    captions = readers.get(path.suffix, webvtt.read)(str(path))
    return " ".join(caption.text for caption in captions)


def pysubs2(path: Path) -> str:
    """Return what pysubs2 reads."""
    library = import_module("pysubs2")
    return " ".join(event.plaintext for event in library.load(str(path)) if not event.is_comment)


def right(read: Callable[[Path], str], path: Path, expected: str) -> bool:
    """Return whether a reader gives exactly the words that are said; names of speakers may stand beside them."""
    try:
        words = re.findall(r"\w+", read(path))
    except Exception:  # noqa: BLE001 - whatever a reader ends with, it has not read the file
        return False
    wanted = re.findall(r"\w+", expected)
    names = {"Ann", "Lee", "Bob", "Ray", "SPEAKER_01"}
    return [word for word in words if word not in names] == [word for word in wanted if word not in names]


def main() -> None:
    """Print how many inputs of each group each reader has right."""
    counts: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for group, name, content, expected in inputs():
            path = Path(folder) / name
            path.write_text(content, encoding="utf-8")
            results = [right(read, path, expected) for read in (ours, webvtt_py, pysubs2)]
            before = counts.setdefault(group, [0, 0, 0, 0])
            counts[group] = [a + b for a, b in zip(before, [1, *results], strict=True)]
    print(f"{'':<26}{'inputs':>8}{'mien':>8}{'webvtt-py':>12}{'pysubs2':>10}")
    for group, (total, *read) in counts.items():
        print(f"{group:<26}{total:>8}{read[0]:>8}{read[1]:>12}{read[2]:>10}")


if __name__ == "__main__":
    main()
