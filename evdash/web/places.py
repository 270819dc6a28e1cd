"""Where the marks of a timeline stand across, so that none lies on another of its lane.

Many producers say whole seconds. Events whose times even the closest look (static/session/zoom.js) cannot tell apart
stand beside each other in the order of time and, for equal times, of the stream, as wide apart as is easily pointed at
or as the room before the next event of any lane allows. Where that is too little, they stay at one place, and those of
a lane are one mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from evdash.events.event import Event
from evdash.web.scale import Scale

# Per cent of the width, which is some 1,100 pixels on a wide screen.
APART_AT_LEAST: Final = 0.2  # of a mark, three pixels wide, most is seen
APART_EASILY: Final = 0.7  # it is seen whole, with room to point at it
SAME_PLACE: Final = 0.005  # three pixels at the closest look


def places(events: Sequence[Event], lanes: Sequence[str], scale: Scale) -> list[float]:
    """The place of each event. Of two events the later one, or at equal times the one that comes later among these,
    never stands before the other; and none stands past the next one that has a place of its own."""
    found = [0.0] * len(events)
    clusters = list(_clusters(events, scale))
    for cluster, following in zip(clusters, [*clusters[1:], []], strict=True):
        start = scale.x(events[cluster[0]].occurred_us)
        end = scale.x(events[following[0]].occurred_us) if following else 100.0
        room = min(end, scale.idle_after(events[cluster[-1]].occurred_us)) - start
        steps = _steps([lanes[index] for index in cluster])
        apart = min(APART_EASILY, room / (steps[-1] + 1))
        for index, step in zip(cluster, steps, strict=True):
            found[index] = round(start + step * apart, 3) if apart >= APART_AT_LEAST else start
    return found


def _clusters(events: Sequence[Event], scale: Scale) -> Iterator[list[int]]:
    """The indices of the events in the order of their times, those together that are at the same place."""
    cluster: list[int] = []
    for index in sorted(range(len(events)), key=lambda index: events[index].occurred_us):
        x = scale.x(events[index].occurred_us)
        if cluster and x - scale.x(events[cluster[0]].occurred_us) >= SAME_PLACE:
            yield cluster
            cluster = []
        cluster.append(index)
    if cluster:
        yield cluster


def _steps(lanes: Sequence[str]) -> list[int]:
    """For each event how many steps on it stands: one more than the one before it in its lane, and never back."""
    steps: list[int] = []
    last: dict[str, int] = {}
    step = 0
    for lane in lanes:
        step = max(step, last.get(lane, -1) + 1)
        last[lane] = step
        steps.append(step)
    return steps
