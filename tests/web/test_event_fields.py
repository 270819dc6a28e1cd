"""Filters that the fields of an event offer."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from evdash.events.decoding import decode
from evdash.events.filters.event_filter import EventFilter
from evdash.web.event_display.fields import field_views
from tests.builders import raw_entry


@pytest.mark.parametrize(
    ("name", "value", "term"),
    [
        ("event_type", "message.added", "type:message.added"),
        ("sessionId", "s-1", "session:s-1"),
        ("error_code", "timeout", "code:timeout"),
        ("tool_name", "find", "tool:find"),
        ("level", "error", "severity:error"),
        ("level", "WARN", "field.level:WARN"),  # the event's severity is "warning"
        ("channel", "chat", "field.channel:chat"),
        ("stream", "other", "field.stream:other"),
    ],
)
def test_a_field_is_filtered_by_the_key_whose_value_it_is(name: str, value: str, term: str) -> None:
    told = decode(raw_entry((name, value)))
    [view] = field_views(told, EventFilter())
    assert parse_qs(view.queries.include)["q"] == [term]
    assert EventFilter.parse(term).matches(told)
