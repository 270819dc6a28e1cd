"""Summaries can be added up in any order and any batches."""

import json
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from evdash.events.deduplication import CountChange, changes
from evdash.events.error_fingerprints import masked
from evdash.events.event import Event
from evdash.events.session.reducer import fold_all
from evdash.events.summaries import SessionSummary, UserSummary, sessions_of
from tests.builders import event

_events = st.lists(
    st.builds(
        lambda ms, stream, user, agent, type_, outcome: event(
            f"{ms}-0", stream, session_id="s", user_id=user, agent=agent, type=type_, outcome=outcome, tokens="3"
        ),
        st.integers(1, 4),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["", "u", "v"]),
        st.sampled_from(["", "x", "y"]),
        st.sampled_from(["session.ended", "message.added", "error.occurred"]),
        st.sampled_from(["", "resolved", "abandoned"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: (each.stream, each.entry_id),
)


@given(_events, st.data())
def test_a_summary_is_the_same_in_every_order_and_batch(events: list[Event], data: st.DataObject) -> None:
    everything = changes(events, {})
    shuffled = data.draw(st.permutations(everything))
    cut = data.draw(st.integers(0, len(events)))
    batches = [sessions_of(part)["s"] for part in (shuffled[:cut], shuffled[cut:]) if part]
    assert reduce(SessionSummary.merged, batches) == sessions_of(everything)["s"]
    users = [UserSummary.of(each) for each in everything if each.event.user_id == "u"]
    if users:
        assert reduce(UserSummary.merged, users) == reduce(UserSummary.merged, reversed(users))
    assert sessions_of(everything)["s"].events == len(events)


def test_no_text_of_a_summary_has_a_nul_character() -> None:
    ended = event(type="session.ended", session_id="s", outcome="a\0b")
    failed = event(type="error.occurred", error="boom \0 x")
    assert SessionSummary.of(CountChange(ended)).outcome == "a␀b"
    assert "\0" not in masked(failed.error, failed.user_id, failed.session_id)


def test_calls_inside_messages_are_tool_calls() -> None:
    openai = [{"id": f"c{n}", "type": "function", "function": {"name": "get", "arguments": "{}"}} for n in (1, 2)]
    anthropic = [{"type": "text", "text": "Wait."}, {"type": "tool_use", "id": "c3", "name": "search", "input": {}}]
    result = [{"type": "tool_result", "tool_use_id": "c3", "content": "[]"}]
    events = [
        event("1-0", type="message.added", session_id="s", tool_calls=json.dumps(openai)),
        event("2-0", type="message.added", session_id="s", content=json.dumps(anthropic)),
        event("3-0", type="message.added", session_id="s", content=json.dumps(result)),
        event("4-0", type="tool.called", session_id="s", tool="other"),
    ]
    summary = SessionSummary.of(*map(CountChange, events))
    assert (summary.messages, summary.tool_calls) == (3, 4)
    state = fold_all(events)
    assert (state.totals.tool_calls, state.totals.open_calls) == (4, 3)
    assert [(call.tool, call.status, call.result) for call in state.tool_calls] == [
        ("get", "open", ""),
        ("get", "open", ""),
        ("search", "returned", "[]"),
        ("other", "open", ""),
    ]
