"""Waiting for a Redis server that was started and is still loading its data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from evdash.streams.client import Refused, StillLoading, StreamsUnavailable, call

STALLED_S = 60.0
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of its data that a server has loaded. Sizes are 0 if the server does not report them."""

    loaded_bytes: int
    total_bytes: int
    waited_s: float


GoOn = Callable[[Progress], bool]


def wait_always(_progress: Progress) -> bool:
    """Return True: the `go_on` of callers that never stop waiting."""
    return True


def wait_until_loaded(client: redis.Redis, go_on: GoOn = wait_always) -> None:
    """Return when the server has all its data, or when `go_on` returns False.

    Each poll passes the progress to `go_on`.

    Raises StillLoading after a minute without progress, regardless of the size of the data. Raises
    StreamsUnavailable if the server is unreachable.
    """
    started = advanced = time.monotonic()
    loaded = 0
    was_loading = False
    while True:
        try:
            call(client, "PING")  # a loading server answers INFO, but not PING
        except StreamsUnavailable as unavailable:
            if isinstance(unavailable, Refused) and unavailable.is_missing_permission:
                return  # nothing else tells whether it is still loading; later calls report it
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
    """Return True if a loading server may have caused the failure.

    While it loads, the server serves its connections only after every 1,024 commands, and these may be long ones.
    """
    return isinstance(unavailable, StillLoading) or isinstance(unavailable.__cause__, redis.TimeoutError)


def _progress(client: redis.Redis, waited_s: float) -> Progress:
    try:
        persistence = call(client, "INFO", "persistence")
    except StreamsUnavailable:
        persistence = {}
    return Progress(
        int(persistence.get("loading_loaded_bytes", 0)), int(persistence.get("loading_total_bytes", 0)), waited_s
    )
