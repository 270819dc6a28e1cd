"""The simulated agents: what they write looks like what real ones write."""

from collections import Counter, defaultdict
from itertools import islice, pairwise, takewhile

import pytest

from evdash.demo.simulation import HISTORY_S, simulate
from evdash.streams.publisher import NewEvent

NOW_S = 1_763_900_000.0


def history(seed: int = 7) -> list[NewEvent]:
    return list(takewhile(lambda event: event.timestamp < NOW_S, simulate(seed, NOW_S - HISTORY_S, NOW_S)))


@pytest.fixture(scope="module")
def events() -> list[NewEvent]:
    return history()


def of_type(events: list[NewEvent], *types: str) -> list[NewEvent]:
    return [event for event in events if event.type in types]


def test_the_same_seed_gives_the_same_events(events: list[NewEvent]) -> None:
    assert history() == events
    assert history(seed=8) != events


@pytest.mark.parametrize("seed", range(5))
def test_a_history_is_some_thousand_events_of_some_hours(seed: int) -> None:
    events = history(seed)

    assert 2_500 <= len(events) <= 5_000
    assert events[0].timestamp < NOW_S - 5 * 3600
    assert events[-1].timestamp > NOW_S - 60


def test_live_it_is_about_one_event_a_second(events: list[NewEvent]) -> None:
    half_an_hour = [
        event for event in islice(simulate(7, NOW_S, NOW_S), 20_000) if NOW_S + 300 <= event.timestamp < NOW_S + 2100
    ]

    assert 0.5 <= len(half_an_hour) / 1800 <= 3


def test_time_never_goes_back(events: list[NewEvent]) -> None:
    assert all(one.timestamp <= other.timestamp for one, other in pairwise(events))


def test_every_type_of_the_vocabulary_and_some_others_occur(events: list[NewEvent]) -> None:
    types = {event.type for event in events}

    assert types >= {"session.started", "session.ended", "message.added", "summary.created"}
    assert types >= {"search.performed", "memory.cleared", "error.occurred"}
    assert types >= {"tool.called", "tool.returned", "feedback.given", "guardrail.blocked", "handoff.requested"}


def test_every_event_is_marked_and_has_an_id_of_its_own(events: list[NewEvent]) -> None:
    assert all(event.data["simulated"] == "1" for event in events)
    assert len({event.event_id for event in events}) == len(events)


def test_nothing_is_left_to_be_filled_in(events: list[NewEvent]) -> None:
    texts = [str(event.data.get(name, "")) for event in events for name in ("content", "query", "summary", "error")]

    assert not [text for text in texts if "{" in text]
    assert all(isinstance(value, str) for event in events for value in event.data.values())


def test_sessions_begin_with_their_start_and_end_with_their_end(events: list[NewEvent]) -> None:
    sessions = defaultdict(list)
    for event in events:
        sessions[event.session_id].append(event.type)
    ended = [types for types in sessions.values() if "session.ended" in types]

    assert all(types[0] == "session.started" and types.count("session.started") == 1 for types in sessions.values())
    assert all(types[-1] == "session.ended" and types.count("session.ended") == 1 for types in ended)
    assert 0.8 < len(ended) / len(sessions) < 1, "most have ended, some are running"
    assert len({event.data["outcome"] for event in of_type(events, "session.ended")}) >= 2


def test_every_session_is_one_person_s_and_people_come_again(events: list[NewEvent]) -> None:
    users = defaultdict(set)
    for event in events:
        users[event.session_id].add(event.user_id)
    sessions_of_users = Counter(user for (user,) in users.values())

    assert len(sessions_of_users) >= 20
    assert sessions_of_users.most_common(1)[0][1] >= 5


def test_every_call_returns_or_fails_once_and_later(events: list[NewEvent]) -> None:
    called = {event.data["call_id"]: event for event in of_type(events, "tool.called")}
    answers = [event for event in of_type(events, "tool.returned", "error.occurred") if event.data.get("tool")]
    running = {event.session_id for event in events} - {event.session_id for event in of_type(events, "session.ended")}

    assert len({answer.data["call_id"] for answer in answers}) == len(answers)
    for answer in answers:
        call = called.pop(answer.data["call_id"])
        assert answer.data["tool"] == call.data["tool"]
        assert answer.timestamp - call.timestamp >= int(answer.data["latency_ms"]) / 1000
    assert {call.session_id for call in called.values()} <= running


def test_errors_come_in_bursts(events: list[NewEvent]) -> None:
    errors = of_type([event for seed in range(4) for event in history(seed)], "error.occurred")
    slots = Counter((event.data["code"], int(event.timestamp // 600)) for event in errors)

    assert slots.most_common(1)[0][1] >= 8, "one code within ten minutes"
    assert {event.data["severity"] for event in errors} >= {"error", "critical"}
