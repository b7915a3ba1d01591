"""Whose tag is whose: tags as they were read and the transcript's names go in, which belong together comes out.

A wrong name is worse than none. What was read clearly must be a speaker's name to the letter, but for case, spaces,
accents, the order of first and last name, and what programs add to it; only what was read badly may differ, and by
letters that readers confuse.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["CLEAR", "SMALL", "Match", "alike", "is_generic", "match", "same_name", "shown_name"]

CLEAR = 0.93
"""A tag that its reader is so sure of was read clearly, 0 to 1."""

ALIKE = 0.86
"""A tag that was read badly is so much like the name at least, 0 to 1,"""

APART = 0.12
"""and so much less like each other name."""

SHORTEST_CUT = 4
"""A tag that was cut off shows so many letters of a name at least."""

DEVICES = re.compile(
    r"\b(i-?pad|i-?phone|phone|android|galaxy|laptop|mac-?book|desktop|tablet|mobile|room|screen)\b", re.IGNORECASE
)
"""A tag that names a device is another feed than its owner's."""

SHARING = re.compile(
    r"\b(is sharing|'s screen|’s screen|presenting|presentation|is talking|talking:|recording)\b", re.IGNORECASE
)

ADDED = re.compile(r"[(\[（【〔].*?([)\]）】〕]|$)")
"""What stands in brackets: (Host), (me), (she/her), (Guest)."""

LABELS = re.compile(r"\b(co-?host|host|me|you|guest|unverified|external|she/her|he/him|they/them)\W*$", re.IGNORECASE)
AFTER = re.compile(r"\s*(?:[|/•·,]|\s[-\N{EN DASH}\N{EM DASH}]\s).*$")
"""What comes after a sign of its own: a company, a title."""

GLYPH = re.compile(r"^[oO0QJ@©®°&%#*Xx]{1,2}\s*(?=[A-Z])")
"""What a microphone's sign before a name is read as."""

CUT = re.compile(r"(\N{HORIZONTAL ELLIPSIS}|\.\.+|\N{TWO DOT LEADER}|\N{MIDDLE DOT}{2,})\W*$")
GENERIC = re.compile(r"(speaker|spk|sprecher|participant|unknown|person|user)[\s_#-]*[0-9a-z]?\d*", re.IGNORECASE)

CONFUSED = str.maketrans({"I": "ı", "l": "ı", "1": "ı", "|": "ı", "!": "ı", "0": "o", "O": "o"})
"""Signs that look alike, as one; a capital L looks like none of them."""

NARROW = "ijlrtfı1"
BLURRED = (NARROW, "nrm", "nhu", "uv", "vy", "ocqg", "ec", "zs2", "hb", "wv")
"""Letters that are read for one another where they are blurred; the first are lost, or read where there is none."""

VOICED = "\u3099\u309a"
"""Marks that make another letter of a kana, and are no accents."""

SAME_TAG = 0.7
"""Two readings that are so much alike may be of one tag, 0 to 1."""

SMALL = 16
"""A line of no more pixels in height is never read clearly."""


class Match(NamedTuple):
    """A tag's speaker, and how certain that is, 0 to 1."""

    speaker: str
    certainty: float


def match(text: str, score: float, speakers: Sequence[str]) -> Match | None:
    """Return the speaker that a tag names; None where it is not certain enough.

    Args:
        text: The tag as it was read.
        score: How sure its reader is, 0 to 1.
        speakers: The transcript's names, each once.
    """
    if not text or SHARING.search(text):
        return None
    rated = sorted(((_likeness(text, score, name), name) for name in speakers), reverse=True)
    if not rated or not rated[0][0]:
        return None
    (best, speaker), others = rated[0], rated[1:]
    if best < 1 and any(_stands_behind(text, name) for _, name in others):
        return None  # two people before one camera
    if others and others[0][0] > best - (APART if best < 1 else 1e-9):
        return None  # two names fit
    return Match(speaker, round(best * min(1.0, score + 0.05), 3))


def _likeness(text: str, score: float, name: str) -> float:
    """Return how well a tag fits a name, 0 to 1; 0 where it does not."""
    if DEVICES.search(text) and not DEVICES.search(name):
        return 0.0
    whole, wanted = _folded(text), _folded(name)
    if len(wanted) > 4 and (bare := GLYPH.sub("", text, count=1)) != text and _folded(bare) == wanted:
        return 0.96
    if not wanted or not whole:
        return 0.0
    if whole == wanted:
        return 1.0
    core = _core(text)
    short, own = _folded(core), _folded(_core(name))
    if not short or not own:
        return 0.0
    if cut := CUT.search(text):
        shown = _folded(text[: cut.start()])
        return 0.95 if len(shown) >= min(SHORTEST_CUT, len(wanted)) and _begins(shown, wanted, own) else 0.0
    if short == own or (short == own[::-1] and _runs_left(own)):  # such scripts may be read backwards
        return 0.98
    words, parts = _words(core), _words(_core(name))
    if sorted(words) == sorted(parts):
        return 0.96
    ends = len(words) > 1 and len(parts) > 1 and (words[0], words[-1]) == (parts[0], parts[-1])
    if ends and (set(words) <= set(parts) or set(parts) <= set(words)):  # one of them has a middle name
        return 0.9
    if len(words) == 1 and len(parts) > 1 and words[0] == parts[0] and len(words[0]) > 2:
        return 0.85
    return _confused(core, _core(name), score)


