"""The filter bar: what cannot be read is told with its place, what can be read is kept in the address."""

from __future__ import annotations

import pytest
from django.test import Client

from evdash.events.filters.keys import FilterKey
from tests.builders import entry
from tests.events.filters.test_event_filter import declared
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page


@pytest.mark.parametrize("path", ["/events/", "/errors/", "/live/", "/sessions/s/", "/users/u/"])
@pytest.mark.parametrize(
    ("query", "sentence", "marked"),
    [
        ('type:a "never closed', "Closing quotation mark missing", "<mark>&#34;never closed</mark>"),
        ("bad:key", "Unknown key 'bad'", "<mark>bad:key</mark>"),
        ("type:", "needs a value", "type:<mark> </mark>"),
        ("since:tomorrow", "is not a time", "since:<mark>tomorrow</mark>"),
    ],
)
def test_a_filter_that_cannot_be_read_is_told_with_its_place(
    browser: Client, write: Write, path: str, query: str, sentence: str, marked: str
) -> None:
    write(entry("1-1", type="a", session_id="s", user_id="u"))
    page = parse_page(browser.get(path, {"q": query}), 400)
    assert sentence in page.text
    assert marked in page.html
    assert query in page.values("value")
    assert page.rows == []


def test_a_filter_that_cannot_be_read_reaches_htmx_as_the_same_page(browser: Client, write: Write) -> None:
    page = parse_page(browser.get("/events/", {"q": "bad:key"}, headers={"HX-Request": "true"}), 400)
    assert "Unknown key 'bad'" in page.text
    assert "<html" not in page.html


def test_every_condition_is_a_chip_that_can_be_taken_away(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", user_id="u"))
    page = parse_page(browser.get("/events/", {"q": "type:a -user:v since:2020-01-01"}))
    removals = [link for link in page.values("href") if link.startswith("/events/?q=")]
    assert "/events/?q=type%3Aa+since%3A2020-01-01T00%3A00%3A00Z" in removals
    assert "Remove -user:v" in page.values("aria-label")


def test_query_parameters_field_by_field_mean_the_same(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", user_id="u"), entry("2-1", type="b", user_id="u"), entry("3-1", type="c"))
    page = parse_page(browser.get("/events/?type=a&type=b&user=u"))
    assert len(page.rows) == 2
    assert "type:a type:b user:u" in page.values("value")


def test_an_own_range_shows_in_the_bar(browser: Client, write: Write) -> None:
    write(entry("1764000000000-0", type="a"))
    page = parse_page(browser.get("/events/", {"since": "2025-11-24T00:00", "until": "2025-11-25"}))
    assert len(page.rows) == 1
    assert "2025-11-24 00:00 – 2025-11-25 00:00" in page.text
    assert "2025-11-24T00:00:00" in page.values("value")


def test_every_bar_of_the_histogram_is_a_link_to_its_range(browser: Client, write: Write) -> None:
    write(
        *(entry(f"{1_764_000_000_000 + 60_000 * n}-0", type="a", severity="error" if n == 3 else "") for n in range(9))
    )
    page = parse_page(browser.get("/events/"))
    bars = [label for label in page.values("aria-label") if " events, " in label or " event, " in label]
    assert any("1 event, 1 error" in label for label in bars)
    ranged = [link for link in page.values("href") if "since%3A" in link and "until%3A" in link]
    assert sum(len(parse_page(browser.get(link)).rows) for link in ranged) == 9


def test_what_the_histogram_leaves_out_is_told_to_the_minute_and_only_beside_one(browser: Client, write: Write) -> None:
    stamps = (1_764_000_000, 1_764_000_001, 1_764_000_002, 2_000_000_000)
    write(*(entry(f"{n}-1", type="a", session_id="s", timestamp=str(stamp)) for n, stamp in enumerate(stamps, 1)))
    assert "1 event after 24 Nov 2025 16:00:03 UTC is outside the chart." in parse_page(browser.get("/events/")).text
    session = parse_page(browser.get("/sessions/s/"))
    assert len(session.rows) == 4
    assert "outside the chart" not in session.text


def test_nothing_found_offers_ways_out(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/events/", {"q": "type:zzz"}))
    assert "No matching events" in page.text
    assert page.links["Clear filter"] == "/events/"
    assert page.links["Remove type:zzz"] == "/events/"


def test_a_range_that_ends_before_it_begins_is_told(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/events/", {"q": "since:2h until:3h"}))
    assert "Invalid time range" in page.text
    assert page.links["Remove until:3h"] == "/events/?q=since%3A2h"


def test_without_errors_the_page_of_errors_says_so_and_what_one_is(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/errors/"))
    assert "No errors" in page.text
    assert "Remove a condition" not in page.text
    assert "type error.occurred" in page.text
    assert "Remove a condition" in parse_page(browser.get("/errors/", {"q": "type:b"})).text


@pytest.mark.parametrize("path", ["/events.ndjson", "/events.csv"])
def test_an_export_under_a_misspelt_condition_is_refused(browser: Client, write: Write, path: str) -> None:
    write(entry("1-1", type="a", user_id="x"), entry("2-1", type="a", user_id="y"))
    answer = browser.get(path, {"usr": "x"})
    assert answer.status_code == 400
    assert "Unknown export parameter 'usr'. Valid: q, type, severity, user, session, stream," in answer.content.decode()
    assert browser.get(path, {"user": "x", "errors": "0", "since": "2h"}).status_code == 200


def test_a_misspelt_condition_is_told_on_the_page(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", session_id="s", user_id="x"))
    for path in ("/", "/events/", "/sessions/", "/sessions/s/", "/users/x/", "/live/", "/errors/"):
        page = parse_page(browser.get(path, {"usr": "x"}))
        assert "Unknown parameter usr=, ignored." in page.text
    for link in parse_page(browser.get("/events/", {"user": "x", "rows": "all", "end": "1"})).links.values():
        if link.startswith(("/events/", "/sessions/", "/users/")):
            assert "not understood" not in parse_page(browser.get(link)).text, link


def test_a_key_of_a_field_has_a_facet_and_links(browser: Client, write: Write, index: Index) -> None:
    key = FilterKey("guardrail", field="guardrail", example="pii", phrase="with guardrail", facet="Guardrail")
    write(entry("1-1", type="a", guardrail="PII"), entry("2-1", type="a", guardrail="jailbreak"))
    index()
    write(entry("3-1", type="a", guardrail="pii"))
    with declared(key):
        page = parse_page(browser.get("/events/", {"q": "guardrail:PII"}))
        opened = parse_page(browser.get("/events/memory:events/2-1/"))
    assert len(page.rows) == 2
    assert "guardrail:pii" in page.values("value")
    assert "guardrail" in page.values("data-facet", "ul")
    assert {"pii", "jailbreak"} <= set(page.values("data-value"))  # with the alternatives to the chosen value
    assert "Guardrail" in page.text
    assert any("q=guardrail%3Ajailbreak" in link for link in opened.values("href"))
