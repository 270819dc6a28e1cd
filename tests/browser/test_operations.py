"""A stuck group is repaired by clicking, and the audit log tells it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from evdash.streams.client import open_client
from evdash.streams.consumer_group import pending_entries
from evdash.streams.dead_letters import park, parked_count
from evdash.streams.publisher import Publisher
from evdash.streams.reads import read_entry
from evdash.streams.stream_info import group_infos
from tests.browser.conftest import Running

pytestmark = pytest.mark.browser

STREAM = "memory:events"
SOON_MS = 20_000


@pytest.fixture
def client(running: Running) -> Iterator[redis.Redis]:
    with open_client(running.redis_url) as client:
        yield client


@pytest.fixture
def billing(client: redis.Redis, publisher: Publisher) -> Iterator[str]:
    """A group of somebody else's whose consumer died with five entries."""
    client.execute_command("XGROUP", "CREATE", STREAM, "billing", "$", "MKSTREAM")
    for number in range(5):
        publisher.publish("message.added", "billed", "payer", role="user", content=f"bill {number}")
    for consumer in ("billing-dead", "billing-alive"):
        client.execute_command("XREADGROUP", "GROUP", "billing", consumer, "COUNT", 5, "STREAMS", STREAM, ">")
    yield "billing"
    client.execute_command("XGROUP", "DESTROY", STREAM, "billing")


def owners(client: redis.Redis) -> list[str]:
    return [each.consumer for each in pending_entries(client, STREAM, "billing", count=100)]


def give_reason(page: Page, reason: str, button: str) -> None:
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("heading", name="done", exact=True)).to_be_visible()


def test_a_stuck_group_is_repaired_by_clicking(page: Page, billing: str, client: redis.Redis) -> None:
    page.goto("/")
    page.get_by_role("link", name="Streams", exact=True).click()
    page.get_by_role("link", name="billing", exact=True).click()
    dead = page.get_by_role("row").filter(has_text="billing-dead").first
    dead.get_by_role("link", name="5", exact=True).click()

    expect(page.get_by_role("button", name="Claim…")).to_be_hidden()
    page.get_by_label("Select all 5").check()
    expect(page.get_by_role("button", name="Claim…")).to_be_visible()
    page.get_by_label("Select all 5").uncheck()
    page.get_by_role("link", name="Claim…").click()
    expect(page.get_by_text("for billing-alive and raises")).to_be_visible()
    expect(page.get_by_role("row", name="billing-dead 5 → 0")).to_be_visible()
    expect(page.get_by_text("Claims 5 pending entries (billing-dead: 5)")).to_be_visible()
    expect(page.get_by_text("user: bill 0")).to_be_visible()
    give_reason(page, "the host of billing-dead is gone", "Claim 5 entries")
    expect(page.get_by_text("5 entries of billing on memory:events were claimed for billing-alive.")).to_be_visible()
    assert owners(client) == ["billing-alive"] * 5

    page.get_by_role("link", name="Open group billing").click()
    for number in (0, 1):
        page.get_by_role("row").filter(has_text=f"bill {number}").get_by_role("checkbox").check()
    page.get_by_role("button", name="Park…").click()
    give_reason(page, "these two stop it", "Park 2 entries")

    page.get_by_role("link", name="Open group billing").click()
    page.get_by_role("row").filter(has_text="bill 2").get_by_role("checkbox").check()
    page.get_by_role("button", name="Acknowledge…").click()
    expect(page.get_by_role("heading", name="This cannot be undone")).to_be_visible()
    give_reason(page, "billed by hand", "Acknowledge 1 entry")
    assert len(owners(client)) == 2

    page.get_by_role("link", name="Streams", exact=True).first.click()
    page.locator(f'[data-key="{STREAM}"] .actions-menu summary').click()
    page.get_by_role("link", name="Trim…").click()
    page.get_by_label("Maximum length").fill("0")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Group billing has 2 pending entries")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_count(0)

    page.get_by_role("link", name="Audit log").click()
    rows = page.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("Acknowledge pending entries of billing")
    expect(rows.nth(0)).to_contain_text("billed by hand")
    expect(rows.nth(2)).to_contain_text("pending for billing-dead 5 → 0")
    rows.nth(1).get_by_role("link").first.click()
    expect(page.get_by_text("these two stop it")).to_be_visible()


