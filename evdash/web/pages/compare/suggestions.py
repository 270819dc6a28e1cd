"""Sessions to compare a session with: of the same user, or of the same agent and model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.selections import ListPosition
from evdash.events.filters.summary_filter import sessions_of_user
from evdash.events.summaries import SessionSummary
from evdash.web.links import compare_address

_SUGGESTED: Final = 20
_LOOKED_AT: Final = 50
_LINKS: Final = 4


def suggest_comparisons(reader: Reader, of: SessionSummary | None = None) -> tuple[SessionSummary, ...]:
    """Return recent sessions of the same user, then of the same agent; without a session, the most recent ones."""
    recent = reader.sessions(position=ListPosition(limit=_LOOKED_AT)).sessions
    if of is None:
        return recent[:_SUGGESTED]
    own = reader.sessions(sessions_of_user(of.user_id), ListPosition(limit=_SUGGESTED + 1)) if of.user_id else None
    suggestions = own.sessions if own else ()
    agent = of.agent.text
    suggestions += tuple(each for each in recent if agent and each.agent.text == agent and each not in suggestions)
    return tuple(suggestion for suggestion in suggestions if suggestion.session_id != of.session_id)[:_SUGGESTED]


@dataclass(frozen=True, slots=True)
class SuggestedLink:
    """A link to the comparison with a session."""

    session: SessionSummary
    address: str


@dataclass(frozen=True, slots=True)
class SuggestedGroup:
    """Sessions that have something in common with the first one, the newest first."""

    label: str
    links: tuple[SuggestedLink, ...]


def suggested_groups(
    of: SessionSummary, suggestions: tuple[SessionSummary, ...], b: str = ""
) -> tuple[SuggestedGroup, ...]:
    """Return groups of these sessions without the session `b`: each with at most _LINKS links, none empty.

    A session is in the first group that it belongs to. The user comes first, because trials of one task have the same.
    """
    remaining = [each for each in suggestions if each.session_id != b]
    groups: list[SuggestedGroup] = []
    for label, is_in in (
        ("Same user, other outcome", lambda each: _is_of_user(each, of) and each.end != of.end),
        ("Same user, same outcome", lambda each: _is_of_user(each, of)),
        ("Same agent and model, other outcome", lambda each: _has_model(each, of) and each.end != of.end),
    ):
        chosen = [each for each in remaining if is_in(each)]
        remaining = [each for each in remaining if each not in chosen]
        if chosen:
            links = (SuggestedLink(each, compare_address(of.session_id, each.session_id)) for each in chosen[:_LINKS])
            groups.append(SuggestedGroup(label, tuple(links)))
    return tuple(groups)


def _is_of_user(session: SessionSummary, of: SessionSummary) -> bool:
    return bool(of.user_id) and session.user_id == of.user_id


def _has_model(session: SessionSummary, of: SessionSummary) -> bool:
    return (session.agent.text, session.model.text) == (of.agent.text, of.model.text)
