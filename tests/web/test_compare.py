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
    names = {"compared-line": "wording"}
    return [
        names.get(name, name.removeprefix("compared-row compared-").removesuffix(" is-first"))
        for name in page.values("class", "li[id^=row-]")
    ]


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
    assert rows(page) == ["same", "same", "differs", "wording", "only-a"]
    assert counts(page) == ["= 2", "≈ 1", "≠ 1", "A 1", "B 0"]
    assert page.texts("ol.compared .side-a .compared-time") == ["+0 ms", "+1 s", "+2 s", "+3 s", "+4 s"]
    assert page.texts("ol.compared .side-b .compared-time") == ["+0 ms", "+1 s", "+2 s", "+4 s"]


def test_a_call_stands_with_its_error_and_its_duration(two_runs: Client) -> None:
    page = compared(two_runs)
    assert page.texts("#row-3 .side-b .compared-end.is-error bdi") == ["no seats"]
    assert page.texts("#row-3 .side-b .row-tail") == ["50 ms"]
    assert f"/sessions/s-2/?at={START_MS + 303_000}-0" in page.values("href", "#row-3 .compared-end")


def test_the_tools_of_both_are_on_top_in_order(write: Write, browser: Client) -> None:
    error = {"type": "error.occurred", "tool": "find", "error": "no seats", "call_id": "c"}
    back = {"type": "tool.returned", "tool": "find", "result": "ok", "call_id": "c"}
    look = called("look") | {"call_id": "l"}
    write(*run("s-1", look, called("find"), back, called("pay")))
    write(*run("s-2", look, called("find"), error, called("find"), back, minute=1))
    page = compared(browser)
    chips = [
        (*(pair.css_first(f".side-{side} bdi").text() if pair.css_first(f".side-{side} bdi") else "" for side in "ab"),)
        for pair in page.all(".tool-sequence li")
    ]
    assert chips == [("look", "look"), ("find", "find"), ("pay", ""), ("", "find")]
    assert page.texts(".tool-chip.is-error bdi") == ["find"]
    assert page.values("class", ".tool-sequence li")[1] == "compared-differs is-first"
    assert page.values("href", ".tool-sequence a") == ["#row-1", "#row-2", "#row-3", "#row-4"]


def test_a_call_at_another_position_leads_to_its_counterpart(write: Write, browser: Client) -> None:
    pay, find = called("pay") | {"call_id": "p"}, called("find") | {"call_id": "f"}
    write(*run("s-1", pay, find, said("thanks")), *run("s-2", find, said("thanks"), pay, minute=1))
    page = compared(browser)
    assert rows(page) == ["only-a", "same", "same", "only-b"]
    assert page.texts("#row-1 .side-b.is-empty") == ["Moved: later, row 4"]
    assert page.texts("#row-4 .side-a.is-empty") == ["Moved: earlier, row 1"]
    assert page.values("href", "ol.compared .compared-moved") == ["#row-4", "#row-1"]
    assert page.values("title", ".compared-only-a > a") == ["moved, only in A here"]
    assert page.texts(".first-difference-head > bdi") == ["pay: call at another position"]


def test_a_long_sequence_of_tools_is_shown_around_the_first_difference(write: Write, browser: Client) -> None:
    calls = [called("look", f'{{"page": {n}}}') for n in range(300)]
    write(*run("s-1", *calls), *run("s-2", *calls[:200], called("look", '{"page": -1}'), *calls[201:], minute=60))
    page = compared(browser)
    addresses = page.values("href", ".tool-sequence a")
    assert len(addresses) == 80
    assert addresses[10] == "#row-201"
    assert addresses[0] == "/compare/?a=s-1&b=s-2&from=190&same=shown#row-191"
    assert page.texts(".tools-omitted") == ["190 earlier calls not shown.", "30 later calls not shown."]


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
        "Duration": ["4 s", "4 s", "="],
    }


def test_only_errors_above_zero_are_red(two_runs: Client) -> None:
    assert compared(two_runs).texts(".contrasts .is-error") == ["1"]


def test_what_differs_inside_is_marked_on_both_sides(two_runs: Client) -> None:
    page = compared(two_runs)
    assert page.texts("ol.compared del") == ["3", "found it"]
    assert page.texts("ol.compared ins") == ["4", "no seats", "sorry"]
    assert page.texts("#row-3 .compared-name") == ["arguments.day"] * 2 + ["error"] * 2


def test_the_first_difference_that_matters_is_on_top_and_linked(two_runs: Client) -> None:
    page = compared(two_runs)
    assert page.texts(".first-difference-head bdi") == ["find: arguments, error"]
    assert page.links["Row 3"] == "#row-3"
    assert page.values("id", "li.compared-row.is-first") == ["row-3"]
    assert page.texts(".first-difference del") == ["3"]
    assert page.texts(".first-difference ins") == ["4", "no seats"]


