"""Which rows of a comparison a page shows, and which of them folded. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

ROWS: Final = 200
OPENED_AT_MOST: Final = 50
"""Longer folds are not in the page; they lead to one that shows them."""
_FOLDED_FROM: Final = 4
_CONTEXT: Final = 1  # rows beside a difference that are not folded


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows from `start` up to, and not at, `end`."""

    start: int
    end: int
    is_folded: bool

    @property
    def rows(self) -> int:
        return self.end - self.start

    @property
    def opens(self) -> bool:
        """Whether its rows are in the page."""
        return not self.is_folded or self.rows <= OPENED_AT_MOST


def folded(is_same: Sequence[bool]) -> list[Stretch]:
    """All rows in order, long runs of those that are the same folded but for what stands beside a difference."""
    found: list[Stretch] = []
    start = 0
    for same, run in groupby(is_same):
        end = start + sum(1 for _ in run)
        low, high = start + _CONTEXT * (start > 0), end - _CONTEXT * (end < len(is_same))
        if same and high - low >= _FOLDED_FROM:
            found += [Stretch(start, low, False), Stretch(low, high, True), Stretch(high, end, False)]
        else:
            found.append(Stretch(start, end, False))
        start = end
    return [stretch for stretch in found if stretch.rows]


def pages(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """The stretches on pages of at most ROWS rows; one that is not folded may go on on the next page."""
    found: list[list[Stretch]] = [[]]
    room = ROWS
    for stretch in stretches:
        rest = stretch
        while not rest.is_folded and rest.rows > room:
            if room:
                found[-1].append(replace(rest, end=rest.start + room))
            rest = replace(rest, start=rest.start + room)
            found.append([])
            room = ROWS
        takes = rest.rows if rest.opens else 1
        if takes > room:
            found.append([])
            room = ROWS
        found[-1].append(rest)
        room -= takes
    return found
