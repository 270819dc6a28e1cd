"""The page of an error group, and what the errors page shows of each group."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from evdash.eventlog.error_groups import NEW_WITHIN, TREND_PARTS
from tests.builders import raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db
DAY_MS = NEW_WITHIN.days * 86_400_000
FIRST_MS = 1_700_000_000_000
FULL = "no seat on flight HAT1"


def written(write: Write, *events: dict[str, str], first_ms: int = FIRST_MS) -> None:
    """Write the events in sessions of their own fields, a second apart."""
    for number, fields in enumerate(events):
        write(raw_entry(*fields.items(), entry_id=f"{first_ms + 1000 * number}-0"))


def call(session: str, tool: str, error: str = "", **own: str) -> list[dict[str, str]]:
    """A call with its return, which may be an error."""
    event = {
        "session_id": session,
        "user_id": f"user of {session}",
        "tool": tool,
        "call_id": f"{session} {tool}",
        **own,
    }
    returned = {**event, "type": "tool.returned", **({"error": error} if error else {})}
    return [{**event, "type": "tool.called"}, returned]


def group_page(browser: Client, **query: str) -> Page:
    """The page of the first group of the errors page."""
    [address, *_] = parse_page(browser.get("/errors/")).values("href", "a.group-title")
    return parse_page(browser.get(address, query))


@pytest.mark.parametrize("is_indexed", [False, True])
def test_the_page_of_a_group_has_its_numbers_and_what_its_errors_have_in_common(
    browser: Client, write: Write, index: Index, is_indexed: bool
) -> None:
    events = [each for number in range(20) for each in call(f"ok{number}", "search", model="m1", agent_version="1")]
    for number in range(8):
        events += call(f"bad{number}", "book", FULL, model="m2", agent_version="2")
    events += call("good", "book", model="m2", agent_version="1")
    written(write, *events, {"type": "error.occurred", "error": FULL})
    if is_indexed:
        index()
    page = group_page(browser, q="")
    other = page.texts(".group-message") == ["no seat on flight name"] and not page.has(".group-panels [data-key=Tool]")
    if other:  # the error without a session is the newest group
        assert "1 without an earlier event" in page.text
        [_, address] = parse_page(browser.get("/errors/")).values("href", "a.group-title")
        page = parse_page(browser.get(address))
    assert (page.facts["Errors"], page.facts["Sessions"], page.facts["Users"]) == ("8", "8", "8")
    assert page.facts["Error rate"] == "89 % 8 of 9 calls"
    assert page.facts["Type"] == "tool.returned"
    assert page.facts["Tool"] == "book"
    tables = {heading: page.all(f".group-panels [data-key='{heading}']") for heading in ("Tool", "Model", "Agent")}
    assert [len(each) for each in tables.values()] == [1, 1, 0]
    assert page.cells("[data-key='Agent version'] table", "Agent version", "Errors", "Rate", "Lift") == [
        ("2", "8 of 16", "50 %", "only here")
    ]
    assert page.has("[data-key='Agent version'] .lift-mark")
    assert page.cells(".previous-events", "Type and tool", "Errors", "Share") == [("tool.called book", "8", "100 %")]
    [first, *_] = page.values("href", "[data-key=Sessions] tbody a")
    assert first.startswith("/sessions/bad")
    assert "?at=" in first
    assert len(page.rows) == 8


def test_the_range_and_the_filter_of_the_address_apply(browser: Client, write: Write) -> None:
    written(write, *call("s1", "book", FULL), *call("s2", "book", FULL), *call("s2", "book"))
    page = group_page(browser, q="session:s2")
    assert (page.facts["Errors"], page.facts["Error rate"]) == ("1", "50 % 1 of 2 calls")
    assert len(page.rows) == 1
    assert page.has(".rows.has-only-errors")
    nothing = group_page(browser, q="session:s3")
    assert nothing.texts(".group-message") == ["no seat on flight name"]
    assert "Errors" not in nothing.facts
    assert not nothing.rows
    by_tool = group_page(browser, by="tool")
    assert by_tool.cells(".breakdown table", "Tool", "Events", "Errors") == [("book", "6", "2")]


@pytest.mark.parametrize("fingerprint", ["0" * 32, "%3Cb%3E%2F.."])
def test_an_unknown_group_is_not_found(browser: Client, fingerprint: str) -> None:
    page = parse_page(browser.get(f"/errors/groups/{fingerprint}/"), status=404)
    assert page.texts("h1") == ["Error group not found"]


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize("query", ["", "type:error.occurred"])
def test_a_group_is_new_if_its_first_error_is_in_the_last_day_and_others_are_older(
    browser: Client, write: Write, index: Index, is_indexed: bool, query: str
) -> None:
    now_ms = int(time.time() * 1000)
    for days, texts in ((4, ["old"]), (3, ["older", "old"]), (0, ["young", "old"])):
        errors = [{"type": "error.occurred", "error": text} for text in texts]
        written(write, *errors, first_ms=now_ms - days * DAY_MS - 60_000)
    if is_indexed:
        index()

    def new(**parameters: str) -> list[str]:
        page = parse_page(browser.get("/errors/", {"q": query, **parameters}))
        rows = page.all(".error-groups tbody tr")
        return [row.css_first(".group-title").text(strip=True) for row in rows if row.css(".pill.is-new")]

    assert new() == ["young"]
    assert new(until="2d") == []
    assert new(until="60h") == ["older"]
    assert new(until="80h") == [], "all errors are of the last day"


def test_a_trend_has_the_time_of_the_chart(browser: Client, write: Write) -> None:
    times = (0, 0, 12 * 60, 24 * 60 - 1)
    for number, minute in enumerate(times):
        fields = {"type": "error.occurred", "error": "late"}
        write(raw_entry(*fields.items(), entry_id=f"{FIRST_MS + minute * 60_000}-{number}"))
    page = parse_page(browser.get("/errors/"))
    bars = page.all(".error-groups .sparkline rect")
    assert len(bars) == 3
    assert page.one(".error-groups .sparkline").attributes["aria-label"].startswith("4 errors from 14 Nov 2023")
    assert int(page.one(".error-groups .sparkline").attributes["width"] or 0) >= TREND_PARTS


def test_a_row_has_its_links_beside_its_summary(browser: Client, write: Write) -> None:
    written(write, *call("s1", "book", FULL))
    page = parse_page(browser.get("/events/"))
    assert not page.has("summary a, summary button")
    assert page.texts("li.row > a.row-who") == ["user of s1"] * 2
    assert page.values("href", "li.row > a.row-session")[0].startswith("/sessions/s1/?at=")
    assert not page.has(".rows.has-only-errors")
    assert parse_page(browser.get("/events/?q=is:error")).has(".rows.has-only-errors")
