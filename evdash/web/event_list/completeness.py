"""Completeness of the events on a page or in an export, as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evdash.eventlog.gaps import GAPS_MAX
from evdash.eventlog.records import Coverage, MissingEntries, MissingInAll
from evdash.events.event import Event
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.web.formatting import format_count


@dataclass(frozen=True, slots=True)
class Completeness:
    """A statement on the completeness of a list of events, with its reason."""

    sentence: str
    is_complete: bool


def completeness(facts: UserSummary, coverage: Coverage, missing: MissingInAll) -> Completeness:
    """Return whether the list has all events of the user that the streams ever had."""
    events = f"{format_count(facts.events, 'event')} of this user in {format_count(facts.sessions, 'session')}"
    if coverage.is_of_copies:
        return Completeness(f"{events} in this sandbox, which holds what was copied into it and no more.", False)
    if coverage.unreachable:
        return Completeness(f"{events} in the log. Redis is unreachable, so newer events may be missing.", False)
    if coverage.behind_more:
        return Completeness(
            f"{events} so far. The log is behind the stream by more than this page reads, so events are missing.", False
        )
    if missing.gaps:
        return Completeness(
            f"{events}. {_lost(missing)}, in {format_count(missing.gaps, 'gap')} shown where the entries were: "
            "whether any of them were this user's nobody knows.",
            False,
        )
    if coverage.behind:
        return Completeness(
            f"{events}, complete: everything up to the log's mark is in the log, and the {coverage.behind:,} entries "
            "after it were read from the stream for this page.",
            True,
        )
    return Completeness(f"{events}, complete: the log holds every entry up to the newest of the streams.", True)


def _lost(missing: MissingInAll) -> str:
    entries = f"{'' if missing.is_exact else 'At least '}{format_count(missing.entries, 'entry', 'entries')}"
    if not missing.entries:
        entries = "An unknown number of entries"
    return f"{entries} of the streams {'is' if missing.entries == 1 else 'are'} missing from the log"


def session_completeness(
    facts: SessionSummary, first: Event | None, coverage: Coverage, gaps: Sequence[MissingEntries]
) -> Completeness:
    """Return whether an export has all events of the session. `gaps` are those between its first and last event."""
    doubts = ["These are copies in a sandbox, which holds what was copied into it."] if coverage.is_of_copies else []
    if gaps:
        number = f"{GAPS_MAX} or more gaps" if len(gaps) >= GAPS_MAX else format_count(len(gaps), "gap")
        doubts.append(
            f"Entries of the streams are missing from the log, in {number} shown where the entries were: whether any "
            "of them were this session's nobody knows."
        )
    if first is None or first.type != "session.started":
        doubts.append("The first event that is known is no session.started: what came before it may be missing.")
    if coverage.behind_more:
        doubts.append(
            "The log was far behind the streams: all events are here, but the numbers of the session are of the part "
            "that had been counted."
        )
    ended = "" if facts.ended else " It had no end yet."
    if doubts:
        return Completeness(f"{' '.join(doubts)}{ended}", False)
    return Completeness(
        f"Complete: from the session's first event on, no entry of the streams is missing from the log.{ended}", True
    )
