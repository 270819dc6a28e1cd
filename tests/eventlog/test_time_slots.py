from hypothesis import given
from hypothesis import strategies as st

from evdash.eventlog.time_buckets import DAY_S, MINUTE_S, slots_of_range


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_the_slots_of_a_range_cover_it_once_and_are_few(since_min: int, length_min: int) -> None:
    since_s, until_s = since_min * MINUTE_S, (since_min + length_min) * MINUTE_S
    runs = slots_of_range(since_s, until_s)
    position = since_s
    slots = 0
    for width_s, start_s, end_s in runs:
        assert start_s == position
        assert start_s % width_s == end_s % width_s == 0
        slots += (end_s - start_s) // width_s
        position = end_s
    assert position == until_s or not runs
    assert slots <= 2 * 60 + 2 * 24 + length_min * MINUTE_S // DAY_S
