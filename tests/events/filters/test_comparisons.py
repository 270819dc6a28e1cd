"""Comparisons of numbers, and what an invalid filter suggests."""

from __future__ import annotations

import pytest

from evdash.events.filters.event_filter import Condition, EventFilter, FilterError
from evdash.events.filters.parser import hint
from tests.builders import event


@pytest.mark.parametrize(
    ("query", "fields", "is_match"),
    [
        ("latency:>500", {"latency_ms": "501"}, True),
        ("latency:>500", {"latency_ms": "500"}, False),
        ("latency:>=500 latency:<600", {"latency_ms": "550"}, True),
        ("latency:>=500 latency:<600", {"latency_ms": "650"}, False),
        ("-latency:>500", {}, True),
        ("latency:12.5", {"durationMs": "12.50"}, True),
        ("latency:*", {"latency_ms": "0"}, True),
        ("latency:*", {}, False),
        ("tokens:>=7", {"input_tokens": "3", "output_tokens": "4"}, True),
        ("tokens:*", {"tokens": "1"}, True),
        ("tokens:*", {}, False),
        ("tokens:<5", {}, False),
        ("-tokens:<5", {}, True),
        ("tokens:7.5", {"tokens": "7"}, False),
        ("tokens:>.5", {"tokens": "1"}, True),
        ("field.score:>0.2", {"score": "0.30000000000000004"}, True),
        ("field.at:<1764000000123456790", {"at": "1764000000123000000"}, True),
        ("field.price:<10", {"price": "9.99"}, True),
        ("field.price:<10", {"price": "cheap"}, False),
        ("field.price:<10", {"price": ""}, False),
        ("field.price:>1e2", {"price": "1.5E3"}, True),
        ("field.data.order.price:>=10", {"data": '{"order": {"price": 10}}'}, True),
        ("field.order.price:>10", {"data": '{"order": {"price": 10}}'}, False),
        ('field.note:">5"', {"note": ">5"}, True),
        ('field.note:">5"', {"note": "6"}, False),
    ],
)
def test_numbers_are_compared_as_numbers(query: str, fields: dict[str, str], is_match: bool) -> None:
    found = EventFilter.parse(query)
    assert found.matches(event(type="x", **fields)) is is_match
    assert EventFilter.parse(found.text()) == found


@pytest.mark.parametrize(
    ("query", "position", "suggestion"),
    [
        ("tpye:a is:error", 0, "type:a is:error"),
        ("is:error -sesion:s1", 9, "is:error -session:s1"),
        ("user_id:mia", 0, "user:mia"),
        ("channel:chat", 0, "field.channel:chat"),
        ("is:errors type:a", 3, "is:error type:a"),
        ('"payment', 0, '"payment"'),
        ('"a"b', 3, '"a" b'),
        ("tool:>5", 5, 'tool:">5"'),
        ("latency:>fast", 9, ""),
        ("a http://example.com b", 2, 'a "http://example.com" b'),
        ('"abc\\', 0, '"abc\\\\"'),
        ('"tpye":a', 0, "type:a"),
        ('"my key":a', 0, 'field."my key":a'),
        ('"":a', 0, ""),
        ("field.note:<b>", 12, 'field.note:"<b>"'),
        ('field."":a', 0, ""),
        ("*", 0, ""),
    ],
)
def test_an_invalid_filter_suggests_a_valid_one(query: str, position: int, suggestion: str) -> None:
    with pytest.raises(FilterError) as raised:
        EventFilter.parse(query)
    assert (raised.value.position, raised.value.suggestion) == (position, suggestion)
    if suggestion:
        EventFilter.parse(suggestion)


@pytest.mark.parametrize("query", ['field."any name":"a value"', '"field.any name":"a value"'])
def test_the_name_of_a_field_may_have_any_characters(query: str) -> None:
    assert EventFilter.parse(query).conditions == (Condition("field.any name", "a value"),)


@pytest.mark.parametrize(
    ("query", "beginning"),
    [
        ('user:"Zoë Å*"', "A star inside quotation marks is part of the value."),
        ("a OR b", "OR is searched as text."),
        ("(a OR b)", "Parentheses are searched as text."),
        ("NOT boom", "NOT is searched as text."),
        ("type=tool.called", "type=tool.called is searched as text. For a condition write type:tool.called"),
        ('user:"Zoë Å"*', ""),
        ("or not this", ""),
        ("f(x)=1 other=1", ""),
        ("user:a* -type:b latency:>5", ""),
    ],
)
def test_a_filter_that_was_probably_meant_otherwise_has_a_hint(query: str, beginning: str) -> None:
    found = hint(EventFilter.parse(query).conditions)
    assert found.startswith(beginning)
    assert bool(found) == bool(beginning)
