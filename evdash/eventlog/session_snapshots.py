"""The state of a session at any of its events, folded from the nearest snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from structlog.stdlib import get_logger

from evdash.eventlog.gaps import GAPS_MAX, gaps_that_end
from evdash.eventlog.models import LoggedEvent, SessionSnapshot
from evdash.eventlog.records import EventPage, MissingEntries, Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.session.reducer import fold, position, with_gap, without_beginning
from evdash.events.session.snapshot import UnreadableSnapshot, dump, load
from evdash.events.session.state import NOT_STARTED, SessionState

logger = get_logger(__name__)

_STEP = 500
# A stored state of 20,000 events takes 1.5 MB. Above _KEPT_MAX stored states the interval between two of them doubles.
KEPT_EVERY = 1_000
_KEPT_MAX = 32


class SessionPages(Protocol):
    """The part of a reader that `steps` needs."""

    def page(self, filter: EventFilter, *, after: Position | None, oldest_first: bool, limit: int) -> EventPage: ...

    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]: ...

    @property
    def logged_through(self) -> EntryId:
        """The entry ID up to which the log has every entry of all streams."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a session, with the states before and after it."""

    before: SessionState
    event: Event
    after: SessionState


def steps(reader: SessionPages, session_id: str, through: EntryId | None, history: int = 1) -> Iterator[Step]:
    """Yield the session's events up to an entry ID (None: all), each with its states, from the nearest snapshot on.

    Yields at least `history` of them, or all events. Stores snapshots that are due, for events that are permanently in
    the log. Raises no errors of its own. If events at the beginning or in between are missing, the states record it.
    """
    final = reader.logged_through
    state, place = _nearest(session_id, through, history, final)
    within = EventFilter().also("session", session_id)
    while True:
        page = reader.page(within, after=place, oldest_first=True, limit=_STEP)
        gaps = list(page.gaps)
        for event in page.events:
            if through is not None and event.entry_id > through:
                return
            if not state.folded and not type_of(event.type).starts_session and reader.gaps(EntryId.MIN, event.entry_id):
                state = without_beginning(None)
            while gaps and gaps[0].last_id <= event.entry_id:
                gap = gaps.pop(0)
                state = with_gap(state, position(event), gap.entries, gap.kind) if state.folded else state
            before, state = state, fold(state, event)
            if _is_due(state) and event.entry_id <= final:
                _keep(session_id, event.entry_id, state)
            yield Step(before, event, state)
        if page.newer is None:
            return
        place = page.newer


def keep_states(reader: SessionPages, session_id: str, through: EntryId) -> Iterator[None]:
    """Store the snapshots that are due up to an entry ID; yield after every event, so that the caller can pause.

    The log must contain every entry up to that ID.
    """
    kept = SessionSnapshot.objects.filter(session_id=session_id).order_by("-entry_id")
    last_id, folded = kept.values_list("entry_id", "folded").first() or (EntryId.MIN, 0)
    logged = LoggedEvent.objects.filter(session_id=session_id, entry_id__gt=last_id, entry_id__lte=through)
    there = folded + logged.count()
    due = there - there % _every(there)
    if due > folded:
        for step in steps(reader, session_id, through):
            yield
            if step.after.folded >= due:
                return


def _is_due(state: SessionState) -> bool:
    return state.folded % _every(state.folded) == 0


def _every(events: int) -> int:
    """Return the number of events between two snapshots: 1,000, in long sessions 2,000, 4,000 and so on."""
    every = KEPT_EVERY
    while events > _KEPT_MAX * every:
        every *= 2
    return every


def _nearest(
    session_id: str, through: EntryId | None, history: int, final: EntryId
) -> tuple[SessionState, Position | None]:
    """Return the last snapshot with at least `history` events between it and an entry ID, and its position.

    A snapshot is used under two conditions. No stream has uncommitted entries before it, and the log has exactly the
    events that it was folded from. Otherwise the start of the session is returned.
    """
    logged = LoggedEvent.objects.filter(session_id=session_id)
    counted = logged if through is None else logged.filter(entry_id__lte=through)
    first = counted.order_by("-entry_id").values_list("entry_id", flat=True)[history - 1 : history].first()
    if first is None:
        return NOT_STARTED, None
    kept = SessionSnapshot.objects.filter(session_id=session_id, entry_id__lt=first, entry_id__lte=final)
    snapshot = kept.order_by("-entry_id").first()
    if snapshot is None:
        return NOT_STARTED, None
    try:
        state = load(bytes(snapshot.state))
        _refuse_outgrown(state, logged.filter(entry_id__lte=snapshot.entry_id), snapshot.entry_id)
        return state, Position.parse(state.at)
    except UnreadableSnapshot as error:
        logger.info("snapshots discarded", session_id=session_id, reason=str(error))
        SessionSnapshot.objects.filter(session_id=session_id).delete()
        return NOT_STARTED, None


def _refuse_outgrown(state: SessionState, logged: QuerySet[LoggedEvent], through: EntryId) -> None:
    """Raise UnreadableSnapshot if entries, or gaps between them, were added since the state was folded."""
    logged_events = logged.count()
    if logged_events != state.folded:
        raise UnreadableSnapshot(
            f"the event log has {logged_events:,} events up to it, the snapshot has {state.folded:,}"
        )
    first = logged.order_by("entry_id").values_list("entry_id", flat=True)[0]
    logged_gaps = gaps_that_end(first, through)
    folded_gaps = (len(state.gaps), sum(gap.entries or 0 for gap in state.gaps))
    # A page reports at most GAPS_MAX gaps, and so does a state: larger numbers cannot be compared.
    if logged_gaps[0] <= GAPS_MAX and logged_gaps != folded_gaps:
        raise UnreadableSnapshot(
            f"the event log has {logged_gaps[0]:,} gaps up to it, the snapshot has {folded_gaps[0]:,}, or smaller ones"
        )


def _keep(session_id: str, entry_id: EntryId, state: SessionState) -> None:
    if SessionSnapshot.objects.filter(session_id=session_id, entry_id=entry_id).exists():
        return
    snapshot = SessionSnapshot(session_id=session_id, entry_id=entry_id, folded=state.folded, state=dump(state))
    try:
        with transaction.atomic():
            SessionSnapshot.objects.bulk_create([snapshot], ignore_conflicts=True)
    except DatabaseError as error:  # a snapshot only saves time: the next reading stores it
        logger.warning("snapshot not stored", session_id=session_id, entry_id=entry_id, reason=str(error))
