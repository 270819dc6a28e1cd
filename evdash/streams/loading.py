"""Waiting for a Redis that has been started and is still loading its data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from evdash.streams.client import StillLoading, StreamsUnavailable, call

STALLED_S = 60.0
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a server has loaded its data. Zeros where it does not tell."""

    loaded_bytes: int
    total_bytes: int
    waited_s: float


GoOn = Callable[[Progress], bool]


def wait_always(_progress: Progress) -> bool:
    """The `go_on` of those who are interrupted by nothing."""
    return True


def wait_until_loaded(client: redis.Redis, go_on: GoOn = wait_always) -> None:
    """Return as soon as the server has all its data, or when `go_on`, told the progress at every look, says no.

    Raises StillLoading when it has got no further for a minute, however large its data, StreamsUnavailable when it
    cannot be reached.
    """
    started = advanced = time.monotonic()
    loaded = 0
    was_loading = False
    while True:
        try:
            call(client, "PING")  # INFO is answered while data is being loaded, PING is not
        except StreamsUnavailable as unavailable:
            was_loading = was_loading or isinstance(unavailable, StillLoading)
            if not was_loading or not _is_busy(unavailable):
                raise
            progress = _progress(client, time.monotonic() - started)
            if progress.loaded_bytes > loaded:
                loaded, advanced = progress.loaded_bytes, time.monotonic()
            if time.monotonic() - advanced > STALLED_S:
                raise
            if not go_on(progress):
                return
            time.sleep(LOOK_EVERY_S)
        else:
            return


def _is_busy(unavailable: StreamsUnavailable) -> bool:
    """Loading, it looks at its connections after every 1,024 commands only, which may be long ones."""
    return isinstance(unavailable, StillLoading) or isinstance(unavailable.__cause__, redis.TimeoutError)


def _progress(client: redis.Redis, waited_s: float) -> Progress:
    try:
        told = call(client, "INFO", "persistence")
    except StreamsUnavailable:
        told = {}
    return Progress(int(told.get("loading_loaded_bytes", 0)), int(told.get("loading_total_bytes", 0)), waited_s)
