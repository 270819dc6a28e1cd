"""Filters that the fields of an event offer."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from django.test import Client

from evdash.events.decoding import decode
from evdash.events.filters.event_filter import EventFilter
from evdash.web.event_display.fields import field_views
from tests.builders import entry, raw_entry
from tests.web.conftest import Write
from tests.web.parsed_page import parse_page


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


def test_each_raw_field_has_the_actions_of_an_opened_event(browser: Client, write: Write) -> None:
    write(entry("1700000000000-0", type="x", session_id="s", channel="chat"))
    raw = parse_page(browser.get("/sessions/s/?view=raw"))
    assert raw.texts(".raw-fields th") == ["type", "session_id", "channel"]
    opened = parse_page(browser.get("/events/memory:events/1700000000000-0/?part=opened"), 200)
    for selector in ("a[title]", "button"):
        labels = raw.values("aria-label", f".raw-fields {selector}")
        assert labels
        assert labels == opened.values("aria-label", f".fields:not(.raw) .field-actions {selector}")
    address = raw.values("href", '.raw-fields tr:last-child [title="Filter for this value"]')[0]
    assert parse_qs(address.partition("?")[2])["q"] == ["session:s field.channel:chat"]
    assert browser.get(raw.values("data-copy-from", ".raw-fields ")[2]).content == b"chat"
