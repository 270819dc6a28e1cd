"""Preparation of a process that runs for long, before it starts its work."""

from __future__ import annotations

import gc
from typing import Final

from django.urls import get_resolver

# The tail holds some 400,000 objects that live for seconds. With Python's default thresholds, a process that received
# 1,000 events a second spent 40 % of its time on garbage collection. Every thread waited, up to 0.5 s at a time. In a
# worker it was a sixth of its time. The values: new objects per collection, then collections of one generation per
# collection of the next.
THRESHOLDS: Final = (50_000, 20, 20)


def load_all() -> None:
    """Import every view now. Otherwise the first row or page imports them; in a process for sockets, its event loop."""
    _ = get_resolver().url_patterns


def collect_seldom() -> None:
    """Exclude all objects loaded so far from later garbage collections, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
