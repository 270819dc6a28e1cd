"""What an investigator reads in the state of a session."""

from __future__ import annotations

import pytest

from evdash.events.event import Event
from evdash.events.session import reducer
from evdash.events.session.paths import as_data
from evdash.events.session.reducer import fold, fold_all, with_gap, without_beginning
from evdash.events.session.state import NOT_STARTED, SessionState
from tests.events.session.sessions import START_MS, at, place


def test_a_session_is_not_started_then_runs_then_has_ended() -> None:
    assert NOT_STARTED.lifecycle.status == "not started"
    running = fold(NOT_STARTED, at(0, type="session.started", agent="support", model="big", user_id="u"))
    assert running.lifecycle.status == "running"
    assert (running.lifecycle.agent, running.lifecycle.model, running.lifecycle.started_us) == (
        "support",
        "big",
        START_MS * 1000,
    )
    ended = fold(running, at(5000, type="session.ended", outcome="resolved", user_id="u"))
    assert (ended.lifecycle.status, ended.lifecycle.outcome) == ("ended", "resolved")
    assert ended.lifecycle.ended_us == (START_MS + 5000) * 1000
    assert as_data(ended)["participants"]["users"] == {"u": 2}
    late = fold(ended, at(6000, role="user", content="hello?"))
    assert (late.lifecycle.status, late.lifecycle.events_after_end) == ("ended", 1)
    again = fold(late, at(7000, type="session.started"))
    assert again.lifecycle[:6] == ended.lifecycle[:6]
    assert again.lifecycle.events_after_end == 2
    ended_again = fold(again, at(8000, type="session.ended", outcome="escalated")).lifecycle
    assert (ended_again.outcome, ended_again.events_after_end) == ("escalated", 0)


def test_a_session_whose_start_is_not_said_runs_from_its_first_event_on() -> None:
    life = fold(NOT_STARTED, at(0, role="user", content="hi")).lifecycle
    assert (life.status, life.started_us, life.start_is_said) == ("running", START_MS * 1000, False)


def test_a_message_is_kept_by_its_length_and_beginning() -> None:
    content = "First line\nsecond line\n" + "x" * 5000
    (message,) = fold(NOT_STARTED, at(0, role="user", content=content, tokens="1200")).conversation
    assert (message.at, message.role, message.characters, message.tokens) == (place(0), "user", len(content), 1200)
    assert message.beginning.startswith("First line second line xxx")
    assert len(message.beginning) == 200


def conversation(messages: int) -> list[Event]:
    system = at(0, role="system", content="Be kind.", message_id="m0")
    return [system, *(at(n, role="user", content=f"message {n}", message_id=f"m{n}") for n in range(1, messages + 1))]


def in_context(state: SessionState) -> list[str]:
    context = state.memory.context
    return [item.at for item in (*context.system, *context.summaries, *context.messages)]


def test_a_summary_takes_the_place_of_as_many_of_the_oldest_messages_as_it_says() -> None:
    state = fold_all([*conversation(5), at(9, type="summary.created", summary="so far so good", message_count="3")])
    assert in_context(state) == [place(0), place(9), place(4), place(5)]
    (summary,) = state.memory.summaries
    assert (summary.replaced, summary.replaced_said, summary.replaced_by) == (3, 3, "count")
    assert (summary.first_replaced, summary.last_replaced) == (place(1), place(3))
    assert len(state.conversation) == 6  # what was said stays in the conversation


def test_a_summary_that_names_what_it_replaces_takes_the_place_of_that() -> None:
    named = at(9, type="summary.created", summary="x", message_ids='["m2", "m4", "gone"]', message_count="1")
    state = fold_all([*conversation(5), named])
    assert in_context(state) == [place(0), place(9), place(1), place(3), place(5)]
    (summary,) = state.memory.summaries
    assert (summary.replaced, summary.replaced_said, summary.replaced_by) == (2, 3, "IDs")


def test_a_summary_that_says_no_number_replaces_all_messages_but_the_systems() -> None:
    state = fold_all([*conversation(100), at(900, type="summary.created", summary="x")])
    assert in_context(state) == [place(0), place(900)]
    assert next(iter(state.memory.summaries)).replaced == 100


def test_a_clearing_after_a_summary_of_as_many_messages_leaves_the_summary() -> None:
    summed_up = [*conversation(3), at(9, type="summary.created", summary="x", message_count="3")]
    state = fold_all([*summed_up, at(10, type="memory.cleared", reason="summed up", messages="3")])
    assert in_context(state) == [place(0), place(9)]
    (clearing,) = state.memory.clearings
    assert (clearing.reason, clearing.removed, clearing.removed_by) == ("summed up", 0, "summary")


def test_a_clearing_without_a_number_leaves_nothing() -> None:
    state = fold_all([*conversation(3), at(10, type="memory.cleared", reason="new topic")])
    assert in_context(state) == []
    assert next(iter(state.memory.clearings)).removed == 4


def test_a_call_is_open_until_it_returns() -> None:
    called = fold(NOT_STARTED, at(0, type="tool.called", tool="find", call_id="c", arguments='{"city": "Oslo"}'))
    (call,) = called.tool_calls
    assert (call.status, call.arguments, called.totals.open_calls) == ("open", '{"city": "Oslo"}', 1)
    returned = fold(called, at(250, type="tool.returned", tool="find", call_id="c", result="[1]", latency_ms="240"))
    (call,) = returned.tool_calls
    assert (call.status, call.result, call.latency_ms, call.took_ms) == ("returned", "[1]", 240.0, 250.0)
    assert (call.at, call.returned_at, returned.totals.open_calls) == (place(0), place(250), 0)


