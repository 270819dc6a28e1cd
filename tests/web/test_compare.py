"""Two sessions side by side, as a person sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from evdash.eventlog import session_queries, stream_tail
from evdash.eventlog.gaps import record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.streams import shared_tail
from tests.builders import STREAM, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_bad_input import BAD

pytestmark = pytest.mark.django_db

START_MS = 1_764_000_000_000
SCRIPT = "<script>alert(1)</script>"


def run(session: str, *steps: dict[str, Any], minute: int = 0, user: str = "ada") -> Iterator[Entry]:
    """A session of these steps, one a second."""
    for number, step in enumerate(steps):
        at_ms = START_MS + minute * 60_000 + number * 1_000
        own = {"id": f"{session}-{number}", "type": "message.added", "session_id": session, "user_id": user}
        fields = own | {"timestamp": str(at_ms)} | {name: str(value) for name, value in step.items()}
        yield raw_entry(*fields.items(), entry_id=f"{at_ms}-0")


def said(content: str, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content} | more


def called(tool: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "tool.called", "tool": tool, "arguments": arguments, "call_id": "c"}


STARTED = {"type": "session.started", "agent": "support", "model": "m-1"}
RESOLVED = {"type": "session.ended", "outcome": "resolved"}


def compared(browser: Client, a: str = "s-1", b: str = "s-2", **more: str) -> Page:
    return parse_page(browser.get("/compare/", {"a": a, "b": b} | more))


def rows(page: Page) -> list[str]:
    """How the rows are told apart, in order."""
    return [name.removeprefix("compared-row compared-") for name in page.values("class", "li.compared-row")]


def counts(page: Page) -> list[str]:
    """The signs of the results, each with the number of its rows."""
    return [" ".join(text.split()[:2]) for text in page.texts(".compared-marks li")]


def totals(page: Page) -> dict[str, list[str]]:
    """The totals by name: of A, of B, and their difference."""
    return {name: cells for name, *cells in (row.values() for row in page.table("table.contrasts"))}


@pytest.fixture(params=["stream only", "log"])
def two_runs(request: pytest.FixtureRequest, write: Write, index: Index, browser: Client) -> Client:
    """A browser on two runs that begin the same."""
    write(*run("s-1", STARTED, said("hello"), called("find", '{"day": 3}'), said("found it", "assistant"), RESOLVED))
    error = {"type": "error.occurred", "tool": "find", "error": "no seats", "latency_ms": "50"}
    write(
        *run("s-2", STARTED, said("hello"), called("find", '{"day": 4}'), error, said("sorry", "assistant"), minute=5)
    )
    if request.param == "log":
        index()
    return browser


def test_rows_stand_side_by_side_by_what_happened(two_runs: Client) -> None:
    page = compared(two_runs)
    assert rows(page) == ["same", "same", "differs", "only-b", "differs", "only-a"]
    assert counts(page) == ["= 2", "≠ 2", "A 1", "B 1"]
    assert page.texts(".side-a .compared-time") == ["+0 ms", "+1 s", "+2 s", "+3 s", "+4 s"]
    assert page.texts(".side-b .compared-time") == ["+0 ms", "+1 s", "+2 s", "+3 s", "+4 s"]


def test_totals_stand_on_top_with_their_differences(two_runs: Client) -> None:
    assert totals(compared(two_runs)) == {
        "Outcome": ["resolved", "running", "≠"],
        "Events": ["5", "5", "="],
        "Errors": ["0", "1", "+1"],
        "Messages": ["2", "2", "="],
        "Tool calls": ["1", "1", "="],
        "Searches": ["0", "0", "="],
        "Tokens": ["0", "0", "="],
        "Latency": ["–", "50 ms", "unknown"],
        "Length": ["4 s", "4 s", "="],
    }


def test_what_differs_inside_is_marked_on_both_sides(two_runs: Client) -> None:
    page = compared(two_runs)
    assert page.texts("del") == ["3", "found it"]
    assert page.texts("ins") == ["4", "sorry"]
    assert page.texts(".compared-name") == ["arguments"] * 2


def test_the_first_difference_is_marked_and_linked(two_runs: Client) -> None:
    page = compared(two_runs)
    assert page.links["First difference"] == "#first-difference"
    assert page.values("id", "li.compared-row") == ["first-difference"]
    assert page.values("class", "#first-difference") == ["compared-row compared-differs"]
    assert page.texts(".first-row") == ["3"]


def test_each_side_leads_to_its_event_in_its_session(two_runs: Client) -> None:
    links = compared(two_runs).values("href")
    assert f"/sessions/s-1/?at={START_MS + 2_000}-0" in links
    assert f"/sessions/s-2/?at={START_MS + 302_000}-0" in links


def test_the_sides_can_be_swapped(two_runs: Client) -> None:
    swapped = parse_page(two_runs.get(compared(two_runs).links["Swap A and B"]))
    assert rows(swapped) == ["same", "same", "differs", "only-a", "differs", "only-b"]
    assert swapped.texts("del") == ["4", "sorry"]


def test_a_session_page_leads_to_the_comparison(two_runs: Client) -> None:
    page = parse_page(two_runs.get("/sessions/s-1/"))
    assert "s-1" in page.values("value", "input")
    assert "s-2" in page.values("value", "option")
    assert "/compare/" in page.values("action", "form")


def test_a_session_that_is_not_there_is_said(two_runs: Client) -> None:
    page = parse_page(two_runs.get("/compare/", {"a": "s-1", "b": "nowhere"}), 404)
    assert page.texts(".said-subject") == ["nowhere"]
    assert "Search the stream" not in page.links  # all was searched


def test_while_a_session_is_not_named_the_page_asks_for_it(two_runs: Client) -> None:
    page = parse_page(two_runs.get("/compare/"))
    assert {"s-1", "s-2"} <= set(page.values("value", "option"))
    assert "s-1" in parse_page(two_runs.get("/compare/?a=s-1")).values("value", "input")


@pytest.mark.parametrize("query", ["from=x", "from=-1", "from=%D9%A3", "from=99999999999", "same=maybe"])
def test_a_place_that_cannot_be_read_is_said(two_runs: Client, query: str) -> None:
    page = parse_page(two_runs.get(f"/compare/?a=s-1&b=s-2&{query}"), 400)
    [reason] = page.texts(".said-reason")
    assert reason.startswith(f"{query.partition('=')[0]}= must be")


def test_two_runs_that_say_the_same_are_said_to(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello")), *run("s-2", said("hello"), minute=1))
    page = compared(browser)
    assert counts(page) == ["= 1", "≠ 0", "A 0", "B 0"]
    assert not page.has("#first-difference, .first-row, [href*=first-difference]")


def test_a_session_beside_itself_is_said_to_be(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello")))
    assert compared(browser, "s-1", "s-1").notices == [("info", "A and B are the same session.")]


def test_long_runs_of_the_same_are_folded_and_open_in_the_page(write: Write, browser: Client) -> None:
    steps = [said(f"step {number}") for number in range(20)]
    write(*run("s-1", *steps), *run("s-2", *steps[:12], said("another"), *steps[13:], minute=5))
    page = compared(browser)
    assert page.texts(".compared-fold summary") == ["= 11 equal rows", "= 6 equal rows"]
    assert [len(fold.css(".compared-row")) for fold in page.all(".compared-fold details")] == [11, 6]
    assert len(rows(page)) == 20
    unfolded = parse_page(browser.get(page.links["Show equal rows"]))
    assert len(rows(unfolded)) == 20
    assert not unfolded.has(".compared-fold")


def test_a_page_has_a_bounded_number_of_rows_and_every_row_is_on_one_page(
    write: Write, index: Index, browser: Client
) -> None:
    same = [said(f"step {number}") for number in range(300)]
    write(*run("s-1", *same, *(said(f"a {n}") for n in range(250))))
    write(*run("s-2", *same, *(said(f"b {n}") for n in range(250)), minute=60))
    index()
    first = compared(browser)
    assert first.texts(".compared-fold") == ["= Show 299 equal rows"]
    assert len(rows(first)) == 199
    second = parse_page(browser.get(first.links["Later ›"]))
    assert len(rows(second)) == 52
    assert second.links["First difference"] == "/compare/?a=s-1&b=s-2&from=300#first-difference"
    assert rows(parse_page(browser.get(second.links["‹ Earlier"]))) == rows(first)
    assert rows(compared(browser, **{"from": "549"})) == rows(second)
    assert rows(compared(browser, **{"from": "5000"})) == rows(second)
    shown = parse_page(browser.get(first.links["= Show 299 equal rows"]))
    assert rows(shown) == ["same"] * 200
    assert shown.links["First difference"] == "/compare/?a=s-1&b=s-2&from=300&same=shown#first-difference"
    assert shown.texts(".pager span") == ["Rows 1–200 of 550"] * 2


def test_of_longer_sessions_the_beginning_is_compared_and_said_to_be(
    write: Write, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_queries, "EVENTS_COMPARED", 3)
    monkeypatch.setattr("evdash.web.pages.compare.presenter.EVENTS_COMPARED", 3)
    write(*run("s-1", *(said(f"{n}") for n in range(5))), *run("s-2", said("0"), said("1"), minute=1))
    page = compared(browser)
    assert rows(page) == ["same", "same", "only-a"]
    assert page.notices == [("warning", "A: only the first 3 events are compared and counted.")]


def test_a_remembered_comparison_is_replaced_when_an_event_arrives(
    write: Write, index: Index, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_queries, "_KEPT_FROM_EVENTS", 1)
    write(*run("remembered-1", said("hello")), *run("remembered-2", said("hello"), minute=1))
    index()
    assert rows(compared(browser, "remembered-1", "remembered-2")) == ["same"]
    reads = []
    monkeypatch.setattr(session_queries, "align", lambda *_: reads.append("aligned"))
    assert rows(compared(browser, "remembered-1", "remembered-2")) == ["same"]
    assert reads == []
    monkeypatch.undo()
    write(*run("remembered-2", said("more"), minute=2))
    assert rows(compared(browser, "remembered-1", "remembered-2")) == ["same", "only-b"]


def test_what_an_event_holds_is_shown_as_text_on_both_sides(write: Write, browser: Client) -> None:
    odd = "a/b?c#d%2F&\\"
    write(*run(SCRIPT, said(f"{SCRIPT} one"), {"type": SCRIPT, SCRIPT: SCRIPT}, user=SCRIPT))
    write(*run(odd, said(f"{SCRIPT} two\u202e\x00"), {"type": SCRIPT, SCRIPT: "other"}, minute=1))
    page = compared(browser, SCRIPT, odd)
    assert rows(page) == ["differs", "differs"]
    assert page.texts(".compared-field.side-b .compared-text")[0] == f"{SCRIPT} two ‹202E›‹00›"
    assert f"/sessions/a%2Fb%3Fc%23d%252F%26%5C/?at={START_MS + 60_000}-0" in page.values("href")
    assert rows(parse_page(browser.get(page.links["Swap A and B"]))) == ["differs", "differs"]


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_compared_like_any(name: str, write: Write, browser: Client) -> None:
    event = decode(BAD[name])
    write(*sorted([BAD[name], *run("good", {"type": event.type}, minute=1)], key=lambda entry: entry.entry_id))
    if event.session_id:
        assert rows(compared(browser, event.session_id, "good")) in (["same"], ["differs"], ["only-a", "only-b"])
        assert rows(compared(browser, "good", event.session_id)) in (["same"], ["differs"], ["only-a", "only-b"])


def test_an_id_with_a_line_break_is_found_as_a_form_sends_it(write: Write, browser: Client) -> None:
    write(*run("line\none", said("hello")), *run("s-2", said("hello"), minute=1))
    assert rows(compared(browser, "line\r\none", "s-2")) == ["same"]


def test_long_texts_are_shown_around_the_first_difference(write: Write, browser: Client) -> None:
    common = "all of this is said in both " * 4_000
    write(*run("s-1", said(f"{common}here one {common}")), *run("s-2", said(f"{common}here two {common}"), minute=1))
    page = compared(browser)
    assert page.texts("del") == ["one"]
    assert page.texts("ins") == ["two"]
    for text in page.all(".compared-text"):
        before, after = (each.text() for each in text.css("span"))
        shown = len(text.text()) - len(before) - len(after)
        assert shown + sum(int(re.sub(r"\D", "", words)) for words in (before, after)) == 2 * len(common) + 9
    assert len(page.html) < 40_000


def test_a_field_that_one_side_has_not_is_said_to_be_missing(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello", mood="good")), *run("s-2", said("hello"), minute=1))
    page = compared(browser)
    assert page.texts(".compared-name") == ["mood", "mood"]
    assert page.texts(".side-a .compared-text") == ["good"]
    assert page.texts("del") == ["good"]
    assert page.texts(".side-b .compared-text") == ["absent"]


def test_duplicates_are_marked(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello", id="e"), said("hello", id="e")), *run("s-2", said("hello"), minute=1))
    page = compared(browser)
    assert rows(page).count("only-a") == 1
    assert len(page.all(".compared-side.side-a .row-duplicate")) == len(page.all(".row-duplicate")) == 1


def test_missing_entries_are_told(write: Write, index: Index, browser: Client) -> None:
    write(*run("s-1", said("hello"), said("bye")), *run("s-2", said("hello"), minute=1))
    index()
    gap = EntryId(START_MS + 500, 0)
    record_gap(lock_positions("evdash-audit", [STREAM])[STREAM], Gap.Kind.REMOVED, gap, gap, 1, reason="")
    page = compared(browser)
    assert page.notices == [
        (
            "warning",
            "A: 1 gap in the streams may include its events. Rows in only A or B may have a counterpart there.",
        ),
        ("warning", "B: earlier events may be missing. memory:events has a gap before its first event."),
    ]


def test_while_the_log_is_far_behind_the_page_says_what_was_not_read(
    write: Write, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_tail, "STREAM_READ_MAX", 10)
    monkeypatch.setattr(stream_tail, "_FIRST_STEP", 5)
    monkeypatch.setattr(shared_tail, "TAIL_ENTRIES", 10)
    monkeypatch.setattr(shared_tail, "_FIRST_STEP", 5)
    write(*run("early", *(said(f"{n}") for n in range(12))))
    write(*run("s-1", *(said(f"{n}") for n in range(5)), minute=1), *run("s-2", said("0"), minute=2))
    page = compared(browser)
    assert rows(page)[0] == "same"
    assert page.notices == [
        *(("warning", f"{side}: earlier events were not read. The event log is too far behind.") for side in "AB"),
        (
            "warning",
            "The event log is more than 10 entries behind the stream. This page shows the event log and the newest "
            "entries. Older ones follow when the worker (manage.py work) has caught up.",
        ),
    ]
    missing = parse_page(browser.get("/compare/?a=none&b=s-1"), 404)
    assert missing.texts(".said-subject") == ["none"]
    assert missing.links["Search the stream"] == "/events/?q=session%3Anone"
