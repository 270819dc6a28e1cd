"""What a web process does before it serves."""

from __future__ import annotations

import gc
from typing import Final

from django.urls import get_resolver

# The tail holds some 400,000 objects that live for seconds. With Python's own thresholds, a process that took in 1,000
# events a second spent 40 % of its time on looking through them, up to 0.5 s at once, while every thread waited. Here:
# new objects that bring about a collection, and how many collections of one generation bring about one of the next.
THRESHOLDS: Final = (50_000, 20, 20)


def load_all() -> None:
    """Import every view now: the first row or page would, and a process for sockets would do so in its event loop."""
    _ = get_resolver().url_patterns


def collect_seldom() -> None:
    """Leave what is loaded by now out of every later collection, and collect what comes seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
