"""Of entries that a retry wrote more than once, the first counts, whatever order they come in."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evdash.events.deduplication import CountChange, Counted, changes
from evdash.events.event import Event
from tests.builders import event

_events = st.lists(
    st.builds(
        lambda ms, own_id, content, stamp: event(
            f"{ms}-0", id=own_id, type="a", session_id="s", content=content, timestamp=stamp
        ),
        st.integers(1, 30),
        st.sampled_from(["", "e1", "e2"]),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["1700000000", "1700000001"]),
    ),
    max_size=12,
    unique_by=lambda each: each.entry_id,
)


def test_the_same_fields_and_producers_id_are_a_duplicate_at_another_time_and_in_another_order() -> None:
    one = event("1-0", id="e", type="a", content="x", timestamp="1700000000")
    assert one.identity == event("2-0", timestamp="1700000009", content="x", type="a", id="e").identity


def test_an_id_alone_makes_no_duplicate() -> None:
    one = event("1-0", id="1", type="message.added", session_id="s1", content="x")
    for other in (
        event("2-0", id="1", type="message.added", session_id="s2", content="x"),
        event("2-0", id="1", type="message.added", session_id="s1", content="y"),
        event("2-0", "other", id="1", type="message.added", session_id="s1", content="x"),
    ):
        assert one.identity != other.identity
    assert event("1-0", type="a").identity is None


def test_fields_are_not_run_together() -> None:
    assert event(id="e", a="bc").identity != event(id="e", ab="c").identity


@given(_events, st.data())
def test_what_counts_in_the_end_does_not_depend_on_order_and_batches(events: list[Event], data: st.DataObject) -> None:
    at_once = _sum_up(changes(events, {}))
    counted: dict[bytes, Counted] = {}
    total: Counter[tuple[int, int]] = Counter()
    left = data.draw(st.permutations(events))
    while left:
        size = data.draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        found = changes(batch, counted)
        assert sorted(c.event.entry_id for c in found if c.is_new) == sorted(e.entry_id for e in batch)
        total.update(_sum_up(found))
        for change in found:
            key = change.event.identity
            if key and change.counts == 1:
                counted[key] = Counted(change.event.entry_id, change.event.occurred_us)
    assert +total == +at_once
    assert sum(at_once.values()) == len({e.identity or e.entry_id for e in events})


def _sum_up(found: list[CountChange]) -> Counter[tuple[int, int]]:
    """By entry and time, how often it counts."""
    total: Counter[tuple[int, int]] = Counter()
    for change in found:
        total[change.event.entry_id.ms, change.event.occurred_us] += change.counts
    return total


def test_what_is_taken_back_is_the_event_that_was_counted() -> None:
    late = event("9-0", id="e", type="a", content="x", timestamp="1700000009")
    early = event("1-0", id="e", type="a", content="x", timestamp="1700000000")
    key = late.identity
    assert key is not None
    taken_back = changes([early], {key: Counted(late.entry_id, late.occurred_us)})[1]
    assert (taken_back.counts, taken_back.is_new) == (-1, False)
    assert taken_back.event._replace(entry=late.entry, data=late.data) == late
