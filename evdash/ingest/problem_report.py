"""The report of one worker about what keeps it from reading, for the pages (eventlog/worker_problems.py)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from django.db import DatabaseError, InterfaceError
from structlog.stdlib import get_logger

from evdash.eventlog.worker_problems import clear_problem, note_problem
from evdash.streams.client import Refused, StreamsUnavailable

logger = get_logger(__name__)

AGAIN_S: Final = 10.0
"""Interval at which a problem that stays is noted again."""


class ProblemReport:
    """The problems of one worker that SQL has, by stream; "" is all streams."""

    def __init__(self, group: str, consumer: str) -> None:
        self._group, self._consumer = group, consumer
        # A worker of the same name may have left a problem of all streams. Others become stale.
        self._noted: dict[str, str] = {"": ""}
        self._due_s = 0.0

    def update(self, problems: Mapping[str, StreamsUnavailable]) -> None:
        """Record that these are the problems now. While SQL fails, the next call tries again."""
        codes = {stream: error.code if isinstance(error, Refused) else "" for stream, error in problems.items()}
        if codes == self._noted and (not codes or time.monotonic() < self._due_s):
            return
        for stream in problems.keys() - self._noted.keys() - {""}:
            logger.warning("stream not readable", group=self._group, stream=stream, reason=str(problems[stream]))
        with suppress(DatabaseError, InterfaceError):
            for stream in self._noted.keys() - codes.keys():
                clear_problem(self._group, self._consumer, stream)
            for stream, code in codes.items():
                note_problem(self._group, self._consumer, stream, code, str(problems[stream]))
            self._noted = codes
            self._due_s = time.monotonic() + AGAIN_S
