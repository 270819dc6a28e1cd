"""The database merges summaries exactly as SessionSummary.merged and UserSummary.merged do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.eventlog.models import AgentSession, AgentUser, Participation, Tally
from evdash.eventlog.row_mapping import session_of_row, user_of_row
from evdash.events.deduplication import CountChange, changes
from evdash.events.entry import MAX_HALF
from evdash.events.event import Event
from evdash.events.summaries import sessions_of, users_of
from evdash.ingest import read_models
from tests.builders import event

_events = st.lists(
    st.builds(
        lambda ms, stream, session, user, agent, type_, outcome: event(
            f"{ms}-{MAX_HALF if ms == MAX_HALF else 0}",
            stream,
            session_id=session,
            user_id=user,
            agent=agent,
            model=agent.upper(),
            type=type_,
            outcome=outcome,
            tokens="3",
        ),
        st.sampled_from([1, 2, 3, MAX_HALF]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["", "s", "t"]),
        st.sampled_from(["", "u", "é", "z"]),
        st.sampled_from(["", "x", "X", "ß"]),
        st.sampled_from(["session.ended", "message.added", "tool.called", "search.performed", "error.occurred"]),
        st.sampled_from(["", "resolved", "Resolved"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: (each.stream, each.entry_id),
)


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(_events, st.data())
def test_batches_in_any_order_give_the_summaries_of_all_events(events: list[Event], data: st.DataObject) -> None:
    everything = changes(events, {})
    shuffled = data.draw(st.permutations(everything))
    cut = data.draw(st.integers(0, len(events)))
    with transaction.atomic():
        for batch in (shuffled[:cut], shuffled[cut:]):
            if batch:
                read_models.add_to_sessions(batch)
                read_models.add_to_users(batch)
        sessions, users = sessions_of(everything), users_of(everything)
        took_part = {(each.user_id, each.session_id) for each in events if each.user_id and each.session_id}
        counted = {name: sum(user == name for user, _ in took_part) for name in users}
        assert {row.session_id: session_of_row(row) for row in AgentSession.objects.all()} == sessions
        assert {row.user_id: user_of_row(row) for row in AgentUser.objects.all()} == {
            name: replace(user, sessions=counted[name]) for name, user in users.items()
        }
        assert set(Participation.objects.values_list("user_id", "session_id")) == took_part
        tallies = dict(Tally.objects.values_list("name", "value"))
        assert (tallies.get("sessions", 0), tallies.get("users", 0)) == (len(sessions), len(users))
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_change_that_is_taken_back_leaves_participants_and_times() -> None:
    found: Sequence[CountChange] = changes([event("1-0", session_id="s", user_id="u", tokens="5")], {})
    read_models.add_to_sessions(found)
    read_models.add_to_sessions([found[0]._replace(counts=-1, is_new=False)])
    summary = session_of_row(AgentSession.objects.get())
    assert (summary.events, summary.tokens, summary.user_id) == (0, 0, "u")