def test_differences_of_wording_alone_do_not_matter(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello"), said("yes", "assistant")))
    write(*run("s-2", said("hello"), said("no", "assistant"), minute=1))
    page = compared(browser)
    assert page.texts(".no-difference") == ["No difference in calls, results, errors or outcome."]
    assert page.texts(".compared-fold > details > summary") == ["= 1 equal row, 1 with other wording"]
    assert page.texts(".compared-line summary > span")[1:3] == ["assistant", "wording differs"]


def test_sessions_of_the_same_user_with_another_outcome_are_suggested_first(write: Write, browser: Client) -> None:
    write(*run("other", STARTED, RESOLVED, user="bob"), *run("trial-1", STARTED, RESOLVED, minute=1))
    write(*run("trial-2", STARTED, RESOLVED, minute=2), *run("trial-3", STARTED, minute=3))
    page = parse_page(browser.get("/compare/", {"a": "trial-3"}))
    assert page.texts(".compare-suggestions dt") == ["Same user, other outcome", "Same agent and model, other outcome"]
    assert page.links["trial-2"] == "/compare/?a=trial-3&b=trial-2"
    assert list(page.texts(".compare-suggestions a")) == ["trial-2", "trial-1", "other"]
    both = parse_page(browser.get("/compare/", {"a": "trial-1", "b": "trial-3"}))
    assert both.texts(".compare-suggestions dt") == ["Same user, same outcome"]


def test_each_side_leads_to_its_event_in_its_session(two_runs: Client) -> None:
    links = compared(two_runs).values("href")
    assert f"/sessions/s-1/?at={START_MS + 2_000}-0" in links
    assert f"/sessions/s-2/?at={START_MS + 302_000}-0" in links


def test_the_sides_can_be_swapped(two_runs: Client) -> None:
    swapped = parse_page(two_runs.get(compared(two_runs).links["Swap A and B"]))
    assert rows(swapped) == ["same", "same", "differs", "wording", "only-b"]
    assert swapped.texts("ol.compared del") == ["4", "no seats", "sorry"]


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
    assert counts(page) == ["= 1", "≈ 0", "≠ 0", "A 0", "B 0"]
    assert page.texts(".no-difference") == ["No differences"]
    assert not page.has(".first-difference, .is-first")


def test_a_session_beside_itself_is_said_to_be(write: Write, browser: Client) -> None:
    write(*run("s-1", said("hello")))
    assert compared(browser, "s-1", "s-1").notices == [("info", "A and B are the same session.")]


def test_long_runs_of_the_same_are_folded_and_open_in_the_page(write: Write, browser: Client) -> None:
    steps = [said(f"step {number}") for number in range(20)]
    steps = [*steps[:2], said("one way"), *steps[2:12], called("find"), *steps[12:]]
    others = [*steps[:2], said("another"), *steps[3:13], called("find", "[]"), *steps[14:]]
    write(*run("s-1", *steps), *run("s-2", *others, minute=5))
    page = compared(browser)
    folds = page.all(".compared-fold > details")
    assert [fold.css_first("summary").text(strip=True) for fold in folds] == [
        "=12 equal rows, 1 with other wording",
        "=8 equal rows",
    ]
    assert [len(fold.css("li")) for fold in folds] == [13, 8]
    assert len(rows(page)) == 22
    unfolded = parse_page(browser.get(page.links["Show all rows"]))
    assert len(rows(unfolded)) == 22
    assert not unfolded.has(".compared-fold")


def test_a_page_has_a_bounded_number_of_rows_and_every_row_is_on_one_page(
    write: Write, index: Index, browser: Client
) -> None:
    same = [said(f"step {number}") for number in range(300)]
    write(*run("s-1", *same, *(called("look", f"[{n}]") for n in range(250))))
    write(*run("s-2", *same, *(called("look", f"[{n}, 1]") for n in range(250)), minute=60))
    index()
    first = compared(browser)
    assert first.texts("ol.compared .compared-fold") == ["= Show 300 equal rows"]
    assert len(rows(first)) == 199
    second = parse_page(browser.get(first.links["Later ›"]))
    assert len(rows(second)) == 51
    assert second.links["Row 301"] == "/compare/?a=s-1&b=s-2&from=300#row-301"
    assert second.texts(".first-difference-head bdi") == ["look: arguments"]
    assert rows(parse_page(browser.get(second.links["‹ Earlier"]))) == rows(first)
    assert rows(compared(browser, **{"from": "549"})) == rows(second)
    assert rows(compared(browser, **{"from": "5000"})) == rows(second)
    shown = parse_page(browser.get(first.links["= Show 300 equal rows"]))
    assert rows(shown) == ["same"] * 200
    assert shown.links["Row 301"] == "/compare/?a=s-1&b=s-2&from=300&same=shown#row-301"
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
    assert rows(page) == ["wording", "differs"]
    assert page.texts(".compared-field.side-b .compared-text")[0] == f"{SCRIPT} two ‹202E›‹00›"
    assert f"/sessions/a%2Fb%3Fc%23d%252F%26%5C/?at={START_MS + 60_000}-0" in page.values("href")
    assert rows(parse_page(browser.get(page.links["Swap A and B"]))) == ["wording", "differs"]


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_compared_like_any(name: str, write: Write, browser: Client) -> None:
    event = decode(BAD[name])
    write(*sorted([BAD[name], *run("good", {"type": event.type}, minute=1)], key=lambda entry: entry.entry_id))
    results = ["same"], ["wording"], ["differs"], ["only-a", "only-b"]
    if event.session_id:
        assert rows(compared(browser, event.session_id, "good")) in results
        assert rows(compared(browser, "good", event.session_id)) in results


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
    assert rows(page) == ["same"]
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
