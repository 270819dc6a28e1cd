"""The filter bar: what cannot be read is told with its place, what can be read is kept in the address."""

from __future__ import annotations

import pytest
from django.test import Client

from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.events.filters.keys import FilterKey
from tests.builders import entry
from tests.events.filters.test_event_filter import declared
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page


def reason(query: str) -> str:
    """Return why a filter is invalid."""
    with pytest.raises(FilterError) as refused:
        EventFilter.parse(query)
    return str(refused.value)


@pytest.mark.parametrize("path", ["/events/", "/errors/", "/live/", "/sessions/s/", "/users/u/"])
@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ('type:a "never closed', '"never closed'),
        ("bad:key", "bad:key"),
        ("type:", ""),
        ("since:tomorrow", "tomorrow"),
    ],
)
def test_a_filter_that_cannot_be_read_is_told_with_its_place(
    browser: Client, write: Write, path: str, query: str, marked: str
) -> None:
    write(entry("1-1", type="a", session_id="s", user_id="u"))
    page = parse_page(browser.get(path, {"q": query}), 400)
    assert page.texts(".problem p:first-child") == [reason(query)]
    assert page.texts(".problem mark") == [marked]
    assert page.one(".problem pre code").text().strip() == query
    assert page.values("value", "#q") == [query]
    assert page.rows == []


@pytest.mark.parametrize("path", ["/events/", "/errors/", "/live/", "/sessions/s/", "/users/u/"])
def test_a_filter_that_cannot_be_read_changes_only_the_message_of_the_page(
    browser: Client, write: Write, path: str
) -> None:
    write(entry("1-1", type="a", session_id="s", user_id="u"))
    assert parse_page(browser.get(path)).texts("#filter-problem") == [""]
    response = browser.get(path, {"q": "bad:key"}, headers={"HX-Request": "true"})
    page = parse_page(response, 400)
    assert page.texts(".problem p:first-child") == [reason("bad:key")]
    assert page.texts(".problem .secondary") == ["The page below shows the last valid filter."]
    assert (response["HX-Retarget"], response["HX-Push-Url"]) == ("#filter-problem", "false")
    assert not page.has("main, .listing, .rows, .filter-form, .facets")


@pytest.mark.parametrize("path", ["/events/", "/errors/", "/sessions/s/"])
def test_a_misspelt_filter_has_a_link_to_the_probable_one(browser: Client, write: Write, path: str) -> None:
    write(entry("1-1", type="error.occurred", session_id="s", error="e"))
    page = parse_page(browser.get(path, {"q": "tpye:error.occurred", "view": "events"}), 400)
    (address,) = page.values("href", ".problem .suggestion a")
    assert parse_page(browser.get(address)).rows == ["memory:events 1-1"]


