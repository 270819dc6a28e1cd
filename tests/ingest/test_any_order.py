"""In any order of arrival and in any batches, the tables are the fold over all entries, also after a rebuild."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.events.decoding import decode
from evdash.events.entry import Entry
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.rebuild import rebuild
from tests.builders import raw_entry
from tests.ingest.folds import actual, assert_equal, expected

pytestmark = pytest.mark.django_db

PROJECTIONS: tuple[Projection, ...] = (
    AuditProjection("evdash-audit"),
    AnalyticsProjection("evdash-analytics"),
    DebugProjection("evdash-debug"),
)

_SESSION_TYPES = ("session.started", "session.started", "session.resumed", "message.added")
_CALL_TYPES = ("tool.called", "tool.returned", "tool.returned", "search.performed", "error.occurred")


def _some(*values: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", *values])


_parts = st.lists(
    st.builds(
        lambda kind, call, tool: (
            {"type": "tool_use", "id": call, "name": tool, "input": {}}
            if kind
            else {"type": "tool_result", "tool_use_id": call, "content": "x"}
        ),
        st.booleans(),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from(["t1", "t2"]),
    ),
    min_size=1,
    max_size=3,
)
_fields = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(_SESSION_TYPES),
            "agent": _some("a1", "a2"),
            "agent_version": _some("1", "2"),
            "model": _some("m1", "m2"),
        }
    ),
    st.fixed_dictionaries({"type": st.sampled_from(_CALL_TYPES), "call_id": _some("c1", "c2"), "tool": _some("t1")}),
    st.fixed_dictionaries({"type": st.just("message.added"), "content": _parts.map(json.dumps)}),
)
_contents = st.builds(
    lambda fields, session, user, own_id, latency: {
        **fields,
        "session_id": session,
        "user_id": user,
        "id": own_id,
        "latency_ms": latency,
        "error": "no seat 5" if fields["type"] == "error.occurred" else "",
    },
    _fields,
    _some("s1", "s1", "s2"),
    _some("", "u1", "u2"),
    _some("", "e1"),
    _some("", "5", "700"),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Entry]]:
    """Batches of entries of two streams, which have some entry IDs in common, in any order."""
    entries = [
        raw_entry(
            *draw(_contents).items(),
            ("timestamp", str(1_700_000_000 + ms * draw(st.sampled_from([1, 40_000])))),
            entry_id=f"{ms}-1",
            stream=stream,
        )
        for stream in ("A", "B")
        for ms in draw(st.sets(st.integers(1, 20), max_size=8))
    ]
    shuffled = draw(st.permutations(entries))
    batches = []
    while shuffled:
        size = draw(st.integers(1, 5))
        batches.append(shuffled[:size])
        shuffled = shuffled[size:]
    return batches


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(arrivals())
def test_tables_are_the_fold_over_all_entries(valkey_url: str, batches: Sequence[Sequence[Entry]]) -> None:
    wanted = expected([entry for batch in batches for entry in batch])
    with transaction.atomic():
        for projection in PROJECTIONS:
            for batch in batches:
                projection.apply([decode(entry) for entry in batch])
        assert_equal(actual(), wanted)
        for projection in PROJECTIONS:
            rebuild(projection, valkey_url, ("A", "B"))
        assert_equal(actual(), wanted)
        transaction.set_rollback(True)
