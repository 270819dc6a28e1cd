"""Two sessions side by side."""

from __future__ import annotations

import json
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from evdash.events.event import Event
from evdash.events.session.alignment import Alignment, align, corresponding
from evdash.events.session.comparison_units import differences
from tests.events.session.sessions import at, sessions


def messages(*contents: str, session_id: str = "s", after_ms: int = 0) -> list[Event]:
    """Messages of user and assistant in turns."""
    return [
        at(
            after_ms + n,
            session_id=session_id,
            id=f"{session_id}-{n}",
            content=content,
            role=("user", "assistant")[n % 2],
        )
        for n, content in enumerate(contents)
    ]


def verdicts(alignment: Alignment) -> list[str]:
    return [row.verdict for row in alignment.rows]


def that_matter(alignment: Alignment) -> list[int]:
    """The numbers of the rows in which a difference matters."""
    return [number for number, row in enumerate(alignment.rows) if row.matters]


class Recorder:
    """A session in the making, one event a second."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event_type: str, **fields: str) -> Recorder:
        self.events.append(at(1_000 * len(self.events), type=event_type, **fields))
        return self

    def message(self, content: str, role: str = "user") -> Recorder:
        return self.add("message.added", role=role, content=content)

    def call(self, tool: str, arguments: str = "{}", call_id: str = "") -> Recorder:
        return self.add("tool.called", tool=tool, arguments=arguments, call_id=call_id)

    def returned(self, tool: str, result: str = "ok", call_id: str = "") -> Recorder:
        return self.add("tool.returned", tool=tool, result=result, call_id=call_id)

    def failed(self, tool: str, error: str = "no seats", call_id: str = "") -> Recorder:
        return self.add("error.occurred", tool=tool, error=error, call_id=call_id)


def rows(a: Recorder, b: Recorder) -> list[tuple[str, str, str]]:
    """The verdict of each row, and the types of its events on both sides."""
    return [
        (row.verdict, *(" ".join(each.type for each in unit.events) if unit else "" for unit in (row.a, row.b)))
        for row in align(a.events, b.events).rows
    ]


def test_two_runs_that_say_the_same_are_the_same_whenever_and_by_whichever_ids() -> None:
    alignment = align(messages("hi", "hello"), messages("hi", "hello", session_id="other", after_ms=90_000))
    assert verdicts(alignment) == ["same", "same"]
    assert not any(contrast.differs for contrast in alignment.contrasts)


def test_an_extra_exchange_stands_alone_and_what_follows_is_aligned_again() -> None:
    alignment = align(
        messages("hi", "hello", "bye", "take care"), messages("hi", "hello", "one more", "yes?", "bye", "take care")
    )
    assert verdicts(alignment) == ["same", "same", "only b", "only b", "same", "same"]
    assert that_matter(alignment) == []


def test_another_wording_does_not_matter() -> None:
    alignment = align(messages("hi", "hello", "book it", "done"), messages("hi", "hello", "book it", "I cannot"))
    assert verdicts(alignment) == ["same", "same", "same", "wording"]
    assert that_matter(alignment) == []


def test_tokens_ids_and_latencies_are_not_compared() -> None:
    a = Recorder().add("message.added", content="hi", tokens="3", latency_ms="5", message_id="m1", span_id="x")
    b = Recorder().add("message.added", content="hi", tokens="9", latency_ms="70", message_id="m2", span_id="y")
    assert verdicts(align(a.events, b.events)) == ["same"]


def test_a_call_its_return_and_its_error_are_one_row() -> None:
    a = Recorder().call("find", call_id="c1").returned("find", call_id="c1").failed("find", call_id="c1").message("hi")
    b = Recorder().call("find", call_id="k").failed("find", call_id="k").message("hi")
    assert rows(a, b) == [
        ("differs", "tool.called tool.returned error.occurred", "tool.called error.occurred"),
        ("same", "message.added", "message.added"),
    ]
    assert align(a.events, b.events).rows[0].kinds == ("result",)


def test_parallel_calls_are_rows_of_their_own_whatever_the_order_of_their_returns() -> None:
    a = (
        Recorder()
        .call("find", call_id="1")
        .call("book", call_id="2")
        .returned("book", "b", "2")
        .returned("find", "f", "1")
    )
    b = (
        Recorder()
        .call("find", call_id="3")
        .returned("find", "f", "3")
        .call("book", call_id="4")
        .returned("book", "b", "4")
    )
    assert rows(a, b) == [("same", "tool.called tool.returned", "tool.called tool.returned")] * 2


def test_a_retry_corresponds_to_the_retry_of_the_other_side() -> None:
    a = Recorder().call("book", '{"seat": 1}').failed("book").call("book", '{"seat": 2}').returned("book")
    b = (
        Recorder()
        .call("book", '{"seat": 7}')
        .failed("book")
        .message("sorry")
        .call("book", '{"seat": 8}')
        .returned("book")
    )
    call = "tool.called"
    assert rows(a, b) == [
        ("differs", f"{call} error.occurred", f"{call} error.occurred"),
        ("only b", "", "message.added"),
        ("differs", f"{call} tool.returned", f"{call} tool.returned"),
    ]


def test_the_first_call_corresponds_to_the_first_one_also_if_only_the_retry_of_the_other_side_succeeded() -> None:
    a = Recorder().call("find", '{"day": 1}').returned("find")
    b = Recorder().call("find", '{"day": 1}').failed("find").call("find", '{"day": 1}').returned("find")
    assert rows(a, b) == [
        ("differs", "tool.called tool.returned", "tool.called error.occurred"),
        ("only b", "", "tool.called tool.returned"),
    ]
    other = Recorder().call("find", '{"day": 2}').returned("find")
    assert [verdict for verdict, *_ in rows(other, b)] == ["differs", "only b"]


def test_an_error_without_a_return_is_in_the_row_of_the_call_of_its_tool() -> None:
    a = Recorder().call("find", call_id="c1").failed("find")
    b = Recorder().call("find").returned("find").failed("find")
    assert [verdict for verdict, *_ in rows(a, b)] == ["differs"]
    elsewhere = Recorder().call("find").returned("find").message("hi").failed("find")
    assert [types for _, types, _ in rows(elsewhere, elsewhere)] == [
        "tool.called tool.returned",
        "message.added",
        "error.occurred",
    ]


def test_a_call_that_a_message_and_an_event_state_is_one_row_and_the_message_another() -> None:
    calls = '[{"id": "c1", "function": {"name": "find", "arguments": "{}"}}]'
    a = Recorder().add("message.added", role="assistant", tool_calls=calls).call("find", call_id="c1")
    a.returned("find", call_id="c1")
    assert [types for _, types, _ in rows(a, a)] == ["message.added", "tool.called tool.returned"]


def test_calls_inside_messages_are_compared_by_tool_arguments_and_result() -> None:
    def run(day: int, result: str) -> Recorder:
        calls = json.dumps([{"id": f"c{day}", "function": {"name": "find", "arguments": json.dumps({"day": day})}}])
        asks = Recorder().add("message.added", role="assistant", content="let me see", tool_calls=calls)
        return asks.add("message.added", role="tool", tool_call_id=f"c{day}", content=result)

    [row] = align(run(1, "[]").events, run(2, "[5]").events).rows
    assert row.kinds == ("call", "result")
    assert row.a
    assert row.b
    assert [(one.name, one.a, one.b) for one in differences(row.a, row.b)] == [
        ("arguments.day", "1", "2"),
        ("result", "[]", "[5]"),
    ]


def test_a_duplicate_is_in_the_row_of_its_original() -> None:
    a = Recorder().add("tool.called", id="e", tool="find").add("tool.called", id="e", tool="find").returned("find")
    b = Recorder().add("tool.called", id="x", tool="find").returned("find")
    assert rows(a, b) == [("same", "tool.called tool.called tool.returned", "tool.called tool.returned")]


def test_of_calls_in_another_order_one_stands_alone_on_each_side() -> None:
    a, b = Recorder().call("find").call("book"), Recorder().call("book").call("find")
    assert sorted(verdict for verdict, *_ in rows(a, b)) == ["only a", "only b", "same"]


def test_messages_are_aligned_between_the_calls_that_correspond() -> None:
    a = Recorder().message("hi").message("go on").call("find").message("found it", "assistant")
    b = Recorder().message("hi").call("find").message("here it is", "assistant").message("go on")
    assert [verdict for verdict, *_ in rows(a, b)] == ["same", "only a", "same", "wording", "only b"]


def test_calls_results_errors_and_the_outcome_matter() -> None:
    base = [
        lambda run, other: run.call("find", '{"day": 2}' if other else '{"day": 1}').returned("find"),
        lambda run, other: run.call("find").returned("find", "[]" if other else "[1]"),
        lambda run, other: run.call("find").failed("find", "late" if other else "no seats"),
        lambda run, other: run.add("session.ended", outcome="resolved" if other else "unresolved"),
        lambda run, other: run.add("session.ended", outcome="resolved") if other else run,
    ]
    for steps in base:
        alignment = align(*(steps(Recorder().message("hi"), other).events for other in (False, True)))
        assert that_matter(alignment) == [1]


def test_what_happened_is_told_apart_by_type_tool_and_role() -> None:
    found, booked = at(0, type="tool.called", tool="find"), at(0, type="tool.called", tool="book")
    assert verdicts(align([found], [booked])) == ["only a", "only b"]


def test_the_number_of_the_run_is_no_divergence_and_another_model_is() -> None:
    first, second = (at(0, type="session.started", agent="x", model="big", trial=trial) for trial in "12")
    assert verdicts(align([first], [second])) == ["same"]
    assert verdicts(align([first], [at(0, type="session.started", agent="x", model="small")])) == ["differs"]


def test_the_values_that_differ_are_named_with_their_paths() -> None:
    first = at(0, type="tool.called", tool="find", call_id="c1", arguments='{"from":"JFK"}', data='{"x": null, "y": 1}')
    second = at(9, type="tool.called", tool="find", call_id="c7", arguments='{"from":"LGA"}', data='{"y": 1, "z": [2]}')
    [row] = align([first], [second]).rows
    assert row.a
    assert row.b
    assert [(one.kind, one.name, one.a, one.b) for one in differences(row.a, row.b)] == [
        ("call", "arguments.from", "JFK", "LGA"),
        ("fields", "x", "null", None),
        ("fields", "z", None, "[2]"),
    ]


def test_totals_stand_side_by_side() -> None:
    ended = at(9, type="session.ended", outcome="resolved")
    failed = at(9, type="error.occurred", error="no", latency_ms="50")
    alignment = align([*messages("hi"), ended], [*messages("hi"), failed])
    differences = {contrast.name: (contrast.a, contrast.b) for contrast in alignment.contrasts if contrast.differs}
    assert differences == {"outcome": ("resolved", "running"), "errors": (0, 1), "latency (ms)": (None, 50.0)}


@settings(max_examples=50)
@given(sessions(), sessions())
def test_every_event_of_both_is_in_one_row_and_units_are_in_order(a: list[Event], b: list[Event]) -> None:
    alignment = align(a, b)
    for side, events in (("a", a), ("b", b)):
        units = [unit for row in alignment.rows if (unit := getattr(row, side))]
        assert sorted(event.entry_id for unit in units for event in unit.events) == [event.entry_id for event in events]
        firsts = [unit.events[0].entry_id for unit in units]
        assert firsts == sorted(firsts)
    for row in alignment.rows:
        if row.a and row.b:
            assert {each.kind for each in differences(row.a, row.b)} == set(row.kinds)
            assert (row.verdict == "same") == (not row.kinds)
        assert (row.a is None, row.b is None) == (row.verdict == "only b", row.verdict == "only a")


_few = st.lists(st.sampled_from("abc"), max_size=9)


@given(_few, _few)
def test_as_much_as_possible_corresponds(a: list[str], b: list[str]) -> None:
    found = corresponding(a, b)
    common = next(
        size for size in range(min(len(a), len(b)), -1, -1) if set(combinations(a, size)) & set(combinations(b, size))
    )
    assert len(found) == common
    _is_alignment(found, a, b)


def test_sequences_with_hundreds_of_differences_are_aligned() -> None:
    random = Random(7)
    a, b = ([random.choice("abcdefgh") for _ in range(640)] for _ in range(2))
    found = corresponding(a, b)
    assert len(found) > 300
    _is_alignment(found, a, b)


def _is_alignment(found: list[tuple[int, int]], a: list[str], b: list[str]) -> None:
    assert all(a[i] == b[j] for i, j in found)
    assert [i for i, _ in found] == sorted({i for i, _ in found})
    assert [j for _, j in found] == sorted({j for _, j in found})


def test_sentences_among_arguments_are_wording_and_code_is_not() -> None:
    def thinking(thought: str, query: str) -> list[Event]:
        own = json.dumps({"thought": thought, "n": 1})
        return Recorder().call("think", own).returned("think").call("run", json.dumps({"sql": query})).events

    a = thinking("The total price is 305, but the payment was only 255 in all.", "SELECT a FROM b WHERE c = 1")
    b = thinking("This does not add up, so the customer has to be asked again.", "SELECT a FROM b WHERE c = 2")
    alignment = align(a, b)
    assert verdicts(alignment) == ["wording", "differs"]
    assert that_matter(alignment) == [1]
    assert [each.kind for each in differences(alignment.rows[0].a, alignment.rows[0].b)] == ["wording"]


def test_a_call_at_another_position_names_its_counterpart() -> None:
    a = Recorder().call("pay", '{"n": 1}', "p").call("find", '{"n": 2}', "f").call("look", "{}", "l")
    b = Recorder().call("find", '{"n": 2}', "f").call("look", "{}", "l").call("pay", '{"n": 1}', "p")
    rows = align(a.events, b.events).rows
    assert [(row.verdict, row.moved_to) for row in rows] == [
        ("only a", 3),
        ("same", None),
        ("same", None),
        ("only b", 0),
    ]
    other = Recorder().call("find", '{"n": 2}', "f").call("look", "{}", "l").call("pay", '{"n": 9}', "p")
    assert all(row.moved_to is None for row in align(a.events, other.events).rows)


@settings(max_examples=50)
@given(sessions(), sessions())
def test_moved_calls_name_each_other(a: list[Event], b: list[Event]) -> None:
    rows = align(a, b).rows
    for number, row in enumerate(rows):
        if row.moved_to is not None:
            assert rows[row.moved_to].moved_to == number
            assert {row.verdict, rows[row.moved_to].verdict} == {"only a", "only b"}
