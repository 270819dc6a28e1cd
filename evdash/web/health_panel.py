"""The health conditions as pages show them, each with the link to the page about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.health.conditions import KINDS, Condition
from evdash.health.current import Health
from evdash.web.formatting import format_count
from evdash.web.links import group_address, list_address, parked_address

ROWS: Final = 8
RAILS: Final = {kind.name: kind.rail for kind in KINDS}


@dataclass(frozen=True, slots=True)
class ConditionView:
    """One condition and its link."""

    condition: Condition
    address: str
    label: str


@dataclass(frozen=True, slots=True)
class HealthPanel:
    """The most severe conditions, or the line for an installation without any."""

    rows: tuple[ConditionView, ...]
    more: int
    no_problems: str  # "" if there are conditions, or while the state is unknown


def health_panel(health: Health) -> HealthPanel:
    """Return the conditions, at most ROWS of them.

    An outage of Redis is left out: every page has a notice of it.
    """
    shown = [condition for condition in health.conditions if condition.kind != "redis-unreachable"]
    return HealthPanel(
        rows=tuple(map(_view, shown[:ROWS])),
        more=max(0, len(shown) - ROWS),
        no_problems="" if shown or health.facts.unreachable else _no_problems(health),
    )


def streams_panel(health: Health) -> HealthPanel:
    """Return the conditions that the panels of the streams and their groups do not show."""
    kinds = ("redis-writes-refused", "worker-refused", "stream-unreadable")
    shown = [each for each in health.conditions if each.kind in kinds]
    return HealthPanel(tuple(ConditionView(each, "", "") for each in shown), 0, "")


def _no_problems(health: Health) -> str:
    streams = health.facts.streams
    groups = [group for stream in streams for group in stream.groups]
    stuck = "none stuck" if all(group.has_known_consumers for group in groups) else "their consumers unknown"
    parked = "parked entries unknown" if any(stream.parked is None for stream in streams) else "no parked entries"
    return (
        f"No problems: {format_count(len(streams), 'stream')}, {format_count(len(groups), 'consumer group')}, "
        f"{stuck}, {parked}, no gaps."
    )


def _view(condition: Condition) -> ConditionView:
    if condition.shows_parked:
        return ConditionView(condition, parked_address(condition.stream), "Open parked entries")
    if condition.group:
        return ConditionView(condition, group_address(condition.stream, condition.group), "Open group")
    if RAILS[condition.kind] == "streams":
        return ConditionView(condition, list_address("streams"), "Open Streams")
    return ConditionView(condition, "", "")
