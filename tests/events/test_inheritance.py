"""Events have what their session declares, and returns the tool of their call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.events.decoded import decoded
from evdash.events.event import Event
from evdash.events.inheritance import inherit_among, own
from tests.builders import event

START = event(
    "0-5", type="session.started", session_id="s", user_id="mia", model="m", agent="planner", agent_version="2"
)


def among(*events: Event) -> list[Event]:
    return inherit_among(events)


def values(each: Event) -> tuple[str, str, str, str]:
    return each.user_id, each.agent, each.agent_version, each.model


def test_an_event_has_what_its_session_declares() -> None:
    _, found = among(START, event("2-0", type="error.occurred", session_id="s"))
    assert values(found) == ("mia", "planner", "2", "m")
    assert found.inherited == ("user", "agent", "agent_version", "model")
    assert decoded(found)["inherited"] == ["user", "agent", "agent_version", "model"]


def test_an_own_value_counts_first() -> None:
    _, found = among(START, event("2-0", type="a", session_id="s", model="other", user_id="bob"))
    assert values(found) == ("bob", "planner", "2", "other")
    assert found.inherited == ("agent", "agent_version")


def test_a_version_belongs_to_its_agent() -> None:
    _, found = among(START, event("2-0", type="a", session_id="s", agent="writer"))
    assert (found.agent, found.agent_version) == ("writer", "")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_version_declared_with_another_agent_is_not_that_of_the_session(order: tuple[int, ...]) -> None:
    declarations = (
        event("1-0", type="session.started", session_id="s", agent="A"),
        event("2-0", type="session.updated", session_id="s", agent="B", agent_version="3"),
        event("3-0", type="session.resumed", session_id="s", agent_version="4"),
    )
    *_, found = among(*(declarations[index] for index in order), event("9-0", type="message.added", session_id="s"))
    assert (found.agent, found.agent_version) == ("A", "")
    *_, found = among(declarations[2], event("9-0", type="message.added", session_id="s"))
    assert (found.agent, found.agent_version) == ("", "4")


def test_a_value_of_another_event_describes_that_event_alone() -> None:
    """A session may have several users and models."""
    _, found = among(event("1-0", type="message.added", session_id="s", user_id="u"), event("2-0", session_id="s"))
    assert found.user_id == ""
    assert found.inherited == ()


def test_an_event_without_a_session_or_of_another_one_has_nothing() -> None:
    found = among(START, event("2-0", type="a"), event("3-0", type="a", session_id="t"))
    assert [each.inherited for each in found] == [(), (), ()]


def test_the_first_declaration_counts() -> None:
    later = event("5-0", type="session.resumed", session_id="s", user_id="bob", model="n")
    *_, found = among(later, START, event("2-0", type="a", session_id="s"))
    assert values(found) == ("mia", "planner", "2", "m")


CALL = event("1-0", type="tool.called", session_id="s", call_id="c", tool="search")
BACK = event("2-0", type="tool.returned", session_id="s", call_id="c")


@pytest.mark.parametrize(
    ("events", "tool"),
    [
        ([CALL, BACK], "search"),
        ([event("3-0", type="tool.called", session_id="s", call_id="c", tool="late"), BACK], "late"),
        ([CALL, event("3-0", type="tool.called", session_id="s", call_id="c", tool="late"), BACK], "search"),
        ([event("1-5", type="tool.called", session_id="s", call_id="c", tool="second"), CALL, BACK], "second"),
        ([event("1-0", type="tool.called", session_id="t", call_id="c", tool="other"), BACK], ""),
        ([event("1-0", type="tool.called", session_id="s", call_id="d", tool="other"), BACK], ""),
    ],
)
def test_a_return_has_the_tool_of_its_call(events: list[Event], tool: str) -> None:
    found = inherit_among(events)[-1]
    assert (found.tool, found.inherited) == (tool, ("tool",) if tool else ())


def test_each_result_in_a_message_has_the_tool_of_its_call() -> None:
    calls = [{"type": "tool_use", "id": f"c{n}", "name": f"tool{n}", "input": {}} for n in (1, 2)]
    asked = event("1-0", type="message.added", session_id="s", role="assistant", content=json.dumps(calls))
    back = event("2-0", type="message.added", session_id="s", role="tool", tool_call_id="c2", content="4")
    assert among(asked, back)[1].tool == "tool2"


@given(st.permutations(range(4)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    events = [START, CALL, BACK, event("4-0", type="a", session_id="s", agent="writer")]
    found = {each.entry_id: each for each in inherit_among([events[number] for number in order])}
    assert [found[each.entry_id] for each in events] == inherit_among(events)


def test_inheriting_again_changes_nothing() -> None:
    once = among(START, CALL, BACK)
    assert inherit_among(once) == once
    assert [own(each) for each in once] == [START, CALL, BACK]


def test_of_calls_with_one_id_in_a_message_the_first_counts() -> None:
    calls = [{"type": "tool_use", "id": "c", "name": name, "input": {}} for name in ("write", "read")]
    _, found = among(
        event("1-0", type="message.added", session_id="s", content=json.dumps(calls)),
        event("2-0", type="tool.returned", session_id="s", call_id="c"),
    )
    assert found.tool == "write"