def test_a_parked_entry_is_redelivered_by_clicking(page: Page, publisher: Publisher, client: redis.Redis) -> None:
    entry_id = publisher.publish("message.added", "parked", "payer", role="user", content="to be parked")
    found = read_entry(client, STREAM, entry_id)
    assert found is not None
    parked_id = park(client, found, group="evdash-audit", consumer="a", deliveries=5, reason="ValueError: 12,50")
    page.goto(f"/streams/{STREAM}/parked/")
    row = page.get_by_role("row").filter(has_text="to be parked")
    expect(row).to_contain_text("ValueError: 12,50")
    row.get_by_role("checkbox").check()
    number = parked_count(client, STREAM)
    page.get_by_role("button", name="Redeliver selected…").click()
    give_reason(page, "mended", "Redeliver 1 entry")
    assert parked_count(client, STREAM) == number - 1
    assert read_entry(client, f"{STREAM}:parked", parked_id) is None


def test_the_list_of_pending_entries_follows_and_what_is_chosen_stays_so(
    page: Page, billing: str, client: redis.Redis
) -> None:
    page.goto(f"/streams/{STREAM}/groups/billing/")
    rows = page.locator(".pending tbody tr")
    expect(rows).to_have_count(5)
    rows.nth(3).get_by_role("checkbox").check()
    first = pending_entries(client, STREAM, "billing", count=1)[0].entry_id
    client.execute_command("XACK", STREAM, "billing", str(first))
    expect(rows).to_have_count(4, timeout=SOON_MS)
    expect(rows.filter(has_text="bill 3").get_by_role("checkbox")).to_be_checked()


def test_all_of_it_works_without_javascript(
    browser: Browser, running: Running, signed_in: Path, billing: str, client: redis.Redis
) -> None:
    context = browser.new_context(base_url=running.address, storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/streams/{STREAM}/groups/billing/?consumer=billing-dead")
    page.get_by_role("link", name="Acknowledge…").click()
    expect(page.get_by_role("heading", name="This cannot be undone")).to_be_visible()
    page.get_by_label("Reason").fill("billed by hand")
    page.get_by_role("button", name="Acknowledge 5 entries").click()
    page.get_by_role("link", name="Open group billing").click()
    page.locator(".actions-menu summary").click()
    page.get_by_role("link", name="Delete group…").click()
    page.get_by_label("Reason").fill("nobody bills any more")
    page.get_by_role("button", name="Delete group").click()
    expect(page.get_by_text("Group billing of memory:events was deleted")).to_be_visible()
    assert "billing" not in {group.name for group in group_infos(client, STREAM)}
    context.close()


@pytest.mark.parametrize("width", [1440, 400])
def test_every_page_of_streams_fits_the_window(page: Page, billing: str, client: redis.Redis, width: int) -> None:
    client.execute_command("XGROUP", "CREATECONSUMER", STREAM, "billing", "billing-worker-5d9c7b8f64-xk2lq-host-4711")
    page.set_viewport_size({"width": width, "height": 900})
    of = f"stream={STREAM}&group=billing"
    for path in (
        "/streams/",
        f"/streams/{STREAM}/groups/billing/",
        f"/streams/{STREAM}/parked/",
        f"/streams/operations/claim/?{of}",
        f"/streams/operations/acknowledge/?{of}&from_consumer=billing-dead",
        f"/streams/operations/delete-group/?{of}",
        "/audit-log/",
    ):
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        # What can be scrolled within the page is cut just the same.
        fits = "[...document.querySelectorAll('.consumers')].every(e => e.scrollWidth <= e.parentElement.clientWidth)"
        assert page.evaluate(fits), path
