"""The operation that trims a stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands.outcomes import OperationRefused, Outcome, Preview, entries_in_words, stream_state
from evdash.streams.retention import TrimPlan, TrimRefused, plan_trim, trim

# The most steps of one trim to a length: a million entries, in some ten seconds.
STEPS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """Removal of the oldest entries, by length, age or ID. The bound that removes most counts.

    Entries that a group still needs are never removed.
    """

    action: ClassVar[str] = "trim"
    stream: str
    max_length: int | None = None
    older_than: datetime | None = None
    min_id: EntryId | None = None
    approximate: bool = False
    own_groups: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The operation in plain language."""
        bounds = []
        if self.max_length is not None:
            bounds.append(f"to {entries_in_words(self.max_length)}")
        if self.older_than is not None:
            bounds.append(f"of entries older than {self.older_than.isoformat(sep=' ', timespec='seconds')}")
        if self.min_id is not None:
            bounds.append(f"of entries before {self.min_id}")
        return f"Trim {self.stream} {' and '.join(bounds)}".rstrip()

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            plan = self._first_plan(client)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))
        roughly = " Approximate: some hundred entries more may stay." if self.approximate else ""
        affected = plan.entries.number + plan.later if plan.entries.exact else None
        return Preview(f"{plan}{roughly}", affected, before_id=None if plan.later else plan.min_id)

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the trim in steps, and stop before entries that a group still needs. Raises OperationRefused."""
        plan = self._first_plan(client)
        before = stream_state(client, self.stream)
        removed = 0
        stopped = ""
        try:
            for _ in range(STEPS_MAX):
                step = trim(client, plan, approximate=self.approximate).removed
                removed += step
                if not step or not plan.later:
                    break
                plan = self._plan(client)
            else:
                stopped = (
                    f"{entries_in_words(plan.entries.number + plan.later)} more can be trimmed. Repeat the operation."
                )
        except (TrimRefused, OperationRefused) as refused:
            if not removed:
                raise OperationRefused(str(refused)) from refused
            stopped = str(refused)
        except StreamsUnavailable as unavailable:
            if not removed:
                raise
            stopped = str(unavailable)
        return Outcome(
            done=removed,
            stopped=stopped,
            sentence=self._did(removed),
            before=before,
            after=stream_state(client, self.stream),
        )

    def _did(self, removed: int) -> str:
        if removed:
            return f"{entries_in_words(removed)} of {self.stream} {'was' if removed == 1 else 'were'} trimmed."
        why = ": an approximate trim removes whole nodes only" if self.approximate else ""
        return f"No entry of {self.stream} was trimmed{why}."

    def _first_plan(self, client: redis.Redis) -> TrimPlan:
        plan = self._plan(client)
        if not plan.entries.number:
            raise OperationRefused(str(plan))
        return plan

    def _plan(self, client: redis.Redis) -> TrimPlan:
        if self.max_length is None and self.older_than is None and self.min_id is None:
            raise OperationRefused("Specify a length, an age or an entry ID.")
        if self.max_length is not None and self.max_length < 0:
            raise OperationRefused(f"Length {self.max_length:,} is not valid (0 or more).")
        try:
            return plan_trim(
                client,
                self.stream,
                max_length=self.max_length,
                older_than=self.older_than,
                min_id=self.min_id,
                own_groups=self.own_groups,
            )
        except TrimRefused as refused:
            raise OperationRefused(str(refused)) from refused
