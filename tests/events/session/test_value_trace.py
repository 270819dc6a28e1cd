"""Occurrences of a value in events, and who wrote it first."""

from __future__ import annotations

import json

import pytest

from evdash.events.event import Event
from evdash.events.filters.search_text import search_text, text_needle
from evdash.events.session.value_trace import Occurrence, TracedValue, author_of
from tests.events.session.sessions import at

PROFILE = json.dumps({"payment": {"certificate_750": {"id": "certificate_750", "amount": 250.0}}, "city": "Zürich"})
SESSION = [
    at(0, type="session.started", user_id="mia_3668", agent="support", session_id="s-3668"),
    at(1, role="system", content="A bag costs 50 dollars"),
    at(2, role="user", content='I am Mia,\nuser "mia_3668"', user_id="mia_3668"),
    at(3, type="tool.called", tool="get_user", arguments='{"user_id": "mia_3668"}', call_id="c1"),
    at(4, type="tool.returned", tool="get_user", result=PROFILE, call_id="c1"),
    at(5, role="assistant", content="Pay 1,420 with CERTIFICATE_750, not with gift_99?"),
    at(6, type="tool.called", tool="book", arguments='{"ids": ["gift_99"], "note": "{\\"total\\": 1420}"}'),
    at(7, type="error.occurred", tool="book", error="total is 1475, not 1420", data='{"code": 42}'),
    at(8, type="search.performed", tool="look", query="seat 9C", results='["9D"]'),
]


def traced(value: str) -> list[Occurrence]:
    return [found for event in SESSION if (found := TracedValue(value).occurrence(event))]


def places(value: str) -> list[tuple[int, str]]:
    """The numbers of the events with the value, each with the path of the first place."""
    return [(SESSION.index(found.event), found.path) for found in traced(value)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mia_3668", [(2, "content"), (3, "arguments.user_id")]),
        ("certificate_750", [(4, "result.payment, key"), (5, "content")]),
        ("ZÜRICH", [(4, "result.city")]),
        ("Zu\u0308rich", [(4, "result.city")]),
        ("\uff27ift_99", [(5, "content"), (6, "arguments.ids.0")]),
        ("I am Mia,\nuser", [(2, "content")]),
        ('"mia_3668"', [(2, "content")]),
        ("42", [(7, "data.code")]),
        ("1420", [(5, "content"), (6, "arguments.note.total"), (7, "error")]),
        ("250", [(4, "result.payment.certificate_750.amount")]),
        ("250.00", [(4, "result.payment.certificate_750.amount")]),
        ("25", []),
        ("475", []),
        ("ertificate_750", []),
        ("mia_366", []),
        ("9D", [(8, "results.0")]),
    ],
)
def test_a_value_is_found_whole_as_people_see_it(value: str, expected: list[tuple[int, str]]) -> None:
    assert places(value) == expected


@pytest.mark.parametrize(
    ("text", "value", "is_found"),
    [
        ("paid $255.", "255", True),
        ("paid 255.50", "255", False),
        ("paid 255.50", "255.5", True),
        ("paid 0.255", "255", False),
        ("of 12,345,678 rows", "12345678", True),
        ("of 12,345,678 rows", "678", False),
        ("seats 1,2,3", "2", True),
        ("a change of -5", "-5", True),
        ("a change of -5", "5", False),
        ("on 2024-05-20", "5", False),
        ("on 2024-05-20", "05", True),
        ("id 90071992547409931", "90071992547409932", False),
        ("HAT136", "136", False),
        ("gift_card_4643416", "4643416", True),
        ("", "x", False),
    ],
)
def test_numbers_are_equal_as_numbers_and_words_end_at_their_ends(text: str, value: str, is_found: bool) -> None:
    assert (TracedValue(value).occurrence(at(0, content=text)) is not None) == is_found


@pytest.mark.parametrize(
    ("value", "author", "is_agent"),
    [
        ("mia_3668", "the user", False),
        ("50", "the system message", False),
        ("certificate_750", "the result of get_user", False),
        ("gift_99", "the assistant", True),
        ("total", "an error of book", False),
        ("42", "an error of book", False),
        ("9C", "the agent, in the call of look", True),
        ("9D", "the result of look", False),
        ("support", "an event session.started", False),
    ],
)
def test_the_author_of_the_first_occurrence_is_named(value: str, author: str, is_agent: bool) -> None:
    found = author_of(traced(value)[0])
    assert (found.words, found.is_agent) == (author, is_agent)


def test_a_snippet_has_the_value_as_written_and_what_is_around_it() -> None:
    [found] = [TracedValue("certificate_750").occurrence(at(0, content=f"{'a' * 90} Certificate_750 {'b' * 90}"))]
    assert found
    snippet = found.snippet
    assert snippet.match == "Certificate_750"
    assert (snippet.before, snippet.after) == (f"…{'a' * 49} ", f" {'b' * 69}…")


def test_further_places_in_an_event_are_counted() -> None:
    [found] = [TracedValue("x").occurrence(at(0, content="x", data='{"a": "x", "b": {"c": ["x", "y"]}}'))]
    assert found
    assert (found.path, found.more) == ("content", 2)


@pytest.mark.parametrize("event", SESSION)
def test_the_words_to_search_are_in_every_event_with_the_value(event: Event) -> None:
    for value in ("mia_3668", "1420", "250.0", "gift_99", "certificate_750", "Zürich", "42", "9D"):
        traced_value = TracedValue(value)
        found = traced_value.occurrence(event)
        if found and not found.path.endswith(", key"):
            assert text_needle(traced_value.search_words) in search_text(event)
