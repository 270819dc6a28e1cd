"""The minutes, hours and days in which events are counted (UTC)."""

from __future__ import annotations

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
WIDTHS_S = (MINUTE_S, HOUR_S, DAY_S)
LAST_SLOT_END_S = 253_402_300_800  # the end of the year 9999, where event times end


def slot_start_s(unix_us: int, width_s: int) -> int:
    """The start, in Unix seconds, of the slot of this width that holds the time."""
    return unix_us // 1_000_000 // width_s * width_s


def slots_of_range(since_s: int, until_s: int) -> list[tuple[int, int, int]]:
    """The fewest slots that make up a range that starts and ends on whole minutes.

    Returns (width_s, first start, end) of each run of slots: minutes, hours, days, hours, minutes; empty runs left out.
    """
    runs: list[tuple[int, int, int]] = []
    head_s, tail_s = since_s, until_s
    tail_runs: list[tuple[int, int, int]] = []
    for width_s, wider_s in ((MINUTE_S, HOUR_S), (HOUR_S, DAY_S)):
        inner_head_s = -(-head_s // wider_s) * wider_s
        inner_tail_s = tail_s // wider_s * wider_s
        if inner_head_s >= inner_tail_s:
            runs.append((width_s, head_s, tail_s))
            head_s = tail_s
            break
        runs.append((width_s, head_s, inner_head_s))
        tail_runs.append((width_s, inner_tail_s, tail_s))
        head_s, tail_s = inner_head_s, inner_tail_s
    if head_s < tail_s:
        runs.append((DAY_S, head_s, tail_s))
    return [run for run in (*runs, *reversed(tail_runs)) if run[1] < run[2]]
