"""The breakdown of a list: its table, the links of its rows, and keys that have none."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.builders import entry
from tests.web.conftest import Write
from tests.web.parsed_page import parse_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(browser: Client, write: Write) -> Client:
    """Calls of two tools, of which one fails, and a message without a tool."""
    outcomes = ("tool.returned", "error.occurred")
    steps = [("book", outcomes[number % 2]) for number in range(8)] + [("find", outcomes[0])] * 12
    entries = [entry("1-0", type="message.added", session_id="s", user_id="u", content="hello")]
    for number, (tool, outcome) in enumerate(steps):
        own = {"session_id": "s", "user_id": "u", "tool": tool, "call_id": f"c{number}"}
        entries += [
            entry(f"{10 + number}-0", type="tool.called", **own),
            entry(f"{10 + number}-1", type=outcome, **own),
        ]
    write(*entries)
    return browser


@pytest.mark.parametrize("path", ["/events/", "/errors/", "/sessions/s/", "/users/u/"])
def test_a_list_has_links_to_breakdowns_that_keep_its_filter(filled: Client, path: str) -> None:
    page = parse_page(filled.get(path, {"q": "-type:x"}))
    [address] = [href for href in page.values("href", ".breakdown-keys a") if "by=tool" in href]
    broken_down = parse_page(filled.get(address))
    assert "q=-type%3Ax" in address
    assert broken_down.texts(".breakdown-keys [aria-current]") == ["Tool"]
    assert not page.has(".breakdown .panel")


def test_a_row_has_its_numbers_and_leads_to_the_events_that_it_counts(filled: Client) -> None:
    page = parse_page(filled.get("/events/?by=tool"))
    rows = {row["Tool"]: row for row in page.table(".breakdown table")}
    assert list(rows) == ["find", "book", "absent"]
    assert {name: value for name, value in rows["book"].items() if name not in ("Median", "p95")} == {
        "Tool": "book", "Events": "16", "Share": "39 %", "Calls": "8", "Errors": "4", "Error rate Rate": "50 %",
        "Rest": "0 %", "Lift": "only here",
    }  # fmt: skip
    for selector, number in (('[data-key="book"] th a', 16), ('[data-key="absent"] th a', 1), ("a.errors", 4)):
        [address] = page.values("href", f".breakdown tbody {selector}")
        assert len(parse_page(filled.get(address)).rows) == number
    narrowed = parse_page(filled.get("/events/?by=tool&q=tool:book"))
    assert narrowed.texts(".breakdown .is-set th") == ["book"]
    assert [row["Tool"] for row in narrowed.table(".breakdown table")] == ["find", "book", "absent"]


def test_the_errors_page_has_rates(filled: Client) -> None:
    rows = parse_page(filled.get("/errors/?by=tool")).table(".breakdown table")
    assert [(row["Tool"], row["Errors"], row["Error rate Rate"]) for row in rows] == [
        ("book", "4", "50 %"),
        ("find", "0", "0 %"),
        ("absent", "0", "0 %"),
    ]


def test_a_short_name_is_that_of_a_field_and_a_key_of_numbers_has_no_breakdown(filled: Client) -> None:
    page = parse_page(filled.get("/events/?by=content"))
    assert page.texts(".breakdown tbody th") == ["hello", "absent, JSON or too long"]
    assert page.one('[name="by"][list]').attributes["value"] == "content"
    refused = parse_page(filled.get("/events/?by=latency"), 400)
    assert refused.texts(".breakdown .problem")[0].startswith("latency is numeric")
    assert len(refused.rows) == 41
    assert not any("by=latency" in address for address in refused.values("href"))


@pytest.mark.parametrize(
    ("written", "shown"), [("field.tool", "field.tool"), ("Field.note", "note"), ("order.id", "order.id"), ("tool", "")]
)
def test_the_form_has_the_field_of_the_breakdown(filled: Client, written: str, shown: str) -> None:
    page = parse_page(filled.get("/events/", {"by": written}))
    assert page.one('[name="by"][list]').attributes["value"] == shown
    again = parse_page(filled.get("/events/", {"by": shown or written}))
    assert again.texts(".breakdown h2") == page.texts(".breakdown h2")


@pytest.mark.parametrize("path", ["/users/u/?by=user", "/sessions/s/?by=session", "/users/u/?by=user&q=user:v"])
def test_a_breakdown_stays_within_its_page(filled: Client, write: Write, path: str) -> None:
    write(entry("90-0", type="a", session_id="t", user_id="v"))
    assert [row["Events"] for row in parse_page(filled.get(path)).table(".breakdown table")] == ["41"]


@pytest.mark.parametrize(
    "query",
    ["", "tool:book", "is:error", "is:error tool:find", "code:timeout", "tool:f*", "-tool:x field.TOOL:Book"],
)
@pytest.mark.parametrize("by", ["tool", "field.tool", "code", "type"])
def test_each_number_with_a_link_leads_to_as_many_events(filled: Client, write: Write, query: str, by: str) -> None:
    write(entry("90-0", type="a", session_id="s", user_id="u", tool="book", error_code="timeout"))
    page = parse_page(filled.get("/events/", {"q": query, "by": by}))
    rows = page.all(".breakdown tbody tr")
    assert rows
    for row in rows:
        for link in row.css("td a"):
            address, number = link.attributes["href"], int(link.text())
            assert len(parse_page(filled.get(address)).rows) == number, (query, by, address)
        if "is-set" in (row.attributes.get("class") or ""):
            [name] = row.css("th a")
            assert row.attributes["data-key"] not in parse_page(filled.get(name.attributes["href"])).texts(".is-set th")


def test_a_value_with_markup_is_text(browser: Client, write: Write) -> None:
    write(entry("1-0", type="<b>x</b>", session_id="s"))
    assert parse_page(browser.get("/events/?by=type")).texts(".breakdown tbody th bdi") == ["<b>x</b>"]
