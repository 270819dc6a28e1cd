"""Lists of sessions and users: filter bar, facets, order, columns, pages, selection and export."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client

from evdash.audit_log.models import AuditLogEntry
from tests.builders import entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db

BASE_MS = 1_764_000_000_000


def written(sessions: int = 6) -> list:
    """Sessions s0, s1, …: `n` calls of a tool each; the odd ones have an error, and the last one has no end."""
    entries, at_ms = [], BASE_MS
    for number in range(sessions):
        own = {"session_id": f"s{number}", "user_id": f"u{number % 2}"}
        steps: list[dict[str, str]] = [{"type": "session.started", "agent": "planner", "model": f"m{number % 3}"}]
        steps += [{"type": "tool.called", "tool": "book" if number % 2 else "search"}] * number
        steps += [{"type": "error.occurred", "error": "no seat", "code": "E1"}] * (number % 2)
        steps += [{"type": "session.ended", "outcome": ["good", "bad"][number % 2]}] if number < sessions - 1 else []
        for step in steps:
            at_ms += 1_000
            entries.append(entry(f"{at_ms}-0", **step, **own, timestamp=str(at_ms)))
    return entries


@pytest.fixture(params=["log", "stream"])
def filled(request: pytest.FixtureRequest, browser: Client, write: Write, index: Index) -> Client:
    write(*written())
    if request.param == "log":
        index()
    return browser


def get(client: Client, path: str, **parameters: str | list[str]) -> Page:
    return parse_page(client.get(f"{path}?{urlencode(parameters, doseq=True)}"))


def names(page: Page, kind: str = "Session") -> list[str]:
    rows = page.table(".results table") if page.all(".results table") else []
    return [row[kind].split()[0] for row in rows]


def test_a_filter_of_sessions_has_a_number_chips_and_facets(filled: Client) -> None:
    page = get(filled, "/sessions/", q="errors:>0 tool:book")
    assert names(page) == ["s5", "s3", "s1"]
    assert page.texts(".counts") == ["3 sessions"]
    assert page.texts(".chips bdi") == ["errors:>0", "tool:book"]
    assert page.pairs('[data-facet="outcome"] bdi', '[data-facet="outcome"] .facet-count') == [
        ("bad", "2"), ("not ended", "1"),
    ]  # fmt: skip
    assert page.pairs('[data-facet="code"] bdi', '[data-facet="code"] .facet-count') == [("E1", "3")]


def test_each_facet_leads_to_as_many_sessions_and_back(filled: Client) -> None:
    for path, kind in (("/sessions/", "Session"), ("/users/", "User")):
        page = get(filled, path)
        everything = names(page, kind)
        links = page.all(".facets a[data-value]")
        assert len(links) > 5
        for link in links:
            number = int(link.css_first(".facet-count").text())
            chosen = parse_page(filled.get(str(link.attributes["href"])))
            assert len(names(chosen, kind)) == number, link.attributes["href"]
            [back] = chosen.values("href", ".facets [aria-current]")
            assert names(parse_page(filled.get(back)), kind) == everything


def test_facets_of_two_tools_need_both(browser: Client, write: Write) -> None:
    write(*written(), entry(f"{BASE_MS + 999_000}-0", type="tool.called", tool="search", session_id="s1"))
    page = get(browser, "/sessions/", **{"with": ["tool:book", "tool:search"]})
    assert names(page) == ["s1"]
    assert page.texts(".chips bdi") == ["also tool:book", "also tool:search"]


def test_a_heading_sorts_and_a_second_click_reverses(filled: Client) -> None:
    page = get(filled, "/sessions/")
    [calls] = [href for href in page.values("href", ".results thead a") if "calls" in href]
    page = parse_page(filled.get(calls))
    assert names(page) == ["s5", "s4", "s3", "s2", "s1", "s0"]
    assert page.texts(".results thead [aria-sort=descending]")[0].startswith("Tool calls")
    [again] = [href for href in page.values("href", ".results thead a") if "sort=calls" in href]
    page = parse_page(filled.get(again))
    assert names(page) == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert page.texts(".results thead [aria-sort=ascending]")[0].startswith("Tool calls")
    assert names(get(filled, "/users/", sort="-errors"), "User") == ["u1", "u0"]


def test_chosen_columns_are_shown_and_others_are_not(filled: Client) -> None:
    page = get(filled, "/sessions/", columns=["searches", "model"], q="ended:no")
    assert [heading for heading in page.table(".results table")[0] if heading] == ["Session", "Searches", "Model"]
    assert page.table(".results table")[0]["Model"] == "m2"
    boxes = [box.attributes["value"] for box in page.all(".column-choice input[checked]")]
    assert boxes == ["searches", "model"]
    hidden = {
        (str(each.attributes["name"]), str(each.attributes["value"]))
        for each in page.all(".column-choice [type=hidden]")
    }
    assert hidden == {("q", "ended:no")}


def test_a_print_states_what_it_has(browser: Client, write: Write) -> None:
    write(*[entry(f"{n + 1}-0", type="a", session_id=f"s{n:03}", user_id="u") for n in range(60)])
    [sentence] = get(browser, "/sessions/").texts("main > .printed")
    assert sentence.startswith("50 of 60 sessions. The export has all of them. Printed 20")
    assert "UTC by the reader" in sentence
    [sentence] = get(browser, "/users/").texts("main > .printed")
    assert sentence.startswith("All 1 user. Printed 20")
    [sentence] = get(browser, "/").texts("main > .printed")
    assert sentence.startswith("Printed 20")


def test_the_columns_of_activity_are_read_for_the_rows_of_a_page(browser: Client, write: Write) -> None:
    write(
        *[entry(f"{n}-0", type="tool.called", session_id="s", tool=tool) for n, tool in enumerate("abbccdd", 1)],
        entry("9-0", type="message.added", session_id="t"),
    )
    page = get(browser, "/sessions/", columns=["activity", "tools"])
    assert [row["Tools"] for row in page.table(".results table")] == ["", "b, c, d +1"]
    assert page.values("aria-label", ".results .sparkline") == [
        "1 event from the first to the last",
        "7 events from the first to the last",
    ]
    assert "Activity" in page.texts(".results thead th:not(.sortable)")


def test_a_column_without_a_value_is_left_out(browser: Client, write: Write) -> None:
    write(entry("1-0", type="message.added", session_id="s"))
    assert not {"Agent", "Model", "User", "Tokens"} & set(get(browser, "/sessions/").table(".results table")[0])
    assert "Agent" in get(browser, "/sessions/", columns="agent").table(".results table")[0]


def test_pages_of_both_orders_have_every_session_once(browser: Client, write: Write, index: Index) -> None:
    write(*[entry(f"{n + 1}-0", type="message.added", session_id=f"s{n:03}", user_id=f"u{n:03}") for n in range(120)])
    index()
    for path, kind in (("/sessions/", "Session"), ("/users/", "User")):
        for start in (path, f"{path}?sort=-events"):
            page, found, back = parse_page(browser.get(start)), [], []
            while True:
                found += names(page, kind)
                back.append(page.values("href", ".pager [rel=prev]"))
                following = page.values("href", ".pager [rel=next]")
                if not following:
                    break
                page = parse_page(browser.get(following[0]))
            assert (len(found), len(set(found))) == (120, 120)
            assert back[0] == []
            assert names(parse_page(browser.get(back[1][0])), kind) == found[:50]
    end = get(browser, "/sessions/", sort="-events", skip="200")
    assert end.texts(".empty h2") == ["End of the list"]


def test_a_problem_is_shown_and_nothing_is_listed(filled: Client) -> None:
    response = filled.get("/sessions/", {"q": "colour:red"})
    assert response.status_code == 400
    page = Page(response)
    assert names(page) == []
    assert "outcome" in page.text
    for wrong in ("sort=colour", "with=colour:red", "skip=x", "before=1-0&after=2-0"):
        assert filled.get(f"/sessions/?{wrong}").status_code == 400
    assert get(filled, "/sessions/", colour="red").notices[0][0] == "warning"


def test_one_event_must_meet_all_conditions_on_events(filled: Client) -> None:
    assert names(get(filled, "/sessions/", q="type:tool.called code:E1")) == []
    assert names(get(filled, "/sessions/", q="type:tool.called", **{"with": "code:E1"})) == ["s5", "s3", "s1"]
    page = get(filled, "/sessions/", **{"except": "code:E1"})
    assert names(page) == ["s4", "s2", "s0"]
    assert page.texts(".chips bdi") == ["except code:E1"]


def test_two_selected_sessions_are_compared_and_more_against_the_rest(filled: Client) -> None:
    page = get(filled, "/sessions/")
    [form] = page.all("#picked")
    assert [box.attributes["value"] for box in page.all("[form=picked][name=session]")] == names(page)
    action = form.attributes["action"]
    response = filled.get(f"{action}?session=s1&session=s2")
    assert dict(parse_qsl(urlsplit(response.url).query)) == {"a": "s1", "b": "s2"}
    sets = parse_page(filled.get(f"{action}?session=s1&session=s2&session=s3"))
    assert sets.texts(".set a") == ["3 sessions", "3 sessions"]


def test_numbers_of_a_comparison_lead_to_their_sessions(filled: Client) -> None:
    [address] = get(filled, "/sessions/", q="errors:>0").values("href", '.table-actions a[href*="sets"]')
    page = parse_page(filled.get(address))
    assert page.texts(".set a") == ["3 sessions", "3 sessions"]
    for link in page.all(".set a, .set-panels td a"):
        number = int(link.text().split()[0] if "session" in link.text() else link.css_first("small").text()
                     if link.css_first("small") else link.text())  # fmt: skip
        assert len(names(parse_page(filled.get(str(link.attributes["href"]))))) == number, link.attributes["href"]
    tools = {row["Tool"]: row for row in page.table('[data-key="tool"] table')}
    assert (tools["book"]["A"], tools["book"]["B"]) == ("100 % 3", "0 %")
    measures = {row[""]: row for row in page.table(".set-panels .measures table")}
    assert (measures["Calls and searches"]["A"], measures["Calls and searches"]["B"]) == ("3", "2")
    assert next(iter(page.table('[data-key="tool"] table')))["A / B"] == "only A"


def test_a_comparison_before_the_first_error_leaves_the_rest_out(filled: Client) -> None:
    page = get(filled, "/compare/sets/", q="errors:>0", before_error="1")
    assert "E1" not in page.text
    assert "book" in page.text
    assert "3 sessions of A and 0 of B have an error" in page.text.replace("\n", " ")


def test_a_set_against_another_filter_and_its_problems(filled: Client) -> None:
    page = get(filled, "/compare/sets/", q="outcome:good", against="outcome:bad")
    assert page.texts(".set a") == ["3 sessions", "2 sessions"]
    [swapped] = page.values("href", ".sets-form a")
    assert parse_page(filled.get(swapped)).texts(".set a") == ["2 sessions", "3 sessions"]
    assert get(filled, "/compare/sets/", q="outcome:none").texts(".empty h2") == ["Set A is empty"]
    assert get(filled, "/compare/sets/").texts(".empty h2") == ["Two sets of sessions"]
    for wrong in ({"q": "colour:red"}, {"q": "a", "against": "colour:red"}, {"except": "is:error"}):
        assert filled.get("/compare/sets/", wrong).status_code == 400


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_an_export_has_the_sessions_of_the_list_and_is_recorded(filled: Client, form: str) -> None:
    page = get(filled, "/sessions/", q="errors:>0", sort="-calls")
    [address] = [href for href in page.values("href", ".downloads a") if f".{form}" in href]
    text = b"".join(filled.get(address).streaming_content).decode()
    rows = (
        [json.loads(line) for line in text.splitlines()]
        if form == "ndjson"
        else list(csv.DictReader(io.StringIO(text)))
    )
    assert [row["session_id"] for row in rows] == ["s1", "s3", "s5"]
    assert [str(row["calls"]) for row in rows] == ["1", "3", "5"]
    assert [row["outcome"] for row in rows] == ["bad", "bad", ""]
    recorded = AuditLogEntry.objects.get(begun__isnull=False)
    assert recorded.detail["asked"]["filter"] == "errors:>0"
    assert recorded.outcome.startswith("Exported 3 sessions (")
    users = b"".join(filled.get(f"/users.{form}?q=errors:%3E0").streaming_content).decode()
    assert ("u1" in users, "u0" in users) == (True, False)
    assert filled.get(f"/sessions.{form}?colour=red").status_code == 400


def test_an_export_that_a_limit_cuts_ends_with_the_reason(
    browser: Client, write: Write, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*[entry(f"{n}-0", type="tool.called", tool="t", session_id=f"s{n}") for n in range(1, 9)])
    index()
    monkeypatch.setattr("evdash.eventlog.selections.MATCHES_MAX", 3)
    lines = b"".join(browser.get("/sessions.ndjson?q=tool:t").streaming_content).splitlines()
    assert json.loads(lines[-1])["incomplete"] is True
    assert get(browser, "/sessions/", q="tool:t").notices[0][1].startswith("List incomplete")
