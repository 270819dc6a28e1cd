"""Sandboxes as data for the pages: their contents and the origin of their entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import redis
from django.conf import settings

from evdash.events.event import Event
from evdash.replay.replay import ALIVE_EVERY_S
from evdash.streams.client import StreamsUnavailable
from evdash.streams.sandbox import Provenance, Sandbox, origin, sandbox, sandboxes, why_no_sandbox
from evdash.web.formatting import format_count
from evdash.web.links import event_address, sandbox_address, sandbox_operation_address
from evdash.web.url_prefix import without_prefix

SILENT_S: Final = 4 * ALIVE_EVERY_S
"""Seconds without a sign of life after which a replay counts as broken off."""


@dataclass(frozen=True, slots=True)
class SandboxView:
    """One sandbox."""

    sandbox: Sandbox

    @property
    def address(self) -> str:
        return sandbox_address(self.sandbox.name)

    @property
    def delete_address(self) -> str:
        with without_prefix():
            return sandbox_operation_address("delete-sandbox", stream=self.sandbox.name)

    @property
    def entries(self) -> int:
        return self.sandbox.info.length if self.sandbox.info else 0

    @property
    def replays(self) -> tuple[ReplayView, ...]:
        """The replays into the sandbox, newest first."""
        return tuple(ReplayView(replay) for replay in reversed(self.sandbox.replays))


@dataclass(frozen=True, slots=True)
class ReplayView:
    """One replay into a sandbox."""

    provenance: Provenance

    @property
    def did(self) -> str:
        """The number of copied entries, their streams, IDs and pace, in words."""
        provenance = self.provenance
        of = f" of {', '.join(provenance.sources)}" if provenance.sources else ""
        ids = "their original" if provenance.ids == "original" else "new"
        return f"{format_count(provenance.entries, 'entry', 'entries')}{of}, with {ids} IDs, {provenance.pace}"

    @property
    def is_under_way(self) -> bool:
        """True if the replay still copies, by its last sign of life."""
        provenance = self.provenance
        return (
            provenance.ended_at is None
            and provenance.heard_at is not None
            and datetime.now(UTC) - provenance.heard_at < timedelta(seconds=SILENT_S)
        )

    @property
    def trouble(self) -> str:
        """The reason for missing entries; "" if all were copied, or while the replay copies."""
        provenance = self.provenance
        if provenance.ended_at is not None or self.is_under_way:
            return provenance.outcome
        heard = f" since {provenance.heard_at:%Y-%m-%d %H:%M:%S} UTC" if provenance.heard_at else ""
        return f"Interrupted: no progress{heard}."


def is_sandbox(stream: str) -> bool:
    """Return whether the name can be that of a sandbox."""
    return not why_no_sandbox(stream, settings.EVDASH.sandbox_prefix, settings.EVDASH.streams)


def sandbox_views(client: redis.Redis) -> tuple[SandboxView, ...]:
    """Return all sandboxes. Return none if Redis does not answer; the page reports that with its streams."""
    try:
        return tuple(map(SandboxView, sandboxes(client, settings.EVDASH.sandbox_prefix)))
    except StreamsUnavailable:
        return ()


def original_address(client: redis.Redis, event: Event) -> str:
    """Return the address of the entry that this sandbox entry is a copy of; "" if the origin is not known."""
    with without_prefix():
        if came_from := origin(client, event.stream, event.entry_id):
            return event_address(*came_from)
        existing = sandbox(client, event.stream)
        within = [
            replay
            for replay in (existing.replays if existing else ())
            if replay.ids == "original" and replay.first_id and replay.last_id
            if replay.first_id <= event.entry_id <= replay.last_id
        ]
        # With original IDs, a replay of several streams does not record the stream of each entry.
        return event_address(within[0].sources[0], event.entry_id) if within and len(within[0].sources) == 1 else ""
