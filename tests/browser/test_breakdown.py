"""The cause of a fault, found from Overview by links alone."""

from __future__ import annotations

import random
from time import time

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.publisher import NewEvent, Publisher

pytestmark = pytest.mark.browser


def planted_fault() -> list[NewEvent]:
    """Return 3,000 events: after a new configuration the tool charge_card fails with one version of the agent."""
    chance, events, start_s = random.Random(5), [], time() - 3000
    for number in range(600):
        session, user = f"planted-{number}", f"planted-user-{number % 40}"
        version, model = chance.choice(("3.1", "3.2")), chance.choice(("m-small", "m-large"))
        tool = chance.choice(("charge_card", "find_order", "send_mail", "book_courier"))
        fails = tool == "charge_card" and version == "3.2" and number > 300
        call = {"tool": tool, "call_id": f"planted-call-{number}"}
        steps: list[tuple[str, dict[str, object]]] = [
            ("session.started", {"agent": "checkout", "agent_version": version, "model": model}),
            ("message.added", {"role": "user", "content": "Charge my card, please."}),
            ("tool.called", {**call, "arguments": {"currency": chance.choice(("EUR", "USD"))}}),
            ("error.occurred", {**call, "error": f"Amount {number} has 3 decimals", "error_code": "amount"})
            if fails or chance.random() < 0.02
            else ("tool.returned", {**call, "result": "done", "latency_ms": 40 + number % 50}),
            ("session.ended", {"outcome": "failed" if fails else "resolved"}),
        ]
        if number == 300:
            steps.append(("config.changed", {"setting": "decimals", "value": "3"}))
        events += [
            NewEvent(name, session, user, data, timestamp=start_s + number * 5 + step)
            for step, (name, data) in enumerate(steps)
        ]
    return events


def test_the_cause_of_a_fault_is_found_in_five_clicks(page: Page, publisher: Publisher) -> None:
    publisher.publish_many(planted_fault())
    page.goto("/")
    breakdown = page.get_by_role("region", name="Breakdown")
    rows = breakdown.locator("tbody tr")

    page.get_by_role("navigation").get_by_role("link", name="Errors").click()
    breakdown.get_by_role("link", name="Tool", exact=True).click()
    expect(rows.first).to_contain_text("charge_card")
    expect(rows.first.locator(".lift-mark")).to_be_visible()
    rows.first.get_by_role("link", name="charge_card").click()
    expect(page.get_by_role("link", name="Remove tool:charge_card")).to_be_visible()
    breakdown.get_by_role("link", name="Agent version").click()
    expect(rows.first).to_contain_text("3.2")
    expect(rows.first.locator(".lift-mark")).to_be_visible()
    expect(rows.nth(1).locator(".lift-mark")).to_have_count(0)
    breakdown.get_by_role("link", name="Model").click()  # the model is not the cause
    expect(rows.first).to_contain_text("m-")
    expect(breakdown.locator(".lift-mark")).to_have_count(0)
    expect(page.locator(".rows .row").first).to_contain_text("has 3 decimals")


def test_a_breakdown_by_a_nested_field_is_reached_from_a_value(page: Page, publisher: Publisher) -> None:
    for region, fails in (("eu", True), ("us", False), ("us", False)):
        name = "error.occurred" if fails else "message.added"
        publisher.publish(name, "nested", "nested-user", place={"region": region}, shop="a", content="x", error="no")
    page.goto("/events/?q=session:nested")
    page.locator(".row").last.click()
    page.get_by_role("link", name="Break down by shop").click()
    breakdown = page.get_by_role("region", name="Breakdown")
    expect(breakdown.locator("tbody tr")).to_contain_text(["a"])
    field = breakdown.get_by_role("combobox", name="Field to break down by")
    field.fill("place.region")
    field.press("Enter")
    expect(breakdown.locator("tbody tr")).to_have_count(2)
    breakdown.get_by_role("link", name="us", exact=True).click()
    expect(page.locator(".rows .row")).to_have_count(2)
    expect(breakdown.locator("tbody tr.is-set")).to_contain_text("us")
