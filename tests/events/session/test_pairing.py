"""A return finds its call."""

from __future__ import annotations

import json

from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.session.call_matching import pairs, took_ms
from tests.events.session.sessions import START_MS, at


def called(after_ms: int, call_id: str = "", tool: str = "find") -> Event:
    return at(after_ms, type="tool.called", call_id=call_id, tool=tool)


def returned(after_ms: int, call_id: str = "", tool: str = "find", type: str = "tool.returned") -> Event:
    return at(after_ms, type=type, call_id=call_id, tool=tool)


def paired(*events: Event) -> list[tuple[int, int]]:
    """Pairs by how long after the start their events are."""
    found = pairs(events, EntryId.MAX).ended
    return [(call.entry_id.ms - START_MS, end.entry_id.ms - START_MS) for call, end in found]


def test_calls_that_run_at_once_are_told_apart_by_their_ids() -> None:
    assert paired(called(0, "a"), called(1, "b"), returned(2, "a"), returned(3, "b")) == [(0, 2), (1, 3)]


def test_an_id_may_be_used_again() -> None:
    assert paired(called(0, "a"), returned(1, "a"), called(2, "a"), returned(3, "a")) == [(0, 1), (2, 3)]


def test_calls_with_one_id_at_once_end_in_their_order() -> None:
    assert paired(called(0, "a"), called(1, "a"), returned(2, "a"), returned(3, "a")) == [(0, 2), (1, 3)]


def test_a_lost_return_does_not_shift_the_later_ones() -> None:
    lost = (called(0, "a"), called(1, "a"), returned(2, "a"))
    assert paired(*lost, called(3, "a"), returned(4, "a"), called(5, "a"), returned(6, "a")) == [(0, 2), (3, 4), (5, 6)]
    # A late return still finds the call that was left open.
    assert paired(*lost, called(3, "a"), returned(4, "a"), returned(5, "a")) == [(0, 2), (3, 4), (1, 5)]


def test_a_return_before_the_first_call_of_its_id_ends_that_call() -> None:
    assert paired(returned(0, "a"), called(1, "a")) == [(1, 0)]
    assert paired(returned(0, "a"), returned(1, "a"), called(2, "a"), called(3, "a")) == [(2, 0), (3, 1)]
    assert paired(returned(0, "a", type="message.added"), called(1, "a")) == []
    # A second return of an ended call does not end the next call with its ID.
    twice = (called(0, "a"), returned(1, "a"), returned(2, "a"))
    assert paired(*twice, called(3, "a"), returned(4, "a")) == [(0, 1), (3, 4)]


def test_a_return_whose_call_may_be_before_the_events_waits_for_no_later_one() -> None:
    events = (returned(0, "a"), called(1, "a"), returned(2, "a"))
    found = pairs(events)
    assert ([call.entry_id.ms for call, _ in found.ended], len(found.alone)) == ([START_MS + 1], 1)


OPENAI = json.dumps(
    [
        {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
    ]
)


def test_calls_inside_a_message_are_calls() -> None:
    asked = at(0, role="assistant", tool_calls=OPENAI)
    answered = at(2, role="tool", tool_call_id="a", content="18 degrees")
    result = json.dumps([{"type": "tool_result", "tool_use_id": "b", "content": "noon"}])
    assert paired(asked, answered, at(3, role="user", content=result)) == [(0, 2), (0, 3)]
    assert [call.tool for call in pairs([asked, answered]).waiting] == ["get_time"]


def test_a_call_that_a_message_and_an_event_state_is_one_call() -> None:
    asked = at(0, role="assistant", tool_calls=OPENAI)
    answered = at(9, role="tool", tool_call_id="a", content="18 degrees")
    for events in ((asked, called(1, "a")), (called(1, "a"), asked)):
        found = pairs([*events, returned(5, "a"), answered])
        assert [(call.type, end.type) for call, end in found.ended] == [("tool.called", "tool.returned")]
        assert [call.tool for call in found.waiting] == ["get_time"]
        assert found.alone == []


def test_a_call_whose_result_is_in_the_same_message_waits_for_none() -> None:
    used = {"type": "tool_use", "id": "a", "name": "find", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "[1]"}
    assert pairs([at(0, role="assistant", content=json.dumps([used, result]))]).waiting == []


def test_an_id_may_be_used_thousands_of_times() -> None:
    open_calls = [called(number, "a") for number in range(20_000)]
    found = pairs([*open_calls, *(returned(20_000 + number, "a") for number in range(20_000))])
    assert (len(found.ended), found.waiting, found.alone) == (20_000, [], [])


def test_without_ids_the_oldest_open_call_of_the_tool_ends() -> None:
    events = (called(0), called(1, tool="book"), called(2), returned(3), returned(4), returned(5, tool="book"))
    assert paired(*events, returned(6)) == [(0, 3), (2, 4), (1, 5)]


def test_a_return_with_an_id_never_ends_a_call_without_one_nor_the_other_way_round() -> None:
    assert paired(called(0), returned(1, "a"), called(2, "b"), returned(3)) == [(0, 3)]


def test_an_error_ends_a_call_and_a_message_ends_one_only_by_its_id() -> None:
    assert paired(called(0), returned(1, type="error.occurred")) == [(0, 1)]
    assert paired(called(0), returned(1, type="message.added")) == []
    assert paired(called(0, "a"), returned(1, "a", type="message.added")) == [(0, 1)]


def test_a_call_that_says_its_result_waits_for_none_unless_it_has_an_id() -> None:
    complete = at(0, type="tool.called", tool="find", result="[1]")
    assert paired(complete, called(1), returned(2)) == [(1, 2)]
    assert paired(at(0, type="search.performed", call_id="a", results="3"), returned(1, "a")) == [(0, 1)]


def test_entry_ids_refine_whole_seconds_and_nothing_else() -> None:
    start_us = START_MS * 1000
    in_seconds = at(1_250, timestamp=str(START_MS // 1000 + 1))
    assert took_ms(start_us, START_MS + 900, in_seconds) == 350.0
    written_at_once = at(5, timestamp=str(START_MS // 1000 + 60))
    assert took_ms(start_us, START_MS, written_at_once) == 60_000.0
    assert took_ms(start_us, START_MS, at(1_234)) == 1_234.0
    assert took_ms(start_us + 9_000_000, START_MS, at(1_234)) == 0.0
