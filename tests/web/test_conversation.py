"""The conversation of a session: texts, folded texts, and a call with its result as one card."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from evdash.events.entry import Entry
from evdash.web.event_display.row import render_row
from evdash.web.links import element_id
from tests.builders import STREAM, entry
from tests.builders import event as decoded
from tests.web.conftest import Write
from tests.web.parsed_page import Page

START_MS = 1_700_000_000_000


def event(second: float, **fields: str) -> Entry:
    return entry(f"{START_MS + round(second * 1000)}-0", session_id="s", user_id="u", **fields)


def called(second: float, call_id: str = "c1", **fields: str) -> Entry:
    return event(second, type="tool.called", tool="book", call_id=call_id, arguments='{"seat": "12A"}', **fields)


def returned(second: float, call_id: str = "c1", **fields: str) -> Entry:
    return event(second, type="tool.returned", tool="book", call_id=call_id, **{"result": '{"ok": true}', **fields})


def conversation(browser: Client, query: str = "") -> Page:
    return Page(browser.get(f"/sessions/s/?view=conversation{query}"))


def card(second: float) -> str:
    """Return the selector of the row of the event at this second."""
    return f'[id="{element_id(STREAM, entry(f"{START_MS + round(second * 1000)}-0").entry_id)}"]'


ENDED = {"type": "session.ended", "outcome": "done"}


def test_a_call_and_its_result_are_one_card(browser: Client, write: Write) -> None:
    write(called(0), returned(2), event(3, **ENDED))
    page = conversation(browser)
    assert len(page.all("ol.rows > .row")) == 2
    assert page.has(f"{card(0)}[data-call] > {card(2)}.row[data-entry][data-address]")
    assert page.texts(f"{card(0)} > details .turn-brief") == ["12A"]
    assert page.texts(f"{card(0)} .call-status") == ["succeeded"]
    assert page.texts(f"{card(0)} .row-tail") == ["2 s"]
    assert json.loads(page.one(f"{card(2)} .turn-body pre").text()) == {"ok": True}
    assert [row.split()[1] for row in page.rows] == [f"{START_MS}-0", f"{START_MS + 2000}-0", f"{START_MS + 3000}-0"]
    assert conversation(browser, f"&at={START_MS + 2000}-0").has(f"{card(0)} > {card(2)}")
    assert len(Page(browser.get("/sessions/s/")).all("ol.rows > .row")) == 3  # a row for each event


def test_calls_side_by_side_have_their_own_results(browser: Client, write: Write) -> None:
    write(called(0, "a"), called(1, "b"), returned(2, "b", error="no seats"), returned(3, "a"), event(4, **ENDED))
    page = conversation(browser)
    assert page.has(f"{card(0)} > {card(3)}")
    assert page.has(f"{card(1)}.is-failed > {card(2)}.is-error")
    assert page.texts(".call-status") == ["succeeded", "failed"]
    assert "no seats" in page.texts(f"{card(2)} .turn-body")[0]
    marks = page.values("data-mark", ".mark")
    assert all(page.has(f'[id="{place}"]') for mark in marks for place in mark.split())


def test_a_call_without_an_end_is_open(browser: Client, write: Write) -> None:
    write(called(0), event(3, **ENDED))
    page = conversation(browser)
    assert page.texts(f"{card(0)} .call-status") == ["open"]
    assert page.texts(f"{card(0)} .row-waits") == ["no return before session end (+3 s)"]


def test_a_return_without_its_call_is_a_row(browser: Client, write: Write) -> None:
    write(event(0, type="session.started"), returned(1))
    page = conversation(browser)
    assert page.has(f"ol.rows > {card(1)}")
    assert not page.has(".turn-return")


def test_a_filter_without_calls_has_the_returns(browser: Client, write: Write) -> None:
    write(called(0), returned(2), event(3, **ENDED))
    assert conversation(browser, "&q=type:tool.returned").has(f"ol.rows > {card(2)}")


def test_the_results_of_calls_in_a_message_are_in_its_card(browser: Client, write: Write) -> None:
    parts = [
        {"type": "text", "text": "I will **look**."},
        {"type": "tool_use", "id": "c1", "name": "book", "input": {"seat": "1"}},
        {"type": "tool_use", "id": "c2", "name": "book", "input": {"seat": "2"}},
    ]
    write(
        event(0, type="message.added", role="assistant", content=json.dumps(parts)),
        returned(1, "c1"),
        returned(2, "c2", error="taken"),
    )
    page = conversation(browser)
    assert page.texts(f"{card(0)} > .turn-body .turn-call") == ['book "1"', 'book "2"']
    assert page.texts(f"{card(0)} > .turn-body strong") == ["look"]
    assert page.has(f"{card(0)} > {card(1)} + {card(2)}")
    assert page.texts(".call-status") == ["succeeded", "failed"]


def test_a_pushed_return_is_a_row_of_its_own() -> None:
    html = render_row(decoded(type="tool.returned", tool="book", call_id="c", result="x"), "conversation")
    assert html.lstrip().startswith("<li")
    assert "turn-return" not in html


def test_a_system_prompt_is_one_line_with_its_length(browser: Client, write: Write) -> None:
    prompt = "# Rules\n\n- Be **kind**.\n" * 90
    write(event(0, type="message.added", role="system", content=prompt))
    page = conversation(browser)
    assert page.texts(".turn-brief")[0].startswith("# Rules - Be **kind**.")
    assert page.texts(".show-all a") == [f"Show all ({len(prompt):,} characters)"]
    assert len(page.html) < 60_000
    link = page.one(".show-all a")
    assert link.attributes["href"] == link.attributes["hx-get"].removesuffix("?part=text")  # type: ignore[union-attr]
    whole = Page(browser.get(link.attributes["hx-get"]))
    assert len(whole.all(".prose li")) == 90
    assert not whole.has(".show-all")


def test_a_long_text_is_folded_and_whole_on_demand(browser: Client, write: Write) -> None:
    text = "A sentence of **some** words.\n" * 300
    write(event(0, type="message.added", role="user", content=text))
    page = conversation(browser)
    assert page.texts(".show-all a") == ["Show all (9,000 characters)"]
    assert len(page.all(".prose strong")) == 12
    source = page.one(".source pre").text().removeprefix("\n")
    assert (source, text.startswith(source)) == (text[: len(source)], True)
    address = page.values("data-copy-from", ".turn-body button")
    assert [browser.get(each).content.decode() for each in address] == [text]
    assert len(Page(browser.get(page.values("hx-get", ".show-all ")[0])).all("strong")) == 300


def test_whole_texts_are_rendered_for_paper(browser: Client, write: Write) -> None:
    write(
        event(0, type="message.added", role="system", content="- a\n" * 50),
        event(1, type="message.added", role="user", content="- b\n" * 60),
    )
    page = conversation(browser, "&rows=all")
    assert len(page.all(".prose li")) == 110
    assert not page.has(".show-all")
    assert "content" not in page.texts(".row-printed dt")


def test_the_opened_event_renders_its_text(browser: Client, write: Write) -> None:
    write(
        event(0, type="message.added", role="user", content="**a**\n\x1b[31mb", note="**not Markdown**"),
        event(1, type="message.added", role="user", content="- **b**"),
    )
    address = f"/events/{STREAM}/{START_MS}-0/"
    assert Page(browser.get(address)).texts(".fields .ansi-red") == ["b"]
    page = Page(browser.get(f"/events/{STREAM}/{START_MS + 1000}-0/?part=opened"))
    assert page.texts(".fields .prose strong") == ["b"]
    assert page.texts(".fields .source pre") == ["- **b**"]


@pytest.mark.parametrize("path", ["/sessions/s/export.html"])
def test_the_html_file_renders_texts_in_the_same_way(browser: Client, write: Write, path: str) -> None:
    write(
        event(0, type="message.added", role="user", content="- **b**"),
        event(1, type="message.added", role="user", content="\x1b[31mred\x1b[0m"),
    )
    html = b"".join(browser.get(path)).decode()  # type: ignore[arg-type]
    for expected in (
        "<strong>b</strong>",
        '<span class="ansi-red">red</span>',
        "<summary>Source</summary>",
        ".ansi-red",
    ):
        assert expected in html
    assert "\x1b" not in html


def test_halves_of_a_call_on_different_pages_lead_to_each_other(browser: Client, write: Write) -> None:
    questions = [event(n, type="message.added", role="user", content=f"question {n}") for n in range(98)]
    write(*questions, called(98), called(98.5, "c2"), returned(101), returned(102, "c2", error="no seats"))
    first = conversation(browser)
    assert len(first.rows) == 100
    assert first.texts(f"{card(98)} .call-status") == ["succeeded"]
    assert first.texts(f"{card(98)} .other-half > :first-child") == ["Result at 2023-11-14 22:15:01"]
    assert first.texts(f"{card(98.5)} .other-half > :first-child") == ["Error at 2023-11-14 22:15:02"]
    text = first.values("hx-get", f"{card(98)} .other-half ")[0]
    assert json.loads(Page(browser.get(text)).one("pre").text()) == {"ok": True}
    later = Page(browser.get(first.links["Later ›"]))
    assert later.rows == [f"{STREAM} {START_MS + second * 1000}-0" for second in (101, 102)]
    assert later.texts(f"{card(101)} .other-half") == ["Call at 2023-11-14 22:14:58"]
    link = first.values("href", f"{card(98)} .other-half > :first-child")[0]
    around = Page(browser.get(f"/sessions/s/{link}"))
    assert around.has(f"{card(98)} > {card(101)}")
    assert not around.has(f"{card(98)} .other-half")
