"""What holds of every session, whatever its events say."""

from __future__ import annotations

import json
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.call_latencies import changed_latencies, with_parts
from evdash.events.deduplication import CountChange, changes
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.latency_sketch import latency_ms_of
from evdash.events.session.call_matching import pairs
from evdash.events.session.diff import apply, diff
from evdash.events.session.paths import MISSING, as_data, parse_path, path_text, value_at, value_in
from evdash.events.session.reducer import fold, fold_all
from evdash.events.session.snapshot import dump, load
from evdash.events.session.state import NOT_STARTED, SessionState
from tests.events.session.sessions import sessions


def states_of(events: list[Event]) -> list[SessionState]:
    """The state before the first event and after each."""
    return list(accumulate(events, fold, initial=NOT_STARTED))


@given(sessions())
def test_no_event_that_can_be_decoded_fails_and_none_is_lost(events: list[Event]) -> None:
    state = fold_all(events)
    assert list(state.failures) == []
    assert state.folded == len(events) == state.totals.events + state.totals.duplicates
    assert state.totals.errors == len(state.errors)
    assert state.totals.messages == len(state.conversation)
    assert state.totals.open_calls == sum(call.status == "open" for call in (*state.tool_calls, *state.searches))
    early = sum(row.status == "before call" for row in state.tool_calls)
    assert state.totals.tool_calls + state.totals.returns_without_call + early == len(state.tool_calls)
    assert len({row.at for row in state.tool_calls}) == len(state.tool_calls)


@given(sessions())
def test_a_session_and_the_tables_have_the_same_latencies_and_open_calls(events: list[Event]) -> None:
    events = [event._replace(session_id="s") for event in events]
    counted = [change.event for change in changes(events, {}) if change.counts]
    latency = fold_all(events).latency
    found = changed_latencies(with_parts(map(CountChange, counted)), {})
    by_operation = Counter[str]()
    for each, number in found.items():
        by_operation[each.operation] += number
    assert {name: each.events for name, each in latency.by_operation.items()} == by_operation
    assert latency.events == by_operation.total()
    total_ms = sum(latency_ms_of(each.bucket) * number for each, number in found.items())
    assert latency.total_ms == pytest.approx(total_ms, rel=0.11, abs=0.01)
    waiting = pairs(sorted(counted, key=lambda event: event.entry_id), EntryId.MAX).waiting
    assert fold_all(events).totals.open_calls == len(waiting)


@given(sessions(), st.data())
def test_a_prefix_and_then_the_rest_is_the_same_as_all(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    before = fold_all(events[:cut])
    kept = json.dumps(as_data(before))
    assert fold_all(events[cut:], before) == fold_all(events)
    assert json.dumps(as_data(before)) == kept  # a state that is folded further stays what it was


@given(sessions(), st.data())
def test_a_diff_applied_to_the_earlier_state_gives_the_later(events: list[Event], data: st.DataObject) -> None:
    states = states_of(events)
    one, other = (states[data.draw(st.integers(0, len(events)))] for _ in range(2))
    earlier, later, changes = as_data(one), as_data(other), diff(one, other)
    assert json.dumps(apply(earlier, changes), sort_keys=True) == json.dumps(later, sort_keys=True)
    for change in changes:
        before, after = value_at(earlier, change.path), value_at(later, change.path)
        assert (before is MISSING, after is MISSING) == (change.kind == "added", change.kind == "removed")
        assert before != after or type(before) is not type(after)
        assert (change.before, change.after) == tuple(None if each is MISSING else each for each in (before, after))


@given(sessions(), st.data())
def test_a_state_from_a_snapshot_goes_on_as_the_plain_one(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    loaded = load(dump(load(dump(fold_all(events[:cut])))))
    assert loaded == fold_all(events[:cut])
    went_on, plain = fold_all(events[cut:], loaded), fold_all(events)
    assert went_on == plain
    assert json.dumps(as_data(went_on)) == json.dumps(as_data(plain))
    assert apply(as_data(loaded), diff(loaded, went_on)) == as_data(plain)


@given(sessions())
def test_a_state_is_json_and_each_of_its_paths_leads_to_its_value(events: list[Event]) -> None:
    state = fold_all(events)
    data = as_data(state)
    assert json.loads(json.dumps(data)) == data
    for change in diff(NOT_STARTED, state):
        assert parse_path(path_text(change.path)) == change.path
        assert value_in(state, change.path) == value_at(data, change.path) == change.after
    assert value_in(state, ("hidden",)) is value_at(data, ("hidden",)) is MISSING


@given(st.lists(st.text(max_size=8), max_size=5).map(tuple))
def test_every_path_can_be_written_and_read(path: tuple[str, ...]) -> None:
    assert parse_path(path_text(path)) == path
