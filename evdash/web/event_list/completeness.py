"""Completeness of the events on a page or in an export, as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evdash.eventlog.gaps import GAPS_MAX
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Coverage, MissingEntries, MissingInAll
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.web.formatting import format_count


@dataclass(frozen=True, slots=True)
class Completeness:
    """A statement on the completeness of a list of events, with its reason."""

    sentence: str
    is_complete: bool


def completeness(facts: UserSummary, coverage: Coverage, missing: MissingInAll) -> Completeness:
    """Return whether the list has all events of the user that the streams ever had."""
    events = f"{format_count(facts.events, 'event')} in {format_count(facts.sessions, 'session')}"
    if coverage.is_of_copies:
        return Completeness(f"{events} in this sandbox. A sandbox has only copied entries.", False)
    if coverage.unreachable:
        return Completeness(
            f"Possibly incomplete: {events}. Redis is unreachable, so newer events may be missing.", False
        )
    if coverage.behind_more:
        return Completeness(
            f"Incomplete: {events} so far. The event log is further behind than this page reads from the stream.", False
        )
    if missing.gaps:
        return Completeness(
            f"Possibly incomplete: {events}. {format_count(missing.gaps, 'gap')} ({_lost(missing)}) may include events "
            f"of this user. {_marked(missing.gaps)} in the list.",
            False,
        )
    if coverage.behind:
        return Completeness(
            f"Complete: {events}, from the event log plus "
            f"{format_count(coverage.behind, 'newer entry', 'newer entries')} from the stream.",
            True,
        )
    return Completeness(f"Complete: {events}. The event log has every entry up to the newest of the streams.", True)


def _lost(missing: MissingInAll) -> str:
    if not missing.entries:
        return "unknown number of entries"
    return f"{'' if missing.is_exact else 'at least '}{format_count(missing.entries, 'entry', 'entries')}"


def _marked(gaps: int) -> str:
    return "It is marked" if gaps == 1 else "They are marked"


def gaps_of_session(reader: Reader, facts: SessionSummary) -> tuple[MissingEntries, ...]:
    """Return the gaps that may include events of the session: without an end, also those after its last event."""
    return reader.gaps(facts.first_id.previous(), facts.last_id if facts.ended else EntryId.MAX)


def session_completeness(
    facts: SessionSummary, first: Event | None, coverage: Coverage, gaps: Sequence[MissingEntries]
) -> Completeness:
    """Return whether evdash has all events of the session. `gaps` are those that may include events of it."""
    doubts = ["These events are sandbox copies. A sandbox has only copied entries."] if coverage.is_of_copies else []
    if coverage.unreachable:
        doubts.append("Possibly incomplete: Redis is unreachable, so newer events may be missing.")
    if gaps:
        number = f"{GAPS_MAX} or more gaps" if len(gaps) >= GAPS_MAX else format_count(len(gaps), "gap")
        doubts.append(
            f"Possibly incomplete: {number} may include events of this session. {_marked(len(gaps))} where the entries "
            "were."
        )
    if first is None or not type_of(first.type).starts_session:
        doubts.append("Earlier events may be missing: the first event is not session.started.")
    if coverage.behind_more:
        doubts.append(
            "The event log was far behind the streams. All events are here, but the totals cover only the indexed part."
        )
    ended = "" if facts.ended else " The session had not ended."
    if doubts:
        return Completeness(f"{' '.join(doubts)}{ended}", False)
    return Completeness(f"Complete: no gap in the streams from the first event of the session.{ended}", True)