def test_an_error_ends_its_call_and_stands_among_the_errors() -> None:
    called = at(0, type="tool.called", tool="book", call_id="c")
    failed = at(9, type="error.occurred", tool="book", call_id="c", error="does not add up", code="sum")
    state = fold_all([called, failed])
    (call,) = state.tool_calls
    assert (call.status, call.error, call.returned_at) == ("failed", "does not add up", place(9))
    (error,) = state.errors
    assert (error.at, error.code, error.tool, error.text) == (place(9), "sum", "book", "does not add up")


def test_a_return_without_its_call_is_kept_as_such() -> None:
    state = fold(NOT_STARTED, at(0, type="tool.returned", tool="find", call_id="c", result="found"))
    (call,) = state.tool_calls
    assert (call.status, call.result, state.totals.returns_without_call) == ("no call", "found", 1)


def test_a_search_says_its_results_itself_or_by_its_return() -> None:
    state = fold_all(
        [
            at(0, type="search.performed", call_id="a", query="hotels", results="3", latency_ms="30"),
            at(1, type="search.performed", call_id="b", tool="flights", arguments='{"from": "JFK"}'),
            at(2, type="search.performed", query="a record of a search, and no more"),
            at(3, type="tool.returned", call_id="b", tool="flights", result='[{"n": 1}, {"n": 2}]'),
        ]
    )
    hotels, flights, record = state.searches
    assert (hotels.query, hotels.status, hotels.results, hotels.latency_ms) == ("hotels", "returned", 3, 30.0)
    assert (flights.query, flights.status, flights.results) == ('{"from": "JFK"}', "returned", 2)
    assert (record.status, record.results) == ("returned", None)
    assert (state.totals.open_calls, state.totals.returns_without_call) == (0, 0)


def test_tokens_and_latencies_are_added_up_by_what_they_belong_to() -> None:
    state = fold_all(
        [
            at(0, role="user", content="a", tokens="5"),
            at(1, role="assistant", content="b", tokens="7", model="big", latency_ms="900"),
            at(2, type="tool.returned", tool="find", latency_ms="100"),
        ]
    )
    data = as_data(state)
    assert data["tokens"] == {"total": 12, "by_role": {"user": 5, "assistant": 7}, "by_model": {"big": 7}}
    assert (state.latency.events, state.latency.total_ms, state.latency.max_ms) == (2, 1000.0, 900.0)
    assert state.latency.max_at == place(1)
    assert data["latency"]["by_operation"]["find"] == {"events": 1, "total_ms": 100.0, "max_ms": 100.0}


def test_a_duplicate_is_named_and_counts_nothing() -> None:
    once = at(0, id="e", role="user", content="hi", tokens="5")
    retried = at(900, id="e", role="user", content="hi", tokens="5")
    state = fold_all([once, retried])
    assert [(each.at, each.type) for each in state.duplicates] == [(place(900), "message.added")]
    assert (len(state.conversation), state.tokens.total, state.totals.events, state.folded) == (1, 5, 1, 2)


def test_a_producers_clock_that_steps_back_is_named_and_the_streams_order_kept() -> None:
    stepped_back = at(1000, content="second", timestamp=str(START_MS - 3000))
    state = fold_all([at(0, content="first"), stepped_back, at(2000, content="third")])
    assert [(step.at, step.behind_us) for step in state.out_of_order] == [(place(1000), 3_000_000)]
    assert [message.beginning for message in state.conversation] == ["first", "second", "third"]


def test_events_of_unknown_types_are_counted_and_the_last_is_kept() -> None:
    state = fold_all([at(0, type="feedback.given", rating="3"), at(1, type="feedback.given", rating="5")])
    data = as_data(state)["other_types"]["feedback.given"]
    assert (data["events"], data["last_at"], data["last_fields"]["rating"]) == (2, place(1), "5")


def test_what_is_missing_is_said() -> None:
    assert NOT_STARTED.incompleteness == ""
    assert without_beginning(12).incompleteness == "Incomplete: the first 12 events are missing."
    unknown = with_gap(fold(without_beginning(None), at(0)), place(5), 3, "trimmed unread")
    assert unknown.incompleteness == (
        "Possibly incomplete: earlier events may be missing (number unknown); "
        "1 gap in these streams during this session."
    )
    assert as_data(unknown)["gaps"] == {place(5): {"at": place(5), "entries": 3, "why": "trimmed unread"}}


def test_what_fails_at_one_event_is_said_there_and_loses_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def counting_wrong(state: SessionState, event: Event, where: str) -> SessionState:
        if event.data.get("content") == "two":
            raise ZeroDivisionError("division by zero")
        return state

    monkeypatch.setattr(reducer, "ALWAYS", (counting_wrong, *reducer.ALWAYS))
    state = fold_all([at(0, content="one"), at(1, content="two"), at(2, content="three")])
    (failure,) = state.failures
    assert failure.at == place(1)
    assert failure.sentence == (
        "Event not fully applied to the state: counting_wrong failed: ZeroDivisionError: division by zero."
    )
    assert [message.beginning for message in state.conversation] == ["one", "two", "three"]
    assert state.totals.events == 3
