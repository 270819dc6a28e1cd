"""What is said of calls without a return and of returns without a call: nothing that may not be so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.session.call_matching import pairs
from evdash.web.event_display.calls import UNKNOWN_CALL, KnownEnd, calls_among
from evdash.web.session_status import Status
from tests.events.session.sessions import START_MS, at

START = datetime.fromtimestamp(START_MS / 1000, UTC)
ALL = EntryId.MAX


def called(after_ms: int, call_id: str = "c") -> Event:
    return at(after_ms, type="tool.called", call_id=call_id, tool="find")


def returned(after_ms: int, call_id: str = "c") -> Event:
    return at(after_ms, type="tool.returned", call_id=call_id, tool="find")


def end(last: Event, status: Status = "ended", after_s: float = 3_600) -> KnownEnd:
    return KnownEnd(last, START + timedelta(seconds=after_s), status)


def said(call: Event, last: Event, status: Status, after_s: float = 3_600) -> str:
    return calls_among([call, last] if last is not call else [call], end=end(last, status, after_s)).note(call)


def test_a_call_without_a_return_is_told_up_to_where_that_is_known() -> None:
    call, last = called(0), at(192_000)
    assert said(call, last, "ended") == "no return before session end (+3 min 12 s)"
    assert said(call, last, "abandoned") == "no return up to the last event (+3 min 12 s)"
    assert said(call, last, "abandoned") == "no return up to the last event (+3 min 12 s)"
    assert said(call, call, "abandoned") == "no return (last event)"


def test_while_a_session_runs_it_is_said_up_to_which_time_no_return_had_come() -> None:
    call = called(0)
    assert said(call, call, "running", after_s=192) == f"waiting for 3 min 12 s ({_clock(192)} UTC)"
    a_day = 86_400
    assert said(call, call, "running", a_day) == f"waiting for 1 d ({START + timedelta(1):%d %b %H:%M:%S} UTC)"
    assert said(call, call, "running", after_s=-5).startswith("waiting for 0 ms (")


def _clock(after_s: int) -> str:
    return f"{START + timedelta(seconds=after_s):%H:%M:%S}"


def test_nothing_is_said_where_what_follows_is_not_known() -> None:
    calls = calls_among([called(0)], end=None)
    assert (calls.open, calls.notes) == ((), {})


def test_a_return_that_came_after_what_is_shown_ends_its_call() -> None:
    call, back = called(0), returned(9)
    calls = calls_among([call], [at(1), called(2, "other"), back], end=end(back))
    assert (calls.ended, calls.open, calls.notes) == (((call, back),), (), {})


def test_nothing_is_said_where_the_other_half_may_be_missing() -> None:
    early, late, last = called(0, "a"), called(100, "b"), at(200)
    calls = calls_among([early, late, last], end=end(last), no_return_before=EntryId(START_MS + 50, 0))
    assert calls.open == (late,)
    early, late = returned(0, "a"), returned(100, "b")
    calls = calls_among([early, late], end=end(late), no_call_from=EntryId(START_MS + 50, 0))
    assert (calls.alone, calls.notes) == ((early,), {Position.of(early): UNKNOWN_CALL})
    assert calls_among([early, late], end=None, no_call_from=ALL).notes == {}  # its call may follow
    calls = calls_among([early, late], end=end(late), no_return_before=EntryId(START_MS + 50, 0), no_call_from=ALL)
    assert calls.alone == (late,)


_told = st.tuples(
    st.sampled_from(("tool.called", "tool.returned", "search.performed", "error.occurred", "message.added")),
    st.sampled_from(("", "a", "b")),
)


@given(st.lists(_told, min_size=1, max_size=30))
def test_of_a_part_nothing_is_said_that_the_whole_session_does_not_say(told: list[tuple[str, str]]) -> None:
    events = [at(n, type=kind, call_id=call_id, tool="find") for n, (kind, call_id) in enumerate(told)]
    whole = pairs(events, ALL)
    half = len(events) // 2
    shown, following = events[:half], events[half:]
    calls = calls_among(shown, following, end=end(events[-1]), no_call_from=ALL)
    assert set(map(Position.of, calls.open)) == set(map(Position.of, whole.waiting)) & set(map(Position.of, shown))
    assert set(map(Position.of, calls.alone)) == set(map(Position.of, whole.alone)) & set(map(Position.of, shown))
    assert calls.notes.keys() == set(map(Position.of, (*calls.open, *calls.alone)))
    cut = calls_among(shown, end=None)
    assert cut.notes == {}
