"""Two texts with their differences marked, word by word, up to the length that a page shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from evdash.events.session.alignment import corresponding

SHOWN_CHARS: Final = 480
_BEFORE_CHARS: Final = 60  # shown characters of a long common beginning
# With a smaller share of common words, many short marks would be unreadable: then everything is marked.
_LEAST_ALIKE: Final = 0.35
_WORD: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text."""

    text: str
    is_changed: bool  # the other text lacks it, or has other text in its place


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text in pieces, up to the shown length."""

    pieces: tuple[Piece, ...]
    before: int  # omitted characters at its beginning, equal in both texts
    after: int  # omitted characters at its end


def marked(a: str, b: str) -> tuple[MarkedText, MarkedText]:
    """Return both texts around their first difference. The call takes at most about 5 ms."""
    begin = _beginning(a, b)
    ours, theirs = _words(a, begin), _words(b, begin)
    same_a, same_b = _in_both(ours, theirs)
    return (
        MarkedText(_pieces(ours, same_a), begin, len(a) - begin - sum(map(len, ours))),
        MarkedText(_pieces(theirs, same_b), begin, len(b) - begin - sum(map(len, theirs))),
    )


def _words(text: str, begin: int) -> list[str]:
    """Return the words to show. A word that would be cut is omitted, unless it is the only one."""
    words = _WORD.findall(text[begin : begin + SHOWN_CHARS])
    return words[:-1] if len(text) > begin + SHOWN_CHARS and len(words) > 1 else words


def _beginning(a: str, b: str) -> int:
    """Return the index of the first shown character: some words before the first difference, or 0 if that is near."""
    pairs = enumerate(zip(a, b, strict=False))
    common = next((at for at, (one, other) in pairs if one != other), min(len(a), len(b)))
    if common <= 2 * _BEFORE_CHARS or max(len(a), len(b)) <= SHOWN_CHARS:
        return 0
    space = a.find(" ", common - _BEFORE_CHARS, common)
    return common - _BEFORE_CHARS if space < 0 else space + 1


def _in_both(a: Sequence[str], b: Sequence[str]) -> tuple[set[int], set[int]]:
    """Return the indices of the words that correspond, in each text."""
    words_a, words_b = [word.strip() for word in a], [word.strip() for word in b]
    if (Counter(words_a) & Counter(words_b)).total() < _LEAST_ALIKE * max(len(a), len(b)):
        return set(), set()
    pairs = corresponding(words_a, words_b)
    return {i for i, _ in pairs}, {j for _, j in pairs}


def _pieces(words: Sequence[str], same: set[int]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for changed, run in groupby(range(len(words)), key=lambda number: number not in same):
        text = "".join(words[number] for number in run)
        # The white space after a differing word is not a difference.
        end = len(text.rstrip()) if changed else len(text)
        pieces += [
            Piece(part, part_changed) for part, part_changed in ((text[:end], changed), (text[end:], False)) if part
        ]
    return tuple(pieces)
