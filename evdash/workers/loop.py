"""The loop around a worker: waiting, back-off after an outage, and an orderly end."""

from __future__ import annotations

import logging
import random
import threading
import time

from django.db import connection

from evdash.streams.groups import GroupMissing
from evdash.workers.gathering import gather
from evdash.workers.outages import OUTAGES
from evdash.workers.upkeep import Upkeep

logger = logging.getLogger("evdash.workers")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


def run(
    upkeep: Upkeep, stop: threading.Event, *, block_ms: int, batch_ms: int = 0, until_caught_up: bool = False
) -> int:
    """Carry batches over until `stop` is set, or with `until_caught_up` until none is left.

    Between two batches entries gather for up to `batch_ms` (gathering.py), never with `until_caught_up`.
    Returns how many entries were carried over. An outage of Redis or SQL is logged once and waited out; with
    `until_caught_up` it is raised instead, because then somebody waits for the end.
    """
    worker = upkeep.worker
    group = worker.projection.group
    carried = 0
    connected = False
    pause_s = FIRST_PAUSE_S
    failed_at_s: float | None = None  # the end of the last pause; None: there is no outage
    while not stop.is_set():
        try:
            if not connected:
                upkeep.connect()
                connected = True
            handled = worker.step(0 if until_caught_up else block_ms)
            handled += upkeep.run(idle=handled == 0, all_now=until_caught_up and handled == 0)
            carried += handled
            if not until_caught_up:
                gather(worker, stop, batch_ms)
        except OUTAGES as error:
            if until_caught_up and not isinstance(error, GroupMissing):
                raise
            if failed_at_s is None:
                logger.warning("%s: %s Trying again until it works.", group, str(error).rstrip(".") + ".")
            connected = False
            connection.close()
            stop.wait(pause_s * random.uniform(0.5, 1.5))
            failed_at_s = time.monotonic()
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            continue
        # Over only when it has worked for as long as was waited last: something may work, and the next thing not.
        if failed_at_s is not None and time.monotonic() - failed_at_s >= pause_s / 2:
            logger.info("%s: it works again.", group)
            failed_at_s, pause_s = None, FIRST_PAUSE_S
        if handled == 0 and until_caught_up:
            if worker.retry_in_s is None:
                break
            stop.wait(worker.retry_in_s)
    return carried
