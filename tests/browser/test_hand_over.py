"""Notes are written while things happen, and a session taken along opens without evdash."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from evdash.streams.publisher import Publisher
from tests.browser.test_refresh import SOON_MS, fail, say

pytestmark = pytest.mark.browser


def test_what_is_typed_into_a_note_stays_while_the_session_grows(page: Page, publisher: Publisher) -> None:
    say(publisher, "noted-1", "hello")
    page.goto("/sessions/noted-1/")
    page.locator(".session-bar").get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Add note").click()
    words = page.locator("#notes textarea")
    words.fill("half a sent")
    page.request.post(
        "/sessions/noted-1/notes",
        form={
            "text": "of a colleague",
            "csrfmiddlewaretoken": page.locator("#notes [name=csrfmiddlewaretoken]").input_value(),
        },
        headers={"Referer": page.url},
    )
    fail(publisher, "noted-1", "it broke")
    expect(page.locator(".facts .is-error dd")).to_have_text("1", timeout=SOON_MS)
    expect(page.locator("#notes .note")).to_contain_text("of a colleague")
    expect(words).to_have_value("half a sent")
    expect(words).to_be_focused()
    words.press_sequentially("ence, j and k")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#notes .note", has_text="half a sentence, j and k")).to_have_count(1)
    expect(words).to_be_hidden()


def test_a_note_is_written_in_an_opened_row_without_leaving_it(page: Page, publisher: Publisher) -> None:
    say(publisher, "noted-2", "the one to note")
    page.goto("/sessions/noted-2/")
    row = page.locator(".row", has_text="the one to note")
    row.locator("summary").first.click()
    row.get_by_text("Add note").click()
    row.locator("textarea").fill("look **here**")
    row.get_by_role("button", name="Save").click()
    expect(row.locator(".note strong")).to_have_text("here")
    page.reload()
    expect(page.locator("#notes .note")).to_contain_text("look here")


def test_the_exported_file_opens_from_disk_without_a_network(
    page: Page, publisher: Publisher, browser: Browser, tmp_path: Path
) -> None:
    say(publisher, "taken-along", "I want to fly <script>document.title='run'</script>")
    fail(publisher, "taken-along", "no seats")
    page.goto("/sessions/taken-along/")
    expect(page.locator("[data-entry]")).to_have_count(2)
    with page.expect_download() as download:
        page.locator(".session-bar").get_by_text("More", exact=True).click()
        page.get_by_role("link", name="HTML").click()
    assert download.value.suggested_filename == "session-taken-along.html"
    file = tmp_path / "session.html"
    download.value.save_as(file)

    context = browser.new_context(offline=True, viewport={"width": 400, "height": 900})
    alone = context.new_page()
    requested_urls: list[str] = []
    complaints: list[str] = []

    def note(request: Request) -> None:
        requested_urls.append(request.url)

    alone.on("request", note)
    alone.on("console", lambda message: complaints.append(message.text))
    alone.goto(file.as_uri())
    expect(alone).to_have_title("Session taken-along")
    expect(alone.locator(".row")).to_have_count(2)
    expect(alone.get_by_text("End of the export: 2 events, 1 error.")).to_be_visible()
    marks = alone.locator(".timeline .mark")
    expect(marks).to_have_count(2)
    field = alone.locator(".row").first.locator(".fields", has_text="I want to fly <script>")
    expect(field).to_be_hidden()
    marks.first.click(force=True)
    expect(field).to_be_visible()
    assert alone.evaluate("document.documentElement.scrollWidth") <= 400
    alone.emulate_media(media="print")
    expect(alone.locator(".row").last.locator(".fields")).to_be_visible()
    assert {url.partition("#")[0] for url in requested_urls} == {file.as_uri()}
    assert complaints == []
    context.close()
