"""Retention: trimming of streams to the configured length or age, within the limits of all consumer groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from structlog.stdlib import get_logger

from evdash.eventlog.group_progress import compared_through
from evdash.events.entry import EntryId
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.retention import TrimRefused, retain
from evdash.streams.stream_info import stream_info

logger = get_logger(__name__)

STEPS_MAX = 20


@dataclass(slots=True)
class Retention:
    """Settings and state of trimming to a length or an age; 0 keeps everything."""

    consumer: GroupConsumer
    streams: Callable[[], Sequence[str]]  # those that the worker reads now
    own_groups: Collection[str]
    max_length: int
    exact: bool
    hours: int
    _logged_reasons: dict[str, str] = field(
        default_factory=dict
    )  # by stream, the last reason for holding entries; "" for none

    @property
    def is_configured(self) -> bool:
        """True if a length or an age is configured."""
        return bool(self.max_length or self.hours)

    def trim(self) -> int:
        """Trim every stream as far as is safe; return 0, since no entry is applied. Raises StreamsUnavailable."""
        for stream in self.streams():
            try:
                self._trim(stream)
            except TrimRefused as refusal:
                self._log_change(stream, str(refusal))
        return 0

    def _trim(self, stream: str) -> None:
        older_than = datetime.now(UTC) - timedelta(hours=self.hours) if self.hours else None
        removed = 0
        for _ in range(STEPS_MAX):
            step = retain(
                self.consumer.client,
                stream,
                max_length=self.max_length or None,
                older_than=older_than,
                approximate=not self.exact,
                own_groups=self.own_groups,
                through=self._compared_through(stream),
            )
            removed += step.removed
            if not step.more:
                break
        if removed:
            logger.info("stream trimmed", stream=stream, entries=removed)
        self._log_change(stream, step.holding)

    def _compared_through(self, stream: str) -> EntryId | None:
        """Return the entry ID up to which all own groups were reconciled with the stream.

        Other programs may have moved a group: only entries that are known to be in the tables are trimmed. None if the
        stream does not exist, or if Redis does not count added entries, so that reconciliation is impossible.
        """
        info = stream_info(self.consumer.client, stream)
        if info is None or info.entries_added is None:
            return None
        return compared_through(self.own_groups, stream)

    def _log_change(self, stream: str, holding: str) -> None:
        """Log when a stream starts or stops holding entries, not every half minute when its numbers change."""
        if bool(holding) != bool(self._logged_reasons.get(stream)):
            if holding:
                logger.warning("retention blocked", stream=stream, reason=holding)
            else:
                logger.info("retention resumed", stream=stream)
        self._logged_reasons[stream] = holding