def test_every_condition_is_a_chip_that_can_be_taken_away(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", user_id="u"))
    page = parse_page(browser.get("/events/", {"q": "type:a -user:v since:2020-01-01"}))
    chips = page.texts(".chips bdi")
    assert chips == ["type:a", "-user:v", "since:2020-01-01T00:00:00Z"]
    assert page.values("aria-label", ".chips a") == [f"Remove {chip}" for chip in chips]
    assert page.values("href", ".chips bdi + a")[1] == "/events/?q=type%3Aa+since%3A2020-01-01T00%3A00%3A00Z"


def test_query_parameters_field_by_field_mean_the_same(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", user_id="u"), entry("2-1", type="b", user_id="u"), entry("3-1", type="c"))
    page = parse_page(browser.get("/events/?type=a&type=b&user=u"))
    assert len(page.rows) == 2
    assert page.values("value", "#q") == ["type:a type:b user:u"]


def test_an_own_range_shows_in_the_bar(browser: Client, write: Write) -> None:
    write(entry("1764000000000-0", type="a"))
    page = parse_page(browser.get("/events/", {"since": "2025-11-24T00:00", "until": "2025-11-25"}))
    assert len(page.rows) == 1
    assert page.texts(".range-own summary.is-current") == ["2025-11-24 00:00 – 2025-11-25 00:00"]
    assert page.values("value", ".range-own label input") == ["2025-11-24T00:00:00", "2025-11-25T00:00:00"]


def test_every_bar_of_the_histogram_is_a_link_to_its_range(browser: Client, write: Write) -> None:
    write(
        *(entry(f"{1_764_000_000_000 + 60_000 * n}-0", type="a", severity="error" if n == 3 else "") for n in range(9))
    )
    page = parse_page(browser.get("/events/"))
    labels = [label.rpartition(": ")[2] for label in page.values("aria-label", ".histogram a")]
    assert sorted(label for label in labels if label != "0 events, 0 errors") == 8 * ["1 event, 0 errors"] + [
        "1 event, 1 error"
    ]
    ranged = page.values("href", ".histogram a")
    assert sum(len(parse_page(browser.get(link)).rows) for link in ranged) == 9


def test_what_the_histogram_leaves_out_is_told_to_the_minute_and_only_beside_one(browser: Client, write: Write) -> None:
    stamps = (1_764_000_000, 1_764_000_001, 1_764_000_002, 2_000_000_000)
    write(*(entry(f"{n}-1", type="a", session_id="s", timestamp=str(stamp)) for n, stamp in enumerate(stamps, 1)))
    not_drawn = ".sentence .counts ~ span"
    assert parse_page(browser.get("/events/")).texts(not_drawn) == [
        "1 event after 24 Nov 2025 16:00:03 UTC is outside the chart."
    ]
    session = parse_page(browser.get("/sessions/s/"))
    assert len(session.rows) == 4
    assert session.texts(".counts") == ["4 events, 0 errors"]
    assert not session.has(not_drawn)


def test_nothing_found_offers_ways_out(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/events/", {"q": "type:zzz"}))
    assert page.has(".empty.no-match")
    assert page.links["Clear filter"] == "/events/"
    assert page.links["Remove type:zzz"] == "/events/"


def test_a_range_that_ends_before_it_begins_is_told(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/events/", {"q": "since:2h until:3h"}))
    assert page.has(".empty.invalid-range")
    assert page.links["Remove until:3h"] == "/events/?q=since%3A2h"


def test_without_errors_the_page_of_errors_says_so_and_what_one_is(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a"))
    page = parse_page(browser.get("/errors/"))
    assert "error.occurred" in page.texts(".no-errors > p code")
    assert not page.has(".no-match")
    assert parse_page(browser.get("/errors/", {"q": "type:b"})).has(".empty.no-match")


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
        [(level, sentence)] = parse_page(browser.get(path, {"usr": "x"})).notices
        assert (level, " usr=" in sentence) == ("warning", True), path
    for link in parse_page(browser.get("/events/", {"user": "x", "rows": "all", "end": "1"})).links.values():
        if link.startswith(("/events/", "/sessions/", "/users/")):
            assert parse_page(browser.get(link)).notices == [], link


def test_a_key_of_a_field_has_a_facet_and_links(browser: Client, write: Write, index: Index) -> None:
    key = FilterKey("guardrail", field="guardrail", example="pii", phrase="with guardrail", facet="Guardrail")
    write(entry("1-1", type="a", guardrail="PII"), entry("2-1", type="a", guardrail="jailbreak"))
    index()
    write(entry("3-1", type="a", guardrail="pii"))
    with declared(key):
        page = parse_page(browser.get("/events/", {"q": "guardrail:PII"}))
        opened = parse_page(browser.get("/events/memory:events/2-1/"))
    assert len(page.rows) == 2
    assert page.values("value", "#q") == ["guardrail:pii"]
    facet = '[data-key="guardrail"]'
    assert page.texts(f"{facet} h2") == ["Guardrail"]
    # with the alternatives to the chosen value
    assert page.pairs(f"{facet} bdi", f"{facet} .facet-count") == [("pii", "2"), ("jailbreak", "+1")]
    assert any("q=guardrail%3Ajailbreak" in link for link in opened.values("href"))


def test_a_chosen_value_has_its_own_count_among_many(
    browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.eventlog.filter_summary.SAMPLE_MAX", 40)
    write(*(entry(f"{n}-1", type="a", user_id=f"user-{n % 15:02}") for n in range(1, 46)))
    write(entry("90-1", type="a", user_id="rare"))
    page = parse_page(browser.get("/events/", {"q": "user:rare"}))
    counts = page.pairs('[data-key="user"] bdi', '[data-key="user"] .facet-count')
    assert counts[0] == ("rare", "1")
    assert len(counts) == 12
    assert all(count.startswith("+") for _, count in counts[1:])
    assert "Values to add: of the newest 40 events." in page.texts(".sentence .secondary")


def test_a_filter_that_was_probably_meant_otherwise_has_a_hint_beside_its_list(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", session_id="s", content="a or b"))
    page = parse_page(browser.get("/events/", {"q": "a OR b"}))
    assert page.texts(".filter .hint") == ["OR is searched as text. For OR, repeat the key: type:a type:b"]
    assert not parse_page(browser.get("/events/", {"q": "type:a"})).has(".filter .hint")


def test_facets_begin_with_the_tool_and_show_five_values_first(browser: Client, write: Write) -> None:
    write(*(entry(f"{n}-0", type="tool.called", tool=f"tool-{n}", user_id="ada") for n in range(1, 8)))
    page = parse_page(browser.get("/events/"))
    assert page.values("data-facet", ".facets ul[data-facet]")[0] == "tool"
    assert len(page.values("data-key", ".facets ul[data-facet=tool] li")) == 7  # also for readers without styles
    assert page.texts(".facet-more summary") == ["2 more"]
