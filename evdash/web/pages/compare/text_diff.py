"""Two texts with what differs in them marked, word by word, as far as a page has room."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from evdash.events.session.edit_script import corresponding

SHOWN_CHARS: Final = 480
_BEFORE_CHARS: Final = 60  # that are shown of what both begin with, where that is long
# With fewer words in common the marks would be confetti: then all is marked.
_LEAST_ALIKE: Final = 0.35
_WORD: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text."""

    text: str
    is_changed: bool  # the other text has it not, or has something else there


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text in pieces, as far as it is shown."""

    pieces: tuple[Piece, ...]
    before: int  # characters that are left out at its beginning, the same in both
    after: int  # characters that are left out at its end


def marked(a: str, b: str) -> tuple[MarkedText, MarkedText]:
    """Both texts around the first place where they differ. Takes at most some 5 ms."""
    begin = _beginning(a, b)
    ours, theirs = _words(a, begin), _words(b, begin)
    same_a, same_b = _in_both(ours, theirs)
    return (
        MarkedText(_pieces(ours, same_a), begin, len(a) - begin - sum(map(len, ours))),
        MarkedText(_pieces(theirs, same_b), begin, len(b) - begin - sum(map(len, theirs))),
    )


def _words(text: str, begin: int) -> list[str]:
    """The words that are shown; one that would be cut is not, unless there is no other."""
    words = _WORD.findall(text[begin : begin + SHOWN_CHARS])
    return words[:-1] if len(text) > begin + SHOWN_CHARS and len(words) > 1 else words


def _beginning(a: str, b: str) -> int:
    """Where to begin showing: some words before the first difference, if that is far in."""
    pairs = enumerate(zip(a, b, strict=False))
    common = next((at for at, (one, other) in pairs if one != other), min(len(a), len(b)))
    if common <= 2 * _BEFORE_CHARS or max(len(a), len(b)) <= SHOWN_CHARS:
        return 0
    space = a.find(" ", common - _BEFORE_CHARS, common)
    return common - _BEFORE_CHARS if space < 0 else space + 1


def _in_both(a: Sequence[str], b: Sequence[str]) -> tuple[set[int], set[int]]:
    """The indices of the words that correspond."""
    words_a, words_b = [word.strip() for word in a], [word.strip() for word in b]
    if (Counter(words_a) & Counter(words_b)).total() < _LEAST_ALIKE * max(len(a), len(b)):
        return set(), set()
    pairs, _ = corresponding(words_a, words_b)
    return {i for i, _ in pairs}, {j for _, j in pairs}


def _pieces(words: Sequence[str], same: set[int]) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for changed, run in groupby(range(len(words)), key=lambda number: number not in same):
        text = "".join(words[number] for number in run)
        # The white space after a word that differs is no difference.
        end = len(text.rstrip()) if changed else len(text)
        found += [
            Piece(part, part_changed) for part, part_changed in ((text[:end], changed), (text[end:], False)) if part
        ]
    return tuple(found)
