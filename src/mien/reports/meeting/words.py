"""How pleasant words are: utterances go in, a score from -1 to 1 for each comes out, or why there is none.

English is judged by VADER (Hutto and Gilbert 2014), whose lexicon and rules know English alone. For other languages
users bring a lexicon of their own: a CSV with the columns `word` and `weight`, from -1 (unpleasant) to 1, and where it
holds several languages `language`. An entry may be of several words, such as `not good`; of entries that begin at one
word the longest counts. The weights in an utterance are added up and bounded as VADER bounds its own, so that one
threshold serves both.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.reports.base.csv_lists import number, read_list

__all__ = ["Judgement", "Lexicon", "judge", "read_lexicon", "tokens"]

COLUMNS = ("word", "weight", "language")

MAX_ENTRIES = 500_000
LONGEST = 6
"""An entry has so many words at most; in scripts without spaces each letter is one."""

SCALE, BEND = 4.0, 15.0
"""VADER's weights go to 4, and its compound score is s / sqrt(s² + 15) of their sum s."""

FEWEST_KNOWN = 0.05
"""Where fewer utterances hold a word of the lexicon, it is of another language."""

ENOUGH_WORDS = 20
"""So many words tell whether a text is English."""

ENGLISH_SHARE = 0.08
"""Of English at least so many words are among these; of its neighbours far fewer."""

ENGLISH = frozenset({
    "about", "and", "are", "be", "because", "been", "but", "can't", "could", "don't", "from", "going", "have", "i'm",
    "it", "it's", "just", "know", "like", "my", "not", "really", "should", "that", "that's", "the", "there", "they",
    "think", "this", "to", "we're", "were", "what", "which", "with", "would", "yeah", "you", "you're", "your",
})  # fmt: skip

SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese letters."""

TOKEN = re.compile(rf"[{SPACELESS}]|[^\W_{SPACELESS}]+(?:['-][^\W_{SPACELESS}]+)*")


@dataclass(frozen=True)
class Judgement:
    """How pleasant the words of a transcript are.

    Attributes:
        scores: Of each utterance, -1 to 1; None where its words cannot be judged.
        by: What judged: `VADER`, or the lexicon's file and language; empty: nothing could.
        reason: Why nothing could; empty otherwise.
    """

    scores: tuple[float | None, ...]
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Lexicon:
    """Words and their weights, by language.

    Attributes:
        name: The file's name.
        weights: Of each language (empty: none is named) its entries, as tokens, and their weights, -1 to 1.
    """

    name: str
    weights: dict[str, dict[tuple[str, ...], float]]


def tokens(text: str) -> list[str]:
    """Return the words of a text in small letters; in scripts without spaces each letter.

    >>> tokens("Das ist NICHT gut, don’t you think?")
    ['das', 'ist', 'nicht', 'gut', "don't", 'you', 'think']
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return TOKEN.findall(plain)


def read_lexicon(path: Path) -> Lexicon:
    """Return the words and weights in a CSV.

    Raises:
        InputError: It cannot be read, or says something else.
    """
    names, lines = read_list(path, [])
    if not {"word", "weight"} <= set(names):
        raise InputError(
            f"cannot read '{path}': a CSV with the columns word and weight, and if wanted language, was expected"
        )
    if unknown := [name for name in names if name not in COLUMNS]:
        raise InputError(f"cannot read '{path}': it has a column '{unknown[0][:80]}'; expected {', '.join(COLUMNS)}")
    if len(lines) > MAX_ENTRIES:
        raise InputError(f"cannot read '{path}': it has {len(lines):,} words; expected {MAX_ENTRIES:,} at most")
    weights: dict[str, dict[tuple[str, ...], float]] = {}
    for line in lines:
        try:
            words, weight = tuple(tokens(line.get("word"))), number(line.get("weight"))
            if not words or len(words) > LONGEST:
                raise ValueError(f"a word, or a phrase of at most {LONGEST}, was expected")
            if not -1 <= weight <= 1:
                raise ValueError(f"the weight {weight:g} is not from -1 to 1: divide all by the largest")
        except ValueError as error:
            raise InputError(f"cannot read '{path}', line {line.number}: {str(error)[:200]}") from error
        weights.setdefault(line.get("language").casefold(), {})[words] = weight
    if not weights:
        raise InputError(f"cannot read '{path}': it holds no word")
    return Lexicon(path.name, weights)


def judge(texts: Sequence[str], lexicon: Lexicon | None = None) -> Judgement:
    """Return how pleasant each text's words are.

    Args:
        texts: What was said, an utterance each.
        lexicon: The user's; of its languages the one is taken of which the most utterances hold a word. None: VADER's,
            if the words are English.
    """
    nothing: tuple[float | None, ...] = (None,) * len(texts)
    if lexicon is None:
        return _by_vader(texts)
    spoken = [tokens(text) for text in texts]
    judged = {name: [_score(words, weights) for words in spoken] for name, weights in lexicon.weights.items()}
    known = {name: sum(score is not None for score in scores) for name, scores in judged.items()}
    language = max(known, key=lambda name: known[name])
    if known[language] < max(1, FEWEST_KNOWN * len(texts)):
        return Judgement(nothing, reason=f"hardly any of its words stands in the lexicon '{lexicon.name}'")
    by = f"the lexicon '{lexicon.name}'" + (f" ({language})" if language else "")
    return Judgement(tuple(0.0 if score is None else score for score in judged[language]), by)


def _by_vader(texts: Sequence[str]) -> Judgement:
    nothing: tuple[float | None, ...] = (None,) * len(texts)
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return Judgement(nothing, reason="the extra analyze, which brings the English lexicon, is not installed")
    judging: Any = SentimentIntensityAnalyzer()
    scores = tuple(float(judging.polarity_scores(text)["compound"]) for text in texts)
    words = [word for text in texts for word in tokens(text)]
    if len(words) < ENOUGH_WORDS:  # whether they are English cannot be told but by the lexicon
        known = sum(score != 0 for score in scores)
        reason = "" if known >= FEWEST_KNOWN * len(texts) else "hardly any of these few stands in the English lexicon"
    elif sum(word in ENGLISH for word in words) >= ENGLISH_SHARE * len(words):
        reason = ""
    else:
        reason = "they are not English, and no lexicon of their language was given (--lexicon)"
    return Judgement(nothing, reason=reason) if reason else Judgement(scores, "VADER")


def _score(words: Sequence[str], weights: dict[tuple[str, ...], float]) -> float | None:
    """Return the score of an utterance; None where it holds no word of the lexicon."""
    total, at, known = 0.0, 0, False
    while at < len(words):
        for length in range(min(LONGEST, len(words) - at), 0, -1):
            weight = weights.get(tuple(words[at : at + length]))
            if weight is not None:
                total, known, at = total + SCALE * weight, True, at + length
                break
        else:
            at += 1
    return total / math.sqrt(total * total + BEND) if known else None
