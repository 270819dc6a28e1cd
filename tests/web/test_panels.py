"""The latencies on the overview and the groups on the errors page: of what no worker has carried over, too."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.builders import entry, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page, text_of

pytestmark = pytest.mark.django_db
ALL_GROUPS = ".error-groups a[href$='groups=all']"


def groups_of(page: Page) -> list[dict[str, str]]:
    """The rows of the table of error groups, each with the message, the type and the tool apart."""
    rows = page.table(".error-groups table")
    parts = {"Error": "a.group-title", "Type": ".group-type", "Tool": ".group-tool"}
    rows = [{name.rstrip(" ↑↓"): cell for name, cell in cells.items()} for cells in rows]
    return [
        {**cells, **{name: " ".join(text_of(each) for each in row.css(css)) for name, css in parts.items()}}
        for cells, row in zip(rows, page.all(".error-groups tbody tr"), strict=True)
    ]


def test_the_overview_says_how_long_operations_take(browser: Client, write: Write) -> None:
    for i in range(1, 11):
        fields = {"type": "tool.returned", "tool": "search", "latency_ms": str(100 * i)}
        write(raw_entry(*fields.items(), entry_id=f"170000000000{i}-0"))
    page = parse_page(browser.get("/?range=all"))
    [row] = page.table("table.latencies")
    assert (row["Operation"], row["Events"]) == ("search", "10")
    number, unit = row["p50"].split()
    assert (float(number), unit) == (pytest.approx(500, rel=0.05), "ms")
    assert row["p95"] == row["p99"] == "1 s"
    assert f"p50 {row['p50']}, p95 1 s, p99 1 s (10 events, ±5 %)" in page.texts("h2 span")
    assert page.links["search"] == "/events/?q=tool%3Asearch"


def test_errors_are_gathered_and_lead_to_their_group(browser: Client, write: Write) -> None:
    for i in range(12):
        fields = {"type": "error.occurred", "error": f"{'no' * (i // 2)} seat on flight HAT{i}", "error_code": "full"}
        write(raw_entry(*fields.items(), ("session_id", f"s{i}"), entry_id=f"17000000000{i:02}-0"))
    page = parse_page(browser.get("/errors/"))
    rows = [(row["Error"], row["Errors"], row["Sessions"]) for row in groups_of(page)]
    words = [f"full {'no' * n} seat on flight name" for n in reversed(range(6))]
    assert rows == [(" ".join(error.split()), "2", "2") for error in words]
    addresses = page.values("href", ".error-groups tbody th a")
    assert len(set(addresses)) == 6
    group = parse_page(browser.get(addresses[0]))
    assert sorted(group.rows) == ["memory:events 1700000000010-0", "memory:events 1700000000011-0"]
    assert group.texts("#filter-says") == ["errors of this group : 2"]
    assert group.texts(".group-message .placeholder") == ["name"]
    assert not page.has(ALL_GROUPS)


def test_groups_of_one_message_are_told_apart_by_their_type(browser: Client, write: Write) -> None:
    for number, event_type in enumerate(("error.occurred", "job.failed")):
        write(raw_entry(("type", event_type), ("error", "late"), entry_id=f"1700000000000-{number}"))
    table = groups_of(parse_page(browser.get("/errors/")))
    assert [(row["Error"], row["Type"]) for row in table] == [("late", "job.failed"), ("late", "error.occurred")]


@pytest.mark.parametrize("query", ["", "type:error.occurred"])
def test_groups_are_sorted_by_the_column_that_is_chosen(browser: Client, write: Write, query: str) -> None:
    # code: number of errors, of sessions, and the second of the first error and of the last
    groups = {"a": (1, 1, 9, 9), "b": (5, 1, 1, 6), "c": (3, 3, 2, 5), "d": (2, 2, 0, 8)}
    entries = {}
    for code, (errors, sessions, first, last) in groups.items():
        for number in range(errors):
            second = last if number == errors - 1 else first
            own = {"type": "error.occurred", "error_code": code, "session_id": f"{code}{number % sessions}"}
            entries[f"170000000{second}000-{ord(code)}{number}"] = own
    ordered = sorted(entries, key=lambda entry_id: tuple(map(int, entry_id.split("-"))))
    write(*(raw_entry(*entries[entry_id].items(), entry_id=entry_id) for entry_id in ordered))
    expected = {
        "": "bcda", "last": "adbc", "-last": "cbda", "first": "acbd", "errors": "bcda", "-errors": "adcb",
        "sessions": "cdab", "users": "adbc", "message": "abcd", "-message": "dcba", "type": "adbc", "tool": "adbc",
        "rate": "adbc", "-rate": "adbc",
    }  # fmt: skip
    for order, codes in expected.items():
        page = parse_page(browser.get("/errors/", {"sort": order, "q": query}))
        assert "".join(row["Error"][0] for row in groups_of(page)) == codes, order
        [state] = page.values("aria-sort", ".error-groups th")
        assert (state == "ascending") == (order in ("-last", "-errors", "message", "type", "tool", "-rate"))
    page = parse_page(browser.get("/errors/"))
    links = dict(zip(page.texts(".error-groups thead a"), page.values("href", ".error-groups thead a"), strict=True))
    for heading, codes in (("Errors ↓", "adcb"), ("Last seen", "adbc")):
        found = parse_page(browser.get(links[heading]))
        assert "".join(row["Error"][0] for row in groups_of(found)) == codes
    assert "Valid: message, type, tool, errors, rate" in browser.get("/errors/?sort=size").content.decode()


def test_more_groups_than_a_few_are_shown_when_asked_for(browser: Client, write: Write) -> None:
    for i in range(10):
        write(raw_entry(("type", "error.occurred"), ("error", "x" * (i + 1)), entry_id=f"170000000000{i}-0"))
    page = parse_page(browser.get("/errors/"))
    assert len(page.table(".error-groups table")) == 8
    assert page.texts(ALL_GROUPS) == ["Show all 10 groups"]
    assert len(parse_page(browser.get("/errors/?groups=all")).table(".error-groups table")) == 10


def test_the_number_of_groups_is_not_that_of_the_shown_ones(browser: Client, write: Write) -> None:
    for i in range(60):
        write(raw_entry(("type", "error.occurred"), ("error", "x" * (i + 1)), entry_id=f"17000000000{i:02}-0"))
    page = parse_page(browser.get("/errors/"))
    assert page.texts(".error-groups h2") == ["Error groups (60)"]
    assert page.texts(ALL_GROUPS) == ["Show 50 of 60 groups"]
    page = parse_page(browser.get("/errors/?groups=all"))
    assert len(page.table(".error-groups table")) == 50
    assert page.texts(".error-groups p.secondary")[0].startswith("First 50 of 60 groups")


@pytest.mark.parametrize("path", ["/", "/events/"])
def test_the_errors_of_a_chart_have_a_strip_with_their_number(browser: Client, write: Write, path: str) -> None:
    assert not parse_page(browser.get(path)).has(".histogram")
    for i in range(40):
        write(raw_entry(("type", "message.added"), entry_id=f"1700000000000-{i}"))
    calm = parse_page(browser.get(path))
    assert calm.texts(".histogram text.most") == ["40 events in 1 s"]
    assert not calm.has(".histogram .bar-errors")
    for i in range(3):
        write(raw_entry(("type", "error.occurred"), ("error", "no"), entry_id=f"1700000000001-{i}"))
    page = parse_page(browser.get(path))
    assert page.texts(".histogram text.most") == ["43 events in 1 s", "3 errors in 1 s"]
    [strip] = page.all(".histogram .bar-errors")
    bars = page.one(".histogram .bar-events")
    bottom = float(bars.attributes["y"] or 0) + float(bars.attributes["height"] or 0)
    assert float(strip.attributes["y"] or 0) > bottom
    assert strip.parent == bars.parent, "one link for both"


def test_the_chart_of_errors_alone_is_one_of_errors(browser: Client, write: Write) -> None:
    for i in range(3):
        write(raw_entry(("type", "error.occurred"), ("error", "no"), entry_id=f"1700000000001-{i}"))
    page = parse_page(browser.get("/errors/"))
    assert page.texts(".histogram text.most") == ["3 errors in 1 s"]
    assert len(page.all(".histogram .bar-errors")) == 1
    assert not page.has(".histogram .bar-events")


@pytest.mark.parametrize("is_indexed", [False, True])
def test_the_title_of_a_traceback_is_its_exception(
    browser: Client, write: Write, index: Index, is_indexed: bool
) -> None:
    frames = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    x = 1 / 0\n        ~~^~~\n'
    chained = (
        f"{frames}KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n{frames}"
    )
    errors = {
        "s1": f"{frames}ZeroDivisionError: no flight 17\n  of two lines\n",
        "s2": f"{chained}LookupError: no seat\n",
        "s3": f"{frames.strip()}",  # cut by its producer
        "s4": "late\nTraceback follows",
    }
    for number, (session, error) in enumerate(reversed(errors.items())):
        write(entry(f"{1000 + number}-1", type="error.occurred", session_id=session, error=error))
    if is_indexed:
        index()
    found = [row["Error"] for row in groups_of(parse_page(browser.get("/errors/")))]
    assert found == [
        "ZeroDivisionError: no flight number",
        "LookupError: no seat",
        "Traceback (most recent call last): File text , line number , in f x = number / number ~~^~~",
        "late Traceback follows",
    ]
