"""Questions of the first hour, answered from Overview by visible links, with the numbers of a plain fold."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from evdash.config.environment import CHECKOUT
from evdash.streams.client import open_client
from tests.browser.conftest import started

pytestmark = pytest.mark.browser

RECORDING = CHECKOUT.parent / "shared/data/airline_agent.ndjson"
Pairs = list[tuple[str, str]]


def recorded() -> list[tuple[int, Pairs]]:
    """The recording of an airline's agent: the time in ms of each entry, and its fields."""
    lines = map(json.loads, RECORDING.read_text().splitlines())
    return [(line["at_ms"], [(name, value) for name, value in line["fields"]]) for line in lines]


def own() -> list[tuple[int, Pairs]]:
    """Sixty sessions of an agent: those that book are rarely resolved, and the tool `book` fails half the time."""
    chance, entries, at_ms = random.Random(3), [], 0
    for number in range(60):
        resolved = number % 5 < 2
        tools = ["look_up"] * chance.randrange(1, 3 if resolved else 6)
        tools += ["book"] * (chance.random() < (0.05 if resolved else 0.5)) + ["hand_over"] * (
            number % (2 if resolved else 7) == 0
        )
        whose = [("session_id", f"o-{number}"), ("user_id", f"person-{number % 7}")]
        steps: list[Pairs] = [[("type", "session.started"), ("agent", "shop")]]
        for place, tool in enumerate(tools):
            call = [("tool", tool), ("call_id", f"c{place}")]
            failed = tool == "book" and chance.random() < 0.5
            steps.append([("type", "tool.called"), *call])
            steps.append([("type", "error.occurred"), *call, ("error", "sold out")] if failed
                         else [("type", "tool.returned"), *call])  # fmt: skip
        steps.append([("type", "session.ended"), ("outcome", "resolved" if resolved else "unresolved")])
        for step in steps:
            at_ms += 500
            entries.append((at_ms, [*step, *whose]))
    return entries


@dataclass
class Session:
    """A session as a plain fold knows it."""

    outcome: str = ""
    user: str = ""
    calls: int = 0
    tools: set[str] = field(default_factory=set)


def fields_of(pairs: Pairs) -> dict[str, Any]:
    """Return the fields of an entry, with the keys of the JSON object in `data`."""
    fields: dict[str, Any] = dict(pairs)
    return {**json.loads(fields.get("data") or "{}"), **fields}


def fold(entries: list[tuple[int, Pairs]]) -> dict[str, Session]:
    """Return the sessions of these entries."""
    sessions: dict[str, Session] = defaultdict(Session)
    for _, pairs in entries:
        fields = fields_of(pairs)
        session = sessions[fields["session_id"]]
        session.calls += fields["type"] in ("tool.called", "search.performed")
        session.outcome = fields.get("outcome", session.outcome)
        session.user = session.user or fields.get("user_id", "")
        if tool := fields.get("tool"):
            session.tools.add(tool)
    return sessions


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(own, id="own"),
        pytest.param(recorded, id="recording", marks=pytest.mark.skipif(not RECORDING.exists(), reason="no recording")),
    ],
)
def filled(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, list[tuple[int, Pairs]]]]:
    """Overview of an evdash that has these entries alone, and the entries."""
    entries = request.param()
    directory: Path = tmp_path_factory.mktemp("first-hour")
    for running in started(directory):
        first_ms = round(time() * 1000) - entries[-1][0]
        with open_client(running.redis_url) as client:
            for place, (at_ms, pairs) in enumerate(entries):
                shown = {**dict(pairs), "timestamp": str((first_ms + at_ms) / 1000)}
                client.xadd("memory:events", shown, id=f"{first_ms + at_ms}-{place}")
        context = browser.new_context(base_url=running.address)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.goto(running.link)
        page.locator("form button").first.click()
        page.wait_for_url(f"{running.address}/")
        yield page, entries
        context.close()


def share(part: int, whole: int) -> str:
    """A share as pages write it, with the number."""
    percent = part / whole * 100
    return f"{percent:.0f} % {part}" if percent >= 10 else f"{percent:.2g} % {part}"


def test_how_unresolved_sessions_differ_from_resolved_ones(filled: tuple[Page, list[tuple[int, Pairs]]]) -> None:
    page, entries = filled
    sessions = fold(entries).values()
    sets = [[each for each in sessions if each.outcome == outcome] for outcome in ("unresolved", "resolved")]
    page.goto("/")
    expect(page.locator(".outcomes")).to_contain_text(str(len(sets[0])), timeout=30_000)  # the worker has caught up

    page.locator(".outcomes").get_by_role("link", name="unresolved").click()
    expect(page.locator(".counts")).to_have_text(f"{len(sets[0])} sessions")
    page.get_by_role("link", name="Compare with the rest").click()

    for letter, each in zip("ab", sets, strict=True):
        expect(page.locator(f".set-{letter} a")).to_have_text(f"{len(each)} sessions")
    calls = page.locator(".measures").get_by_role("row", name="Calls and searches").get_by_role("cell")
    medians = [f"{median(session.calls for session in each):g}" for each in sets]
    expect(calls).to_contain_text(medians)
    tools = page.locator('[data-key="tool"] tbody tr')
    chosen = ("book_reservation", "transfer_to_human_agents") if len(sessions) == 100 else ("book", "hand_over")
    for tool in chosen:
        used = [sum(tool in session.tools for session in each) for each in sets]
        cells = tools.filter(has=page.get_by_role("rowheader", name=tool, exact=True)).get_by_role("cell")
        expect(cells).to_contain_text([share(n, len(each)) for n, each in zip(used, sets, strict=True)])


def test_the_tool_with_the_highest_error_rate(filled: tuple[Page, list[tuple[int, Pairs]]]) -> None:
    page, entries = filled
    calls: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for _, pairs in entries:
        fields = fields_of(pairs)
        calls[fields.get("tool", "")] += fields["type"] in ("tool.called", "search.performed")
        errors[fields.get("tool", "")] += fields["type"] == "error.occurred"
    rates = {tool: errors[tool] / calls[tool] for tool in calls if tool and errors[tool]}
    worst = max(rates, key=rates.__getitem__)
    page.goto("/")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Errors").click()
    first = page.locator(".tool-rates tbody tr").first
    expect(first).to_contain_text(worst)
    expect(first).to_contain_text(f"{errors[worst]} of {calls[worst]}")


def test_all_events_of_one_user_are_a_readable_file(filled: tuple[Page, list[tuple[int, Pairs]]]) -> None:
    page, entries = filled
    user = max({each.user for each in fold(entries).values()})
    own = [pairs for _, pairs in entries if fields_of(pairs).get("user_id") == user]
    page.goto("/")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Users").click()
    page.get_by_role("link", name=user, exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export HTML").click()
    text = download.value.path().read_text()
    assert text.count('id="e-') == len(own)
    assert "Complete" in text
    assert "https://" not in text.split("</style>")[0]
