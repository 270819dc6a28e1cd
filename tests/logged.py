"""What evdash logged, for tests: event names and fields, not text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest

from evdash.logs import formatter


def logged(caplog: pytest.LogCaptureFixture, at_least: int = logging.INFO) -> list[dict[str, Any]]:
    """The records of evdash's modules at this level or above, each as its fields: `event` is the name."""
    records = [record for record in caplog.records if record.name.startswith("evdash.")]
    assert all(isinstance(record.msg, dict) for record in records), "a record without structlog"
    return [dict(record.msg) for record in records if record.levelno >= at_least]  # type: ignore[call-overload]


@contextmanager
def written(log_format: str, name: str) -> Iterator[StringIO]:
    """What the handler of the processes would write of this logger's records, in this format."""
    output = StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter(log_format))
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield output
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
