"""The rules by which entries of any producer are read: one line for each input, with the right values."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.decoded import decoded
from evdash.events.decoding import decode
from evdash.events.event import Event
from evdash.events.event_types import category_of, describe_event, turn_of
from evdash.events.field_values import message_text
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.search_text import search_text
from evdash.events.identifiers import identifier_of
from evdash.events.one_line import BriefCall
from evdash.events.session.reducer import fold_all
from evdash.events.upcasters import Upcasters
from evdash.events.wire_profile import DEFAULT_PROFILE
from tests.builders import entry, raw_entry

PROPERTIES = [getattr(DEFAULT_PROFILE, each.name) for each in dataclasses.fields(DEFAULT_PROFILE)]
NAMES = sorted(
    {name for names in PROPERTIES if isinstance(names, tuple) for name in names}
    | {"data", "function", "input", "id", "text", "image_url", "source", "is_error"}
)


def event(data: Any = None, **fields: str) -> Event:
    """An event with these flat fields, and this value as JSON in `data`."""
    return decode(entry(**fields, **({} if data is None else {"data": json.dumps(data)})))


def of_session(**fields: str) -> dict[str, str]:
    return {"session_id": "s-1", **fields}


@pytest.mark.parametrize(
    ("fields", "data", "expected"),
    [
        # An empty flat field does not hide the value in `data`. A flat field with a text does, whatever its name.
        ({"session_id": "", "user_id": "u"}, {"session_id": "s"}, {"session_id": "s", "user_id": "u"}),
        ({"type": ""}, {"type": "message.added"}, {"type": "message.added"}),
        ({"sessionId": "outer"}, {"session_id": "inner"}, {"session_id": "outer"}),
        ({"event": "on_tool_start"}, {"type": "tool", "name": "search"}, {"type": "on_tool_start", "tool": "search"}),
        # The ID of a run or a trace is the session only without any other, wherever that is.
        ({"run_id": "r"}, {"session_id": "s"}, {"session_id": "s"}),
        ({"run_id": "r", "thread_id": "t"}, None, {"session_id": "t"}),
        ({"trace_id": "t-1"}, None, {"session_id": "t-1"}),
        # White space around an identifier is none of it.
        ({"session_id": " s-1\n"}, None, {"session_id": "s-1"}),
        ({"session_id": " \n"}, None, {"session_id": ""}),
        # Names in JSON that usually name something else are no type.
        ({"session_id": "s"}, {"name": "Ada", "kind": "client"}, {"type": ""}),
        ({"kind": "client", "name": "chat", "type": "llm.called"}, None, {"type": "llm.called"}),
        ({"action": "step.6"}, None, {"type": "step.6"}),
        # An object that names a user or a tool.
        ({}, {"user": {"id": "u-1", "name": "Ada"}}, {"user_id": "u-1"}),
        ({}, {"function": {"name": "search", "arguments": "{}"}}, {"tool": "search"}),
        # A start or end of a session repeats sums.
        ({"type": "session.ended", "total_tokens": "90"}, None, {"tokens": 0}),
        ({"type": "session.ended", "duration_ms": "90000"}, None, {"latency_ms": None}),
        ({"type": "tool.returned", "duration_ms": "-1", "elapsed_ms": "7"}, None, {"latency_ms": 7.0}),
        # Loggers of Node.js write numbers.
        ({"type": "x", "level": "50"}, None, {"severity": "error", "is_error": True}),
        ({"type": "x", "level": "40"}, None, {"severity": "warning", "is_error": False}),
    ],
)
def test_names_and_precedence(fields: dict[str, str], data: Any, expected: dict[str, object]) -> None:
    found = event(data, **fields)
    assert {name: getattr(found, name) for name in expected} == expected


def test_of_a_repeated_field_the_last_value_that_is_not_empty_counts() -> None:
    assert decode(raw_entry(("session_id", "s-1"), ("session_id", "s-2"))).session_id == "s-2"
    assert decode(raw_entry(("session_id", "s-3"), ("session_id", ""))).session_id == "s-3"


def test_an_object_inside_the_json_object_is_read_last() -> None:
    inner = {"role": "user", "content": "Hello", "toolName": "get", "userId": "other", "type": "other"}
    found = event({"conversationId": "s-1", "type": "x", "payload": inner})
    assert (found.session_id, found.user_id, found.type, found.tool) == ("s-1", "", "x", "get")
    found = event({"type": "x", "payload": {**inner, "session_id": "s-2"}})
    assert (found.session_id, found.user_id, found.type) == ("s-2", "other", "x")


def test_an_upcast_may_remove_the_json_object() -> None:
    upcasters = Upcasters()
    upcasters.add("x", 1, lambda data: {"type": "x", "order": "42"})
    found = decode(entry(type="x", version="1", data='{"order": "41"}'), upcasters=upcasters)
    assert EventFilter.parse("field.order:42").matches(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), values),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8), st.booleans())
def test_no_value_of_any_name_makes_decoding_fail(values: dict[str, Any], is_nested: bool) -> None:
    flat = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    found = event(values) if is_nested else event(**flat)
    assert search_text(found)
    assert json.dumps(decoded(found))
    assert describe_event(found)
    assert turn_of(found)


WHOLE = {"type": "message.added", "session_id": "s-1", "user_id": "u-1", "content": "Hello"}


@pytest.mark.parametrize("name", ["data", "payload", "event_data", "event", "value", "json", "message", "body", "msg"])
def test_one_field_with_the_whole_event_as_json_is_read(name: str) -> None:
    found = decode(entry(**{name: json.dumps(WHOLE)}))
    assert (found.type, found.session_id, found.user_id) == ("message.added", "s-1", "u-1")
    assert found.json_field == name
    assert decoded(found)["content"] == "Hello"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.dumps(WHOLE)),
        "\ufeff" + json.dumps(WHOLE),
        json.dumps(WHOLE)[:-1] + ', "serial": ' + "9" * 5_000 + "}",
        json.dumps(WHOLE)[:-1] + ', "score": NaN}',
        "\n" + " " * 40 + json.dumps(WHOLE, indent=4),
        " \ufeff" + json.dumps("  " + json.dumps(WHOLE)),
    ],
)
def test_json_with_a_damaged_part_loses_only_that_part(text: str) -> None:
    found = decode(entry(data=text))
    assert (found.type, found.session_id, found.user_id) == ("message.added", "s-1", "u-1")


def test_a_byte_that_is_not_utf8_costs_the_text_around_it_nothing() -> None:
    raw = b'{"type": "message.added", "session_id": "s-1", "content": "caf\xe9 \\\\x"}'
    found = decode(entry(data=raw))
    assert (found.type, found.session_id) == ("message.added", "s-1")
    assert found.data["content"] == r"caf\xe9 \x"
    assert any("not UTF-8" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    "fields",
    [
        of_session(type="message.added", role="user", content=json.dumps({"session_id": "other", "user_id": "other"})),
        of_session(type="message.added", role="user", message=json.dumps({"session_id": "other", "user_id": "other"})),
        of_session(type="tool.called", tool="get", payload=json.dumps({"user_id": "other"})),
        of_session(type="tool.called", tool="get", arguments=json.dumps({"user_id": "other", "session_id": "other"})),
        {"type": "tool.returned", "result": json.dumps({"session_id": "other", "user_id": "other", "error": "none"})},
        {"type": "note", "message": json.dumps({"session_id": "other", "user_id": "other"})},
    ],
)
def test_json_that_a_person_or_a_program_passes_on_names_no_session_and_no_user(fields: dict[str, str]) -> None:
    found = decode(entry(**fields))
    assert (found.session_id, found.user_id) == (fields.get("session_id", ""), "")
    assert not found.is_error


@pytest.mark.parametrize(
    ("fields", "data", "counts"),
    [
        ({"total_tokens": "", "prompt_tokens": "5", "completion_tokens": "7"}, None, (5, 7, 12)),
        ({}, {"total_tokens": None, "input_tokens": 5}, (5, None, 5)),
        ({"total_tokens": "unknown", "input_tokens": "5", "output_tokens": "7"}, None, (5, 7, 12)),
        ({"total_tokens": "40", "input_tokens": "5", "output_tokens": "7"}, None, (5, 7, 40)),
        ({"input_tokens": "5", "prompt_tokens": "5", "output_tokens": "7"}, None, (5, 7, 12)),
        ({}, {"usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}}, (100, 20, 120)),
        ({}, {"usage": {"promptTokens": 11, "completionTokens": 4}}, (11, 4, 15)),
        ({"usage": '{"input_tokens": 8, "output_tokens": 3}'}, None, (8, 3, 11)),
        ({"usage": '{"input_tokens": 8, "output_tokens": 3}', "input_tokens": "9"}, None, (9, 3, 12)),
        ({"total_tokens": "12.0"}, None, (None, None, 12)),
        ({}, {"total_tokens": 1.5e3}, (None, None, 1500)),
        ({"tokens": "-5"}, None, (None, None, 0)),
        ({"tokens": "NaN"}, None, (None, None, 0)),
        ({"tokens": "1.5"}, None, (None, None, 0)),
        ({"tokens": "true"}, None, (None, None, 0)),
        ({"tokens": "9" * 400}, None, (None, None, 0)),
    ],
)
def test_token_counts(fields: dict[str, str], data: Any, counts: tuple[int | None, int | None, int]) -> None:
    found = event(data, type="llm.called", **fields)
    assert (found.input_tokens, found.output_tokens, found.tokens) == counts


@pytest.mark.parametrize(
    ("event_type", "is_error", "category"),
    [
        ("failed", True, "error"),
        ("job.failed", True, "error"),
        ("com.acme.agent.error", True, "error"),
        ("tool_error", True, "error"),
        ("runFailed", True, "error"),
        ("ERROR", True, "error"),
        ("unhandled_exception", True, "error"),
        ("exception.raised", True, "error"),
        ("job.completed", False, "other"),
        ("failover.finished", False, "other"),
        ("error.resolved", False, "other"),
        ("failure.recovered", False, "other"),
        ("tool_start", False, "tool"),
        ("on_tool_end", False, "tool"),
        ("toolCall", False, "tool"),
        ("llm_end", False, "model"),
        ("sessionStarted", False, "session"),
        ("message_added", False, "message"),
        ("run", False, "other"),
        ("run-agent", False, "other"),
        ("gen_ai.client.operation", False, "model"),
    ],
)
def test_the_words_of_a_type_give_its_category_and_whether_it_is_an_error(
    event_type: str, is_error: bool, category: str
) -> None:
    assert event(type=event_type).is_error == is_error
    assert category_of(event_type).name.partition("-")[0] == category


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"status": "error"}, None),
        ({"status": "ERROR"}, None),
        ({"state": "failed"}, None),
        ({"outcome": "error"}, None),
        ({"success": "false"}, None),
        ({"is_error": "true"}, None),
        ({}, {"success": False}),
        ({}, {"isError": True}),
        ({"failedReason": "card was declined"}, None),
        ({"error": ""}, {"error": "disk is full"}),
        ({"error": "null", "error_message": "disk is full"}, None),
        ({}, {"error": True}),
        (
            {"content": json.dumps([{"type": "tool_result", "tool_use_id": "1", "is_error": True, "content": "no"}])},
            None,
        ),
    ],
)
def test_what_makes_an_event_an_error(fields: dict[str, str], data: Any) -> None:
    assert event(data, type="tool.returned", **fields).is_error


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"status": "ok"}, None),
        ({"success": "true", "is_error": "false", "failedReason": ""}, None),
        ({"error": "None"}, None),
        ({"error": "{}"}, None),
        ({}, {"error": {}}),
        ({}, {"error": False}),
        ({}, {"error": {"message": None, "code": None}}),
        ({}, {"error": {"message": "", "details": {"cause": None}}}),
        ({"type": "session.ended", "outcome": "failed"}, None),
        ({"type": "session.ended", "status": "error"}, None),
    ],
)
def test_what_does_not(fields: dict[str, str], data: Any) -> None:
    assert not event(data, **{"type": "tool.returned", **fields}).is_error


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        ({"message": "Timeout after 30 s", "code": "ETIMEDOUT"}, "Timeout after 30 s", "ETIMEDOUT"),
        ({"message": "Rate limit reached", "code": 429}, "Rate limit reached", "429"),
        ({"error": {"message": "inner", "type": "invalid"}}, "inner", "invalid"),
        ({"code": 7}, '{"code": 7}', "7"),
        (["first", "second"], '["first", "second"]', ""),
        ("plain", "plain", ""),
    ],
)
def test_the_text_and_the_code_of_an_error(error: object, text: str, code: str) -> None:
    for found in (event({"error": error}), event(error=error if isinstance(error, str) else json.dumps(error))):
        assert (found.is_error, found.error, found.code) == (True, text, code)


OPENAI = '[{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": 1}"}}]'
ANTHROPIC = [
    {"type": "text", "text": "Let me look."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
]
PICTURE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]
TWO_CALLS = [{"type": "tool_use", "id": str(n), "name": f"tool_{n}", "input": {}} for n in range(2)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"role": "assistant", "content": "", "tool_calls": OPENAI}, {"tool": "get_weather", "call_id": "call_1"}),
        (
            {"role": "assistant", "content": json.dumps(ANTHROPIC)},
            {"content": "Let me look.", "tool": "get_weather", "call_id": "toolu_1"},
        ),
        (
            {"content": json.dumps([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "4 degrees"}])},
            {"content": "4 degrees", "call_id": "toolu_1"},
        ),
        ({"content": json.dumps(PICTURE)}, {"content": "What is this?\n[image/png]"}),
        ({"content": "[draft] Where is it?"}, {"content": "[draft] Where is it?"}),
        ({"content": '[{"a": 1}]'}, {"content": '[{"a": 1}]'}),
        ({"content": "[{broken"}, {"content": "[{broken"}),
        ({"content": "Hi", "tool_calls": '[{"type": [], "function": 7}, 8]'}, {"content": "Hi"}),
        (
            {"content": json.dumps(TWO_CALLS)},
            {
                "tool": "tool_0",
                "call_id": "0",
                "parts": [
                    {"type": "tool_call", "tool": f"tool_{n}", "call_id": str(n), "arguments": "{}"} for n in range(2)
                ],
            },
        ),
    ],
)
def test_parts_of_a_message(fields: dict[str, str], expected: dict[str, object]) -> None:
    found = decoded(event(type="message.added", **fields))
    values = {"category": "message", **({"role": fields["role"]} if "role" in fields else {}), **expected}
    assert found == values


@pytest.mark.parametrize(
    ("fields", "line", "turn"),
    [
        (
            {"role": "assistant", "content": json.dumps(ANTHROPIC)},
            'assistant: Let me look. get_weather {"city": "Oslo"}',
            ("Let me look.", BriefCall("get_weather", "Oslo")),
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": OPENAI},
            'assistant: get_weather {"city": 1}',
            ("", BriefCall("get_weather", "1")),
        ),
        (
            {"role": "user", "content": json.dumps(PICTURE)},
            "user: What is this? [image/png]",
            ("What is this?\n[image/png]",),
        ),
    ],
)
def test_a_message_of_parts_is_shown_as_people_read_it(
    fields: dict[str, str], line: str, turn: tuple[str | BriefCall, ...]
) -> None:
    found = event(type="message.added", **fields)
    assert str(describe_event(found)) == line
    assert (turn_of(found).text, *turn_of(found).calls) == turn
    assert fold_all([found]).conversation[0].beginning == message_text(found).replace("\n", " ")


def test_decoded_values_of_an_export() -> None:
    found = event(
        {"traceId": "t-1", "spanId": "a-2", "parentSpanId": "a-1", "usage": {"input_tokens": 3}},
        type="llm.called", model="m-1", agent="planner", latency_ms="12.5", error="full", error_code="E1",
    )  # fmt: skip
    assert decoded(found) == {
        "category": "model",
        "model": "m-1",
        "agent": "planner",
        "input_tokens": 3,
        "total_tokens": 3,
        "latency_ms": 12.5,
        "error_code": "E1",
        "error_message": "full",
        "trace_id": "t-1",
        "span_id": "a-2",
        "parent_id": "a-1",
    }
    assert decoded(event(type="x")) == {"category": "other"}


ORDER = {"customer": {"tier": "gold", "address": {"city": "Oslo"}}, "items": [{"sku": "A-1"}, {"sku": "B-2"}]}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("field.data.customer.tier:gold", True),
        ("field.customer.tier:gold", True),
        ("field.data.customer.address.city:oslo", True),
        ("field.data.items.1.sku:B-2", True),
        ("field.data.items.1.sku:b*", True),
        ("field.data.items.0.sku:B-2", False),
        ("field.payload.customer.tier:gold", False),
        ("field.customer:gold", False),
        ("field.tier:gold", False),
        ("customer", False),
        ("oslo", True),
    ],
)
def test_a_filter_reaches_into_json(query: str, matches: bool) -> None:
    assert EventFilter.parse(query).matches(event(ORDER, **of_session(type="order.placed"))) == matches


def test_a_path_reaches_into_json_of_any_field() -> None:
    found = event(**of_session(type="order.placed", payload=json.dumps(ORDER)))
    assert EventFilter.parse("field.payload.customer.tier:gold").matches(found)
    assert not EventFilter.parse("field.customer.tier:gold").matches(found)
    assert EventFilter.parse("field.customer.tier:gold").matches(event(type="x", **{"customer.tier": "gold"}))


@pytest.mark.parametrize(
    ("written", "searched"),
    [
        ("the caf\u00e9 is closed", "cafe\u0301"),
        ("We met in the cafe\u0301", "caf\u00e9"),
        ('he said "quoted words" twice', 'said "quoted words"'),
        ("the last word\tis here", "last word\tis here"),
        ("Hauptstraße 5", "HAUPTSTRASSE"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("\uff21\uff22\uff23 ﬁn", "abc fin"),
    ],
)
def test_a_search_sees_text_as_people_see_it(written: str, searched: str) -> None:
    nested = json.dumps({"parts": [{"text": written}]})  # with \u escapes
    wanted = EventFilter().also("text", searched)
    for fields in ({"content": written}, {"data": nested}, of_session(payload=nested)):
        assert wanted.matches(event(type="x", **fields))


def test_all_values_of_a_long_list_are_found_though_only_the_first_have_paths() -> None:
    found = event({"items": [f"sku-{number}-end" for number in range(1_500)]})
    assert EventFilter.parse("sku-1499-end").matches(found)
    assert EventFilter.parse("field.items.999:sku-999-end").matches(found)
    assert not EventFilter.parse("field.items.1000:sku-1000-end").matches(found)


@pytest.mark.parametrize(
    ("query", "with_user", "without"),
    [("user:*", True, False), ("-user:*", False, True), ("user:u*", True, False), ('user:""', False, True)],
)
def test_a_star_alone_is_presence(query: str, with_user: bool, without: bool) -> None:
    wanted = EventFilter.parse(query)
    assert (wanted.matches(event(user_id="u-1")), wanted.matches(event(user_id=""))) == (with_user, without)


def test_a_long_session_id_is_found_by_its_whole_text() -> None:
    ids = [f"s-{'x' * 400}{number}" for number in (1, 2)]
    found = [event(session_id=each) for each in ids]
    assert len({each.session_id for each in found}) == 2
    for query, expected in ((f"session:{ids[0]}", [True, False]), (f"-session:{ids[0]}", [False, True])):
        assert [EventFilter.parse(query).matches(each) for each in found] == expected
    assert identifier_of(found[0].session_id) == found[0].session_id
