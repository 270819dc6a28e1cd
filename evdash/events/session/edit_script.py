"""Common items of two sequences: Myers' greedy algorithm with a bounded cost.

The cost is quadratic in the number of differences. Past LARGEST_DISTANCE of them the algorithm takes the path that got
furthest, and starts a new search at its end. The result is right, but may be longer than the shortest.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

LARGEST_DISTANCE: Final = 128


def corresponding(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[list[tuple[int, int]], bool]:
    """Return pairs of indices with equal items, both increasing, and whether the bound was reached."""
    numbers: dict[Hashable, int] = {}
    ours = [numbers.setdefault(item, len(numbers)) for item in a]
    theirs = [numbers.setdefault(item, len(numbers)) for item in b]
    found: list[tuple[int, int]] = []
    start_a = start_b = 0
    is_bounded = False
    while start_a < len(ours) and start_b < len(theirs):
        matched, start_a, start_b = _stretch(ours, theirs, start_a, start_b)
        found += matched
        is_bounded = is_bounded or start_a < len(ours) or start_b < len(theirs)
    return found, is_bounded


def _stretch(a: list[int], b: list[int], start_a: int, start_b: int) -> tuple[list[tuple[int, int]], int, int]:
    """Return the pairs from the starts to the end of the search, and the two indices of that end.

    The search ends at the ends of both sequences, or at the furthest point within the bound.
    """
    length_a, length_b = len(a) - start_a, len(b) - start_b
    furthest = {1: 0}  # by diagonal (index in a minus index in b): index in a
    steps: list[dict[int, int]] = []
    reached = (0, 0, 0)  # index in a, index in b, distance
    for distance in range(LARGEST_DISTANCE + 1):
        steps.append(dict(furthest))
        for diagonal in range(-distance, distance + 1, 2):
            i = furthest[diagonal + 1] if _is_down(furthest, diagonal, distance) else furthest[diagonal - 1] + 1
            j = i - diagonal
            while i < length_a and j < length_b and a[start_a + i] == b[start_b + j]:
                i += 1
                j += 1
            furthest[diagonal] = i
            if i <= length_a and j <= length_b and i + j > reached[0] + reached[1]:
                reached = i, j, distance
        if reached[:2] == (length_a, length_b):
            break
    i, j, distance = reached
    found = [(start_a + at_a, start_b + at_b) for at_a, at_b in _way_back(steps, i, j, distance)]
    return found, start_a + i, start_b + j


def _is_down(furthest: dict[int, int], diagonal: int, distance: int) -> bool:
    """Return whether an item of b alone, rather than one of a, gets furthest on this diagonal."""
    if diagonal in (-distance, distance):
        return diagonal == -distance
    return furthest[diagonal - 1] < furthest[diagonal + 1]


def _way_back(steps: list[dict[int, int]], i: int, j: int, distance: int) -> list[tuple[int, int]]:
    """Return the pairs on the way to these indices, which were reached at this distance."""
    found: list[tuple[int, int]] = []
    for left in range(distance, -1, -1):
        before, diagonal = steps[left], i - j
        down = _is_down(before, diagonal, left)
        first = before[diagonal + 1] if down else before[diagonal - 1] + 1
        while i > first:
            i, j = i - 1, j - 1
            found.append((i, j))
        if left:
            i, j = (i, j - 1) if down else (i - 1, j)
    return found[::-1]
