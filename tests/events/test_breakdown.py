"""Breakdowns: values with their events, error rates against the rest, and Fisher's test."""

from __future__ import annotations

from collections import Counter
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.breakdown import (
    VALUES_MAX,
    Breakdown,
    Occurrence,
    break_down,
    breakdown_query,
    occurrence_of,
    probability,
)
from evdash.events.filters.event_filter import EventFilter
from tests.builders import event

occurrences = st.lists(
    st.builds(
        Occurrence,
        st.sampled_from(["", "a", "b", "c"]),
        st.sampled_from(["tool.called", "tool.returned", "message.added"]),
        st.booleans(),
        st.none() | st.integers(0, 1000).map(float),
        st.just(1),
    ),
    min_size=1,
    max_size=40,
)


@given(occurrences)
def test_the_rows_are_those_of_a_plain_count(found: list[Occurrence]) -> None:
    shown = break_down(found, "model")
    rows = [*shown.rows, *([shown.absent] if shown.absent else [])]
    assert {row.value: row.events for row in rows} == Counter(each.value for each in found)
    for row in rows:
        own = [each for each in found if each.value == row.value]
        rest = [each for each in found if each.value != row.value]
        assert (row.errors, row.base) == (sum(each.is_error for each in own), len(own))
        assert row.rest_rate == (sum(each.is_error for each in rest) / len(rest) if rest else None)
        timed = [(each.type, each.latency_ms) for each in own if each.latency_ms is not None]
        has_returns = any(name == "tool.returned" for name, _ in timed)
        latencies = sorted(ms for name, ms in timed if not (has_returns and name == "tool.called"))
        assert row.p50_ms == (latencies[(len(latencies) - 1) // 2] if latencies else None)
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert [(-row.events, row.value) for row in shown.rows] == sorted((-row.events, row.value) for row in shown.rows)


@given(st.integers(1, 25), st.integers(0, 25), st.integers(0, 25), st.integers(0, 25))
def test_the_probability_is_the_tail_of_the_hypergeometric_distribution(
    all_: int, errors: int, base: int, own: int
) -> None:
    errors, base = min(errors, all_), min(base, all_)
    own = max(min(own, errors, base), errors + base - all_)
    tail = sum(comb(errors, k) * comb(all_ - errors, base - k) for k in range(own, min(errors, base) + 1))
    exact = tail / comb(all_, base)
    is_above_average = own * all_ > errors * base
    assert probability(own, base, errors, all_) == pytest.approx(exact if is_above_average else 1.0)


def of(key: str, *counts: tuple[str, int, int], type: str = "message.added") -> Breakdown:
    """Return the breakdown of values with these numbers of events and errors."""
    found = [Occurrence(value, type, number < errors, None) for value, n, errors in counts for number in range(n)]
    return break_down(found, key)


def test_a_value_with_more_errors_than_chance_explains_is_marked_and_a_small_number_is_not() -> None:
    marked = {row.value: row.is_marked for row in of("model", ("a", 100, 12), ("b", 900, 5), ("c", 3, 1)).rows}
    assert marked == {"a": True, "b": False, "c": False}


def test_the_lift_is_the_rate_divided_by_that_of_the_others() -> None:
    a, _ = of("model", ("a", 100, 10), ("b", 50, 1)).rows
    assert (a.rate, a.rest_rate, a.lift) == (0.1, 0.02, pytest.approx(5))
    [only, _] = of("model", ("a", 100, 10), ("b", 50, 0)).rows
    assert (only.rest_rate, only.lift) == (0, None)


def test_the_rate_of_a_tool_is_a_share_of_its_calls() -> None:
    types = ["tool.called"] * 10 + ["tool.returned"] * 8 + ["error.occurred"] * 2
    found = [Occurrence("book", name, name == "error.occurred", None) for name in types]
    found += [Occurrence("", "message.added", True, None)] * 5
    shown = break_down(found, "tool")
    [row] = shown.rows
    assert (shown.of_calls, row.events, row.base, row.rate, row.rest_rate) == (True, 20, 10, 0.2, None)
    assert shown.absent is not None
    assert (shown.absent.events, shown.absent.rest_rate, shown.errors) == (5, None, 7)
    assert not break_down(found, "type").of_calls


def test_without_the_calls_of_all_errors_rates_are_shares_of_events() -> None:
    found = [Occurrence("book", "error.occurred", True, None)] * 3 + [
        Occurrence("find", "tool.called", False, None)
    ] * 9
    shown = break_down(found, "tool")
    assert not shown.of_calls
    assert [(row.value, row.base, row.rate) for row in shown.rows] == [("find", 9, 0), ("book", 3, 1)]


def test_a_call_has_one_latency_that_of_its_return() -> None:
    found = [Occurrence("book", "tool.called", False, 900.0), Occurrence("book", "tool.returned", False, 200.0)] * 3
    [row] = break_down(found, "tool").rows
    assert (row.p50_ms, row.p95_ms) == (200, 200)
    [row] = break_down(found[::2], "tool").rows
    assert row.p50_ms == 900


def test_less_frequent_values_are_one_row_and_chosen_ones_have_their_own() -> None:
    found = [Occurrence(f"v{number:03}", "a", False, None) for number in range(VALUES_MAX + 10)]
    shown = break_down(found, "model", chosen=["v025"])
    assert [row.value for row in shown.rows][-1] == "v025"
    assert len(shown.rows) == VALUES_MAX + 1
    assert shown.others is not None
    assert (shown.others.events, shown.further) == (9, 9)


def test_what_states_errors_is_counted_and_does_not_limit_the_events() -> None:
    own = EventFilter.parse("is:error code:timeout tool:book model:m -code:x")
    query = breakdown_query("model", own, lambda each: each)
    assert query.errors.text() == "is:error code:timeout"
    assert query.events == EventFilter.parse("tool:book -code:x")
    assert (query.chosen, query.by_errors) == (("m",), True)
    plain = breakdown_query("model", EventFilter.parse("tool:book"), lambda each: each)
    assert (plain.errors, plain.by_errors) == (EventFilter().errors(), False)


def test_the_scope_of_a_page_limits_the_events() -> None:
    of_errors = breakdown_query("tool", EventFilter.parse("code:a"), lambda each: each.errors())
    assert (of_errors.events.text(), of_errors.errors.text()) == ("", "code:a is:error")
    of_user = breakdown_query("user", EventFilter.parse("user:v"), lambda each: each.also("user", "u"))
    assert of_user.events.values("user") == ("u",)


@pytest.mark.parametrize(
    ("key", "text", "chosen", "events"),
    [
        ("tool", "tool:a* tool:book -tool:x", ("book",), "tool:a* -tool:x"),
        ("field.fruit", "field.FRUIT:Apple", ("apple",), ""),
        ("field.fruit", "field.fruit:App* field.price:>1", (), "field.fruit:App* field.price:>1"),
    ],
)
def test_the_chosen_values_of_the_key_are_compared_with_the_others(
    key: str, text: str, chosen: tuple[str, ...], events: str
) -> None:
    query = breakdown_query(key, EventFilter.parse(text), lambda each: each)
    assert (query.chosen, query.events) == (chosen, EventFilter.parse(events))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "M-1"),
        ("field.region", "eu"),
        ("field.order.id", "42"),
        ("field.data.order.id", "42"),
        ("field.order", ""),
        ("field.none", ""),
    ],
)
def test_a_value_is_that_of_a_property_or_of_a_path(key: str, value: str) -> None:
    own = event("1-0", type="a", model="M-1", data='{"region": "EU", "order": {"id": 42}}')
    assert occurrence_of(own, key, lambda *_: False).value == value
