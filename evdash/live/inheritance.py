"""Inherited values of arriving events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final

from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError
from structlog.stdlib import get_logger

from evdash.eventlog.inheritance import logged_names, logged_values
from evdash.events.event import Event
from evdash.events.inheritance import (
    NO_VALUES,
    CallKey,
    CallName,
    SessionValues,
    call_key,
    call_names,
    declared_by,
    inherit_all,
)
from evdash.streams.shared_tail import SharedTail

logger = get_logger(__name__)

KEPT_MAX: Final = 20_000
"""Limit of the sessions, and of the calls, whose values are kept. Others are read from the log again."""


class LiveInheritance:
    """The values of the sessions and calls of arriving events, from the log, the tail and the arrivals themselves.

    An event is pushed with the values that are known when it arrives. If its session gets its first value later, pages
    show the event with it when they load again.
    """

    def __init__(self, tail: SharedTail) -> None:
        self._tail = tail
        self._values: OrderedDict[str, SessionValues] = OrderedDict()
        self._names: OrderedDict[CallKey, tuple[CallName, ...]] = OrderedDict()

    async def inherit(self, events: Sequence[Event]) -> list[Event]:
        """Return these arrivals with what they inherit. It reads each session and call once from the log."""
        sessions = {event.session_id for event in events if event.session_id}
        calls = {key for event in events if (key := call_key(event))}
        new_sessions, new_calls = sessions - self._values.keys(), calls - self._names.keys()
        if new_sessions or new_calls:
            await self._learn(new_sessions, new_calls)
        for event in events:
            if event.session_id:
                known = self._values.get(event.session_id, NO_VALUES)
                self._values[event.session_id] = known.merged(declared_by(event))
                self._values.move_to_end(event.session_id)
            for key, name in call_names(event):
                self._names[key] = tuple(sorted({*self._names.get(key, ()), name}))
                self._names.move_to_end(key)
        inheriting = inherit_all(events, self._values, self._names)
        for kept in (self._values, self._names):
            while len(kept) > KEPT_MAX:
                kept.popitem(last=False)
        return inheriting

    async def _learn(self, sessions: Collection[str], calls: Collection[CallKey]) -> None:
        try:
            values, names = await database_sync_to_async(_logged)(sessions, calls)
        except (DatabaseError, InterfaceError) as error:  # the arrivals are pushed with what is known without it
            logger.warning("inherited values not read", reason=str(error))
            values, names = {}, {}
        for session_id in sessions:
            tailed = self._tail.values_of_session(session_id)
            self._values[session_id] = values.get(session_id, NO_VALUES).merged(tailed)
        for key in calls:
            self._names[key] = tuple(sorted({*names.get(key, ()), *self._tail.names_of_call(key)}))


def _logged(
    sessions: Collection[str], calls: Collection[CallKey]
) -> tuple[dict[str, SessionValues], dict[CallKey, list[CallName]]]:
    return logged_values(sessions), logged_names(calls)
