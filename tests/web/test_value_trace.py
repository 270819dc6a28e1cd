"""Where a value of a session came from, as a person sees it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from evdash.eventlog import session_queries
from tests.builders import STREAM, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db

START_MS = 1_764_000_000_000
SCRIPT = "<script>alert(1)</script>"


def events(*steps: dict[str, Any], session: str = "s-1") -> list[Any]:
    """Entries of a session, one a second."""
    entries = []
    for number, step in enumerate(steps):
        at_ms = START_MS + number * 1_000
        own = {"id": f"e{number}", "type": "message.added", "session_id": session, "timestamp": str(at_ms)}
        entries.append(raw_entry(*(own | step).items(), entry_id=f"{at_ms}-0"))
    return entries


STEPS: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "cancel my booking"},
    {"type": "tool.called", "tool": "list", "arguments": "{}"},
    {"type": "tool.returned", "tool": "list", "result": '[{"booking": "XEWRD9"}]'},
    {"role": "assistant", "content": "Shall I cancel XEWRD9?"},
    {"type": "tool.called", "tool": "cancel", "arguments": '{"booking": "xewrd9", "card": "gift_1"}'},
)


@pytest.fixture(params=["whole", "by text index"])
def filled(
    request: pytest.FixtureRequest, write: Write, index: Index, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> Client:
    if request.param == "by text index":
        monkeypatch.setattr(session_queries, "_READ_WHOLE", 0)
    write(*events(*STEPS))
    index()
    return browser


def trace(browser: Client, value: str, **more: str) -> Page:
    return parse_page(browser.get("/sessions/s-1/", {"trace": value} | more))


def test_the_first_event_and_every_later_one_are_listed(filled: Client) -> None:
    page = trace(filled, "XEWRD9")
    assert page.texts(".trace-author") == ["First stated by the result of list"]
    assert page.texts(".trace h3") == ["Then in 2 later events"]
    assert page.texts(".trace .compared-time") == ["+2 s", "+3 s", "+4 s"]
    assert page.texts(".trace mark") == ["XEWRD9", "XEWRD9", "xewrd9"]
    assert page.texts(".trace-path .secondary") == ["result.0.booking", "content", "arguments.booking"]
    addresses = page.values("href", ".trace-at")
    assert addresses == [f"?at={START_MS + n * 1_000}-0&trace=XEWRD9" for n in (2, 3, 4)]
    selected = parse_page(filled.get(f"/sessions/s-1/{addresses[1]}"))
    assert selected.values("aria-current", ".trace-at[aria-current]") == ["true"]
    assert not parse_page(filled.get(f"/sessions/s-1/{selected.links['Close']}")).has(".trace")


def test_a_value_that_only_the_agent_wrote_is_marked(
    write: Write, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*events(*STEPS))
    [sentence] = trace(browser, "gift_1").texts(".trace-author.is-by-agent")
    assert sentence.startswith("First stated by the agent, in the call of cancel")
    assert sentence.endswith("no earlier event contains it")
    monkeypatch.setattr(session_queries, "_READ_WHOLE", 0)
    page = trace(browser, "gift_1")
    assert page.texts(".trace-author") == ["First stated by the agent, in the call of cancel"]
    assert page.texts(".trace > .secondary") == ["Keys inside JSON were not searched, because the session is long."]


def test_a_value_that_no_event_contains_is_reported(filled: Client) -> None:
    [sentence] = trace(filled, "XEWRD").texts(".trace-author")
    assert sentence.startswith("No event contains this value.")


def test_each_value_of_an_opened_event_leads_to_its_occurrences(filled: Client) -> None:
    opened = parse_page(filled.get(f"/events/{STREAM}/{START_MS + 4_000}-0/", {"part": "opened"}))
    addresses = [address for address in opened.values("href") if "trace=" in address]
    assert addresses == [f"/sessions/s-1/?trace={value}" for value in ("cancel", "xewrd9", "gift_1")]
    assert parse_page(filled.get(addresses[1])).texts(".trace-author") == ["First stated by the result of list"]


def test_an_event_without_a_session_has_no_such_links(write: Write, browser: Client) -> None:
    write(raw_entry(("type", "note"), ("content", "hello"), entry_id="1-1"))
    assert "trace=" not in parse_page(browser.get(f"/events/{STREAM}/1-1/")).html


def test_many_occurrences_are_bounded_and_the_limit_is_stated(
    write: Write, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_queries, "OCCURRENCES_MAX", 2)
    monkeypatch.setattr("evdash.web.pages.session.trace_panel.OCCURRENCES_MAX", 2)
    write(*events(*[{"role": "user", "content": "XEWRD9"}] * 5))
    page = trace(browser, "XEWRD9")
    assert len(page.all(".trace-at")) == 2
    assert page.texts(".trace > .secondary") == ["Only the first 2 events with the value are shown."]
    monkeypatch.undo()
    monkeypatch.setattr(session_queries, "EVENTS_TRACED", 3)
    monkeypatch.setattr("evdash.web.pages.session.trace_panel.EVENTS_TRACED", 3)
    monkeypatch.setattr(session_queries, "_CHUNK_TRACED", 2)
    page = trace(browser, "XEWRD9")
    assert len(page.all(".trace-at")) == 3
    assert page.texts(".trace > .secondary") == ["Later events were not searched. The limit is 3 events."]


def test_a_long_session_is_read_in_chunks(write: Write, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_queries, "_CHUNK_TRACED", 2)
    write(*events(*STEPS))
    assert len(trace(browser, "XEWRD9").all(".trace-at")) == 3


def test_duplicates_are_not_listed(write: Write, index: Index, browser: Client) -> None:
    write(
        *events(
            {"role": "user", "content": "XEWRD9", "id": "same"}, {"role": "user", "content": "XEWRD9", "id": "same"}
        )
    )
    index()
    assert len(trace(browser, "XEWRD9").all(".trace-at")) == 1


def test_a_value_is_shown_as_text(write: Write, browser: Client) -> None:
    write(*events({"type": SCRIPT, "content": f"{SCRIPT}\u202e", SCRIPT: SCRIPT}))
    page = trace(browser, SCRIPT)
    assert page.texts(".trace-head code") == [SCRIPT]
    assert page.texts(".trace mark") == [SCRIPT]
    assert "‹202E›" in page.texts(".trace-snippet")[0]


def test_a_longer_value_than_the_limit_is_rejected(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/s-1/", {"trace": "x" * 501}), 400)
    assert page.texts(".said-reason") == ["trace= must have at most 500 characters, not 501."]


def test_timeline_and_strip_mark_the_events_with_the_value(filled: Client) -> None:
    page = trace(filled, "XEWRD9")
    marked = page.values("aria-label", ".mark:has(.found)")
    assert [label.splitlines()[-1] for label in marked] == ["contains XEWRD9"] * 3
    assert page.values("aria-label", "svg.lanes")[0].endswith(", 3 marked")
    assert [title.partition(" UTC: ")[2] for title in page.texts(".strip-found title")] == ["contains XEWRD9"] * 3
    plain = parse_page(filled.get("/sessions/s-1/"))
    assert not plain.has(".found, .strip-found")
    assert "marked" not in plain.values("aria-label", "svg.lanes")[0]
