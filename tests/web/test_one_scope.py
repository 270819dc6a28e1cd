"""Everything on a page is about the same events: list, headline, facets, histogram, error groups and exports."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlencode

import pytest
import redis
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange
from evdash.events.entry import Entry
from evdash.events.error_groups import error_groups_of
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import facet_keys
from evdash.events.inheritance import inherit_among
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, raw_entry
from tests.web.conftest import Write
from tests.web.parsed_page import Page

STREAMS = (STREAM, "other")
FIRST_MS = 1_795_000_000_000
FILTERS = (
    "", "type:tool.called", "type:tool.called type:tool.returned", "-type:message.added", "user:u1", "-user:u1",
    "user:*", "-user:*", "model:m1", "-model:*", "agent:planner agent_version:2", "tool:search", "-tool:book",
    "session:s1 session:s2", "session:s1 model:m2", "severity:error", "stream:other", '"flight"', "latency:>100",
    "tokens:<=10 user:u2", "field.price:>=20", "field.data.order.id:42", "since:2026-11-18T12:26:55Z model:m1",
    "until:2026-11-18T12:27:05Z", "code:E1 -user:u2",
)  # fmt: skip


def entries() -> list[Entry]:
    """Six sessions of two agents in two streams; some of them declare what their events lack."""
    chance = random.Random(7)
    written = []
    for number in range(72):
        session = f"s{number % 6}"
        first = number < 6
        type_ = (
            "session.started"
            if first
            else chance.choice(["message.added", "tool.called", "tool.returned", "error.occurred", "search.performed"])
        )
        pairs = [("type", type_), ("session_id", session if number % 11 else "")]
        if first and number % 3 != 2:
            pairs += [("user_id", f"u{number % 2 + 1}"), ("model", f"m{number % 2 + 1}"), ("agent", "planner")]
            pairs += [("agent_version", "2")] if number % 2 else []
        elif chance.random() < 0.3:
            pairs += [("user_id", chance.choice(["u1", "u3"])), ("model", "m2")]
        if type_.startswith("tool"):
            call = f"c{number % 4}"
            pairs += [("call_id", call)] + (
                [("tool", chance.choice(["search", "book"]))] if type_ == "tool.called" else []
            )
            pairs += [("latency_ms", str(chance.choice([20, 150, 900])))]
        if type_ == "tool.returned" and number % 3 == 0:
            pairs += [("error", "no seat" if number % 2 else "closed")]
        if type_ == "error.occurred":
            pairs += [("error", f"no seat on flight {number}" if number % 2 else "late"), ("code", f"E{number % 2}")]
        pairs += [("tokens", str(number)), ("price", str(number / 2)), ("data", json.dumps({"order": {"id": number}}))]
        pairs += [("timestamp", str(FIRST_MS + number * 300))]
        written.append(raw_entry(*pairs, entry_id=f"{FIRST_MS + number * 300}-0", stream=STREAMS[number % 5 == 0]))
    return written


ENTRIES = entries()
EVENTS = inherit_among([decode(entry) for entry in ENTRIES])


def matching(query: str, further: str = "") -> list[Event]:
    """A plain fold: the events that the filter matches, oldest first."""
    filters = [EventFilter.parse(text) for text in (query, further)]
    return [event for event in EVENTS if all(each.matches(event) for each in filters)]


def numbers_in(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


@pytest.fixture(params=[0, 30, 1_000])
def logged(request: pytest.FixtureRequest, valkey: redis.Redis, settings: Settings, write: Write, db: None) -> int:
    """The number of entries of each stream that the workers have committed: nothing, a part, everything."""
    write(*ENTRIES)
    names = ((AuditProjection, settings.EVDASH.audit_group), (DebugProjection, settings.EVDASH.debug_group))
    for projection, group in names if request.param else ():
        worker = Worker(GroupConsumer(valkey, group, "c"), projection(group), STREAMS, batch_size=request.param)
        worker.connect()
        worker.step()
    return int(request.param)


def get(browser: Client, path: str, query: str) -> Page:
    response = browser.get(f"{path}?{urlencode({'q': query})}")
    assert response.status_code == 200, query
    return Page(response)


def assert_is_about(page: Page, events: Sequence[Event], query: str, *, scope: str = "") -> None:
    """List, headline, facets and histogram."""
    shown = Counter(page.rows)
    assert shown == Counter(f"{event.stream} {event.entry_id}" for event in events), query
    errors = sum(event.is_error for event in events)
    if counts := page.texts(".counts"):
        assert numbers_in(counts[0])[0] == len(events), query
    if histogram := page.values("aria-label", ".histogram > svg"):
        assert numbers_in(histogram[0].partition(" from ")[0]) == [len(events), errors], query
    own = EventFilter.parse(query)
    for key in facet_keys():
        chosen = own.values(key.name)
        found = {
            link.attributes["data-value"]: numbers_in(link.css_first(".facet-count").text())[0]
            for link in page.all(f'[data-facet="{key.name}"] {"li.is-set" if chosen else ""} a[data-value]')
        }
        if not found:
            continue
        wanted = Counter(str(getattr(event, key.attribute)) for event in events)
        wanted.pop("", None)
        assert found == ({value: wanted[value] for value in chosen} if chosen else dict(wanted)), (query, key.name)


def without(query: str, *keys: str) -> str:
    """The filter without its conditions on these keys."""
    return " ".join(term for term in query.split() if not term.startswith(tuple(f"{key}:" for key in keys)))


def calls_by_tool(query: str) -> Counter[str]:
    return Counter(event.tool for event in matching(query) if type_of(event.type).is_call)


def rate_of(errors: Sequence[Event], group: str, query: str) -> list[int]:
    """Errors and calls of a group; nothing if an error has no tool, or if there are fewer calls than errors."""
    tools = [event.tool for event in errors if event.error_group == group]
    calls = sum(calls_by_tool(without(query, "code"))[tool] for tool in set(tools))
    return [len(tools), calls] if all(tools) and len(tools) <= calls else []


def tool_rates(query: str) -> dict[str, list[int]]:
    """Each tool with errors, with their number and that of its calls or else of its events."""
    numbers = Counter(event.tool for event in matching(without(query, "tool"), "is:error") if event.tool)
    others = without(query, "tool", "code")
    calls, events = calls_by_tool(others), Counter(event.tool for event in matching(others))
    calls.pop("", None)
    of_calls = bool(calls) and all(number <= calls[tool] for tool, number in numbers.items())
    return {tool: [number, calls[tool] if of_calls else events[tool]] for tool, number in numbers.items()}


@pytest.mark.parametrize("query", FILTERS)
def test_lists_agree_with_a_plain_fold(logged: int, browser: Client, query: str) -> None:
    assert_is_about(get(browser, "/events/", query), matching(query), query)
    errors = get(browser, "/errors/", query)
    wanted = matching(query, "is:error")
    assert_is_about(errors, wanted, query)
    groups = error_groups_of(map(CountChange, wanted))
    found, rates = {}, {}
    for row in errors.all(".error-groups tbody tr"):
        key, (number, rate, *members) = row.attributes["data-key"], row.css("td.figure")
        found[key] = [numbers_in(cell.text())[0] for cell in (number, *members)]
        rates[key] = numbers_in(rate.css_first("[title]").attributes["title"]) if rate.css("[title]") else []
    assert found == {key: [group.events, len(group.sessions), len(group.users)] for key, group in groups.items()}, query
    assert rates == {key: rate_of(wanted, key, query) for key in groups}, query
    if groups:
        tools = errors.table(".rates") if errors.has(".rates") else []
        assert {row["Tool"]: numbers_in(row["Errors"]) for row in tools} == tool_rates(query), query
    exported = b"".join(browser.get(f"/events.ndjson?{urlencode({'q': query})}").streaming_content)
    lines = [json.loads(line) for line in exported.splitlines()]
    assert [(line["stream"], line["entry_id"]) for line in lines] == [
        (event.stream, str(event.entry_id)) for event in sorted(matching(query), key=lambda each: each.entry_id)
    ]


@pytest.mark.parametrize("query", ["", "type:tool.called", "-model:m1", "is:error", "latency:>100", "tool:*"])
def test_pages_of_a_user_and_a_session_agree_with_a_plain_fold(logged: int, browser: Client, query: str) -> None:
    for user in ("u1", "u2", "u3"):
        page = get(browser, f"/users/{user}/", query)
        events = matching(query, f"user:{user}")
        assert_is_about(page, events, query)
        if not query:
            assert page.facts["Events"] == str(len(events))
            assert page.facts["Errors"] == str(sum(event.is_error for event in events))
            assert page.facts["Tokens"].replace(",", "") == str(sum(event.tokens for event in events))
    for session in ("s1", "s4"):
        assert_is_about(get(browser, f"/sessions/{session}/", query), matching(query, f"session:{session}"), query)


@pytest.mark.parametrize("query", ["", "user:*", "tool:search", "-model:m1", "code:E1 -user:u2"])
def test_a_group_leads_to_its_errors(logged: int, browser: Client, query: str) -> None:
    page = get(browser, "/errors/", query)
    addresses = page.values("href", ".error-groups tbody a")
    errors = matching(query, "is:error")
    groups = error_groups_of(map(CountChange, errors))
    assert len(addresses) == len(groups) > 0
    for address in addresses:
        found = Page(browser.get(address))
        [fingerprint] = re.findall(r"groups/(\w+)/", address)
        group = groups[fingerprint]
        assert_is_about(found, [event for event in errors if event.error_group == fingerprint], query)
        numbers = [found.facts[name] for name in ("Errors", "Sessions", "Users")]
        assert numbers == [str(group.events), str(len(group.sessions)), str(len(group.users))]
        rate = re.sub(r"^.*% ", "", found.facts.get("Error rate", ""))
        assert numbers_in(rate) == rate_of(errors, fingerprint, query)
