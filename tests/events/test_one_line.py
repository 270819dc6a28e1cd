"""What one line says of an event."""

import json

import pytest
from hypothesis import given

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event_types import LANES, category_of, describe_event, lane_of, turn_of
from evdash.events.one_line import LINE_CHARS
from tests.builders import event, wild_pairs


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"type": "message.added", "role": "assistant", "content": "I can\n help"}, "assistant: I can help"),
        (
            {"type": "message.added", "role": "user", "content_length": "40"},
            "user: (40 characters, not in the event)",
        ),
        (
            {
                "type": "search.performed",
                "tool": "search_direct_flight",
                "arguments": '{"origin":"JFK","destination":"SEA","date":"2024-05-20"}',
                "latency_ms": "412",
            },
            "search_direct_flight JFK→SEA, date 2024-05-20, 412 ms",
        ),
        ({"type": "search.performed", "query": "refunds", "results_count": "1"}, "search refunds, 1 result"),
        ({"type": "tool.called", "tool": "get", "arguments": '{"id":"X1"}'}, "get X1"),
        ({"type": "tool.returned", "tool": "get", "result": "[]"}, "get → []"),
        ({"type": "tool.returned", "tool": "get", "result": "[1,2]"}, "get → [2 items]"),
        ({"type": "tool.returned", "tool": "get", "data": '{"result": null}'}, "get → null"),
        (
            {"type": "error.occurred", "error": "Error: payment amount does not add up"},
            "Error: payment amount does not add up",
        ),
        ({"type": "x", "severity": "error", "code": "E7"}, "Error: E7"),
        ({"type": "session.started", "agent": "a", "model": "m", "channel": "chat"}, "started: a on m, chat"),
        (
            {"type": "session.ended", "outcome": "resolved", "total_messages": "1", "duration_ms": "83000"},
            "ended: resolved, 1 message, 1 min 23 s",
        ),
        (
            {"type": "summary.created", "summary": "They met", "message_count": "12"},
            "summary: They met, of 12 messages",
        ),
        ({"type": "memory.cleared", "reason": "too long"}, "memory cleared: too long"),
        ({"type": "order.placed", "description": "three pens"}, "three pens"),
        ({"type": "order.placed", "pens": "3", "ink": "blue"}, "pens 3, ink blue"),
        ({"type": "order.placed", "data": '{"pens": 3, "ink": {"a": 1}}'}, "pens 3, ink {1 key}"),
        ({"type": "order.placed"}, "(no other fields)"),
    ],
)
def test_the_line_says_what_happened(fields: dict[str, str], line: str) -> None:
    assert str(describe_event(event(**fields))) == line


def test_a_megabyte_is_a_short_line() -> None:
    assert (
        len(str(describe_event(event(type="message.added", role="user", content="word " * 200_000)))) < LINE_CHARS + 20
    )


@given(wild_pairs)
def test_any_entry_has_a_reading_a_kind_and_a_lane(pairs: tuple[tuple[bytes, bytes], ...]) -> None:
    any_event = decode(Entry("s", EntryId(1, 1), pairs))
    assert len(str(describe_event(any_event))) < 3 * LINE_CHARS + 500
    assert category_of(any_event.type).name
    assert lane_of(any_event) in LANES


def test_a_type_keeps_its_colour_and_known_words_have_their_own() -> None:
    assert category_of("order.placed") == category_of("order.placed")
    assert category_of("llm.tool_call").name == "model"
    assert category_of("tool.call").name == "tool"
    assert category_of("").name == "none"
    assert category_of("payment.failed").name == "error"


@pytest.mark.parametrize(
    ("fields", "lane"),
    [
        ({"type": "message.added", "role": "user"}, "user"),
        ({"type": "message.added", "role": "assistant"}, "assistant"),
        ({"type": "message.added", "role": "system"}, "system"),
        ({"type": "error.occurred", "tool": "find"}, "tools"),
        ({"type": "memory.cleared"}, "memory"),
        ({"type": "session.started", "agent": "a"}, "system"),
        ({"type": "anything.else"}, "system"),
    ],
)
def test_the_lane_is_who_acts(fields: dict[str, str], lane: str) -> None:
    assert lane_of(event(**fields)) == lane


@pytest.mark.parametrize("text", ["5", "-1.5e3", "null", "true", "NaN", "", '"x"'])
def test_a_text_in_json_that_reads_as_another_value_is_quoted(text: str) -> None:
    """`"5"` and `5` are different values, and a row tells them apart."""
    in_json = event("1-0", type="x.y", data=json.dumps({"a": text, "b": "plain", "c": 5, "d": None, "e": True}))
    assert str(describe_event(in_json)) == f"a {json.dumps(text)}, b plain, c 5, d null, e true"
    alone = event("1-0", type="tool.called", tool="find", arguments=json.dumps({"a": text}))
    assert str(describe_event(alone)) == f"find {json.dumps(text)}"
    returned = event("1-0", type="tool.returned", data=json.dumps({"tool": "find", "result": text or "5"}))
    assert str(describe_event(returned)) == f"find → {json.dumps(text or '5')}"


def test_a_flat_field_is_a_text_and_needs_no_quotes() -> None:
    assert str(describe_event(event("1-0", type="x.y", rating="5", ok="true"))) == "rating 5, ok true"


@pytest.mark.parametrize(
    ("result", "words"), [("[]", "(empty list)"), ("{}", "(empty object)"), ("[1]", None), ("0", None)]
)
def test_an_empty_result_is_stated(result: str, words: str | None) -> None:
    for back in (
        event("1-0", type="tool.returned", tool="find", result=result),
        event("1-0", type="tool.returned", data=f'{{"tool": "find", "result": {result}}}'),
    ):
        assert ("(empty" in turn_of(back).text) is (words is not None)
        if words:
            assert turn_of(back).text == words
            assert str(describe_event(back)) == f"find → {result}"


def test_a_search_without_results_says_so() -> None:
    searched = event("1-0", type="search.performed", tool="find", query="SEA", results="[]")
    assert str(describe_event(searched)) == "find SEA, no results"


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "message.added", "role": "{}", "content": "x"},
        {"type": "session.started", "channel": "{}"},
        {"type": "session.ended", "outcome": "{}"},
        {"type": "x", "role": "{}"},
        {"type": "x", "data": '{{"n":{}}}'},
        {"type": "tool.returned", "result": '{{"n":{}}}'},
    ],
)
def test_a_number_of_thousands_of_digits_is_cut(fields: dict[str, str]) -> None:
    line = describe_event(event(**{name: value.format("7" * 5_000) for name, value in fields.items()}))
    assert all(len(part) <= LINE_CHARS + 1 for part in (line.label, line.text, line.metrics))
    assert "777…" in str(line)


@pytest.mark.parametrize("result", [" " * 30 + "text", "\n" * 30 + "text", "[]" + " " * 20 + "text"])
def test_a_result_that_begins_like_an_empty_one_is_not_empty(result: str) -> None:
    assert turn_of(event(type="tool.returned", tool="find", result=result)).text == result


def test_a_result_of_null_is_stated() -> None:
    null = event(type="tool.returned", data='{"tool": "find", "result": null}')
    assert (turn_of(null).text, str(describe_event(null))) == ("null", "find → null")
