"""Inherited values of arriving events."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError
from structlog.stdlib import get_logger

from evdash.eventlog.inheritance import logged_names, logged_values
from evdash.events.entry import EntryId
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
NAMES_MAX: Final = 100
"""Limit of the kept entries of one call: the newest that name a tool. A return needs the last of them before it."""


class LiveInheritance:
    """The values of the sessions and calls of arriving events, from the log, the tail and the arrivals themselves.

    An event is pushed with the values that are known when it arrives. If its session gets its first value later, pages
    show the event with it after their next refresh (static/live/rows.js).
    """

    def __init__(self, tail: SharedTail) -> None:
        self._tail = tail
        self._values: OrderedDict[str, SessionValues] = OrderedDict()
        self._names: OrderedDict[CallKey, Sequence[CallName]] = OrderedDict()
        self._position: Mapping[str, EntryId] = {}

    async def inherit(self, events: Sequence[Event], before: Mapping[str, EntryId]) -> list[Event]:
        """Return these arrivals with what they inherit. It reads each session and call once from the log.

        `before` is the position of the streams before them. If other entries have arrived since the last call, the
        log and the tail are read again, because those entries may have declared something.
        """
        if before != self._position:
            self._values.clear()
            self._names.clear()
        sessions = {event.session_id for event in events if event.session_id}
        calls = {key for event in events if (key := call_key(event))}
        new_sessions, new_calls = sessions - self._values.keys(), calls - self._names.keys()
        if new_sessions or new_calls:
            await self._learn(new_sessions, new_calls)
        names: dict[CallKey, set[CallName]] = {key: set(self._names[key]) for key in calls}
        for session_id in sessions:
            # The tail may gain entries from before these arrivals at any time: pages read it.
            tailed = self._tail.values_of_session(session_id)
            self._values[session_id] = self._values[session_id].merged(tailed)
            self._values.move_to_end(session_id)
        for event in events:
            if event.session_id:
                known = self._values[event.session_id]
                self._values[event.session_id] = known.merged(declared_by(event))
            for key, name in call_names(event):
                if name.tool:
                    names.setdefault(key, set(self._names.get(key, ()))).add(name)
        ordered = {key: sorted(several) for key, several in names.items()}
        inheriting = inherit_all(events, self._values, ordered)
        for key, several in ordered.items():
            self._names[key] = several[-NAMES_MAX:]
            self._names.move_to_end(key)
        kept: OrderedDict[str, SessionValues] | OrderedDict[CallKey, Sequence[CallName]]
        for kept in (self._values, self._names):
            while len(kept) > KEPT_MAX:
                kept.popitem(last=False)
        self._position = {**before, **{event.stream: event.entry_id for event in events}}
        return inheriting

    async def _learn(self, sessions: Collection[str], calls: Collection[CallKey]) -> None:
        try:
            values, names = await database_sync_to_async(_logged)(sessions, calls)
        except (DatabaseError, InterfaceError) as error:  # the arrivals are pushed with what is known without it
            logger.warning("inherited values not read", reason=str(error))
            values, names = {}, {}
        self._values.update({session_id: values.get(session_id, NO_VALUES) for session_id in sessions})
        for key in calls:
            known_names = {*names.get(key, ()), *self._tail.names_of_call(key)}
            self._names[key] = [name for name in known_names if name.tool]


def _logged(
    sessions: Collection[str], calls: Collection[CallKey]
) -> tuple[dict[str, SessionValues], dict[CallKey, list[CallName]]]:
    return logged_values(sessions), logged_names(calls)
