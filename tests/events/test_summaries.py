"""Summaries can be added up in any order and any batches."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from evdash.events.deduplication import CountChange, changes
from evdash.events.error_fingerprints import masked
from evdash.events.event import Event
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