def _stands_behind(text: str, name: str) -> bool:
    """Return whether a tag goes on with another name, behind a sign of its own."""
    rest, words = AFTER.search(ADDED.sub(" ", text)), set(_words(_core(name)))
    return rest is not None and bool(words) and words <= set(_words(rest[0]))


def _runs_left(text: str) -> bool:
    """Return whether a text is of a script that runs from right to left."""
    return all(unicodedata.bidirectional(sign) in ("R", "AL") for sign in text if sign.isalpha())


def _begins(shown: str, *names: str) -> bool:
    return any(name.startswith(shown) for name in names)


def _confused(tag: str, name: str, score: float) -> float:
    """Return how well a tag fits a name that differs as reading badly makes it differ."""
    short, own = (_folded(text.translate(CONFUSED)) for text in (tag, name))
    if short == own or _misread_marks(tag, name, score):
        return 0.97
    if score >= CLEAR or min(len(short), len(own)) < 6 or short[0] != own[0]:
        return 0.0
    from rapidfuzz.distance import Levenshtein

    similar = float(Levenshtein.normalized_similarity(short, own))
    if similar < ALIKE:
        return 0.0
    return 0.95 * similar if _may_be_misread(short, own) else 0.0


def _may_be_misread(read: str, wanted: str) -> bool:
    """Return whether a text differs from another only by letters that readers confuse."""
    from rapidfuzz.distance import Levenshtein

    for edit in Levenshtein.editops(read, wanted):
        sign, meant = read[edit.src_pos : edit.src_pos + 1], wanted[edit.dest_pos : edit.dest_pos + 1]
        swapped = edit.tag == "replace" and any(sign in group and meant in group for group in BLURRED)
        lost = meant if edit.tag == "insert" else sign if edit.tag == "delete" else ""
        if not (swapped or (lost and lost in NARROW)):
            return False
    return True


def _misread_marks(tag: str, name: str, score: float) -> bool:
    """Return whether a tag is a name in which only letters with accents were read as something else, or not at all.

    Where it was read clearly, an accent may be read as a sign that is no letter, but the letter as no other.
    """
    letters = [sign for sign in unicodedata.normalize("NFC", name).casefold() if sign.isalnum()]
    plain = [sign.isascii() or unicodedata.normalize("NFKD", sign) == sign for sign in letters]
    if all(plain) or sum(plain) < 0.6 * len(letters) or sum(plain) < SHORTEST_CUT:
        return False
    pattern = "".join(
        re.escape(sign) if own else f"{_without_accent(sign)}?[^a-z]?" if score >= CLEAR else ".?"
        for sign, own in zip(letters, plain, strict=True)
    )
    shown = "".join(sign for sign in tag.casefold() if not sign.isspace() and sign not in ".-'’")
    return re.fullmatch(pattern, shown) is not None


def _without_accent(letter: str) -> str:
    """Return a pattern of what a letter may be read as, but for its accent."""
    bare = unicodedata.normalize("NFKD", letter)[0]
    return f"[{NARROW}]" if bare in NARROW else re.escape(bare)


def shown_name(text: str) -> str:
    """Return a tag without what programs add to it: signs, brackets, `Host`."""
    return " ".join(_core(text).split())


def is_generic(name: str | None) -> bool:
    """Return whether a transcript's speaker is only numbered, as `Speaker 1`."""
    return not name or GENERIC.fullmatch(name.strip()) is not None


def _core(text: str) -> str:
    plain = ADDED.sub(" ", unicodedata.normalize("NFKC", text))
    words = AFTER.sub("", plain) if not re.match(r"^[^,]+,\s*\S+$", plain.strip()) else plain
    return LABELS.sub("", words.strip()).strip(" \t.-_*•:;'\"~^<>")


def _folded(text: str) -> str:
    """Return a text's letters and digits, without case, accents and spaces."""
    return "".join(_words(text))


def _words(text: str) -> list[str]:
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text)).casefold()
    letters = (sign for sign in bare if not unicodedata.combining(sign) or sign in VOICED)
    spaced = (sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in letters)
    return "".join(spaced).split()


def same_name(text: str, other: str) -> bool:
    """Return whether two tags show the same name."""
    return _folded(_core(text)) == _folded(_core(other))


def alike(text: str, score: float, other: str) -> bool:
    """Return whether a reading of some score may be of the tag that was read as the other: Tim Cole's is not Tom's."""
    from rapidfuzz.distance import Levenshtein

    some, others = (_folded(_core(GLYPH.sub("", one, count=1)).translate(CONFUSED)) for one in (text, other))
    if score >= CLEAR:
        begun = some[:1] == others[:1]
        return (begun and _may_be_misread(some, others)) or _misread_marks(_core(text), _core(other), score)
    return some == others or (bool(some) and Levenshtein.normalized_similarity(some, others) >= SAME_TAG)
