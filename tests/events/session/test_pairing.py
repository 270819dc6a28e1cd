"""A return finds its call."""

from __future__ import annotations

from evdash.events.event import Event
from evdash.events.session.call_matching import pairs, took_ms
from tests.events.session.sessions import START_MS, at


def called(after_ms: int, call_id: str = "", tool: str = "find") -> Event:
    return at(after_ms, type="tool.called", call_id=call_id, tool=tool)


def returned(after_ms: int, call_id: str = "", tool: str = "find", type: str = "tool.returned") -> Event:
    return at(after_ms, type=type, call_id=call_id, tool=tool)


def paired(*events: Event) -> list[tuple[int, int]]:
    """Pairs by how long after the start their events are."""
    return [(call.entry_id.ms - START_MS, end.entry_id.ms - START_MS) for call, end in pairs(events).ended]


def test_calls_that_run_at_once_are_told_apart_by_their_ids() -> None:
    assert paired(called(0, "a"), called(1, "b"), returned(2, "a"), returned(3, "b")) == [(0, 2), (1, 3)]


def test_an_id_may_be_used_again() -> None:
    assert paired(called(0, "a"), returned(1, "a"), called(2, "a"), returned(3, "a")) == [(0, 1), (2, 3)]


def test_of_two_open_calls_with_one_id_the_later_ends() -> None:
    assert paired(called(0, "a"), called(1, "a"), returned(2, "a"), returned(3, "a")) == [(1, 2)]


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
