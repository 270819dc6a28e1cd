"""The health conditions as pages show them, each with the link to the page about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.health.conditions import Condition
from evdash.health.current import Health
from evdash.web.formatting import format_count
from evdash.web.links import group_address, list_address, parked_address

ROWS: Final = 8


@dataclass(frozen=True, slots=True)
class ConditionView:
    """One condition and its link."""

    condition: Condition
    address: str
    label: str


@dataclass(frozen=True, slots=True)
class HealthPanel:
    """The gravest conditions, or the line for a healthy installation."""

    rows: tuple[ConditionView, ...]
    more: int
    calm: str  # "" if there are conditions, or while the state is unknown


def health_panel(health: Health) -> HealthPanel:
    """Return the conditions, at most ROWS of them.

    An outage of Redis is left out: every page has a notice of it.
    """
    shown = [condition for condition in health.conditions if condition.kind != "redis-unreachable"]
    return HealthPanel(
        rows=tuple(map(_view, shown[:ROWS])),
        more=max(0, len(shown) - ROWS),
        calm="" if shown or health.facts.unreachable else _calm(health),
    )


def streams_panel(health: Health) -> HealthPanel:
    """Return the conditions that the panels of the streams and their groups do not show."""
    shown = [each for each in health.conditions if each.kind in ("worker-refused", "stream-unreadable")]
    return HealthPanel(tuple(ConditionView(each, "", "") for each in shown), 0, "")


def _calm(health: Health) -> str:
    streams = health.facts.streams
    groups = sum(len(stream.groups) for stream in streams)
    return (
        f"No problems: {format_count(len(streams), 'stream')}, {format_count(groups, 'consumer group')}, "
        "none stuck, no parked entries, no gaps."
    )


def _view(condition: Condition) -> ConditionView:
    if condition.shows_parked:
        return ConditionView(condition, parked_address(condition.stream), "Open parked entries")
    if condition.group:
        return ConditionView(condition, group_address(condition.stream, condition.group), "Open group")
    if condition.stream or condition.kind == "worker-refused":
        return ConditionView(condition, list_address("streams"), "Open Streams")
    return ConditionView(condition, "", "")
