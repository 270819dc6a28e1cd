"""A decoder of an earlier day: it does not know some field names, so that columns and read models lack their values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from evdash.eventlog.models import Decoder
from evdash.events import decoding
from evdash.events.decoding import decode
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.events.wire_profile import DEFAULT_PROFILE

PROFILE = replace(
    DEFAULT_PROFILE, event_id=(), user_id=("userId",), agent=(), tool=(), latency_ms=(), timestamp=("ts",), code=()
)


def decode_as_before(entry: Entry) -> Event:
    """Return the event as the older decoder makes it."""
    return decode(entry, PROFILE)


@contextmanager
def older_decoder() -> Iterator[None]:
    """Within the block, rows are recorded as written by the older decoder."""
    version = decoding.DECODER_VERSION
    decoding.DECODER_VERSION = 0
    try:
        yield
    finally:
        decoding.DECODER_VERSION = version


def all_workers_stop() -> None:
    """Make it long ago that a worker of any decoder ran."""
    Decoder.objects.update(last_used_at=timezone.now() - timedelta(days=1))
