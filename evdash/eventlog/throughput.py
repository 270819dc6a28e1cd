"""How fast the groups have been lately, from what each of their batches noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from evdash.eventlog.models import GroupMinute
from evdash.eventlog.time_slots import MINUTE_S

MINUTES = 30
# The rate is that of so many minutes, the present one included: one minute alone jumps.
RATE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one group applied in one stream lately."""

    minutes: tuple[int, ...]  # events in each of the last MINUTES, oldest first, the present one last
    per_second: float  # events, over the last RATE_MINUTES
    ms_per_batch: float | None  # over the same time; None: there was no batch

    @property
    def in_words(self) -> str:
        """What was applied over the last RATE_MINUTES, and how fast where that is a speed."""
        lately = sum(self.minutes[-RATE_MINUTES:])
        speed = f" ({self.per_second:,.0f}/s)" if self.per_second >= 1 else ""
        return f"{lately:,} in {RATE_MINUTES} min{speed}"

    @property
    def most(self) -> int:
        """Events in the busiest of the minutes."""
        return max(self.minutes)


def throughput(stream: str, now: datetime) -> Mapping[str, Throughput]:
    """By group; a group that did nothing lately is not in it."""
    now_s = now.timestamp()
    last_s = int(now_s) // MINUTE_S * MINUTE_S
    first_s = last_s - (MINUTES - 1) * MINUTE_S
    rows = GroupMinute.objects.filter(position__stream__name=stream, start_s__gte=first_s, start_s__lte=last_s)
    by_group: dict[str, dict[int, tuple[int, int, int]]] = defaultdict(dict)
    for group, start_s, events, batches, apply_us in rows.values_list(
        "position__group", "start_s", "events", "batches", "apply_us"
    ):
        by_group[group][(start_s - first_s) // MINUTE_S] = (events, batches, apply_us)
    rate_s = now_s - last_s + (RATE_MINUTES - 1) * MINUTE_S
    return {group: _throughput(minutes, rate_s) for group, minutes in by_group.items()}


def _throughput(by_minute: Mapping[int, tuple[int, int, int]], rate_s: float) -> Throughput:
    lately = [done for minute, done in by_minute.items() if minute >= MINUTES - RATE_MINUTES]
    batches = sum(done[1] for done in lately)
    return Throughput(
        minutes=tuple(by_minute.get(minute, (0,))[0] for minute in range(MINUTES)),
        per_second=sum(done[0] for done in lately) / rate_s,
        ms_per_batch=sum(done[2] for done in lately) / 1000 / batches if batches else None,
    )
