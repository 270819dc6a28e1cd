"""The sessions, users and types of the log by the beginning of their names, for completion in the filter box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection
from django.db.models import Model, Q

from evdash.eventlog.models import AgentSession, AgentUser, TypeCount
from evdash.eventlog.time_buckets import DAY_S

_COLUMNS: Final[dict[str, tuple[type[Model], str, Q]]] = {
    "session": (AgentSession, "session_id", Q()),
    "user": (AgentUser, "user_id", Q()),
    "type": (TypeCount, "type", Q(width_s=DAY_S)),
}


def known_values(key: str, starts: Sequence[str], limit: int) -> list[str]:
    """Return values of a filter key that begin with one of `starts`, at most `limit` for each; none of other keys."""
    if key not in _COLUMNS:
        return []
    model, column, condition = _COLUMNS[key]
    found: list[str] = []
    for start in starts:
        rows = model._default_manager.filter(condition & _begins(column, start)).order_by(column)
        found += rows.exclude(**{column: ""}).values_list(column, flat=True).distinct()[:limit]
    return list(dict.fromkeys(found))


def _begins(column: str, start: str) -> Q:
    """Return the condition that an index answers. SQLite has no index for LIKE with an escape character."""
    if not start:
        return Q()
    if connection.vendor == "sqlite":
        return Q(**{f"{column}__gte": start, f"{column}__lt": f"{start}\U0010ffff"})
    return Q(**{f"{column}__startswith": start})
