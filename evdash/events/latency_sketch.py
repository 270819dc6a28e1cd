"""Mergeable buckets of latencies, and their percentiles.

The buckets are those of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12, 2019). They are logarithmic, so a percentile is within 5 % of the exact one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

RELATIVE_ERROR = 0.05
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)
# A latency below a microsecond counts as zero.
_LEAST_MS = 0.001
NO_TIME = math.ceil(math.log(_LEAST_MS) / _LOG_GAMMA) - 1


def bucket_of(latency_ms: float) -> int:
    """Return the number of the bucket for this latency."""
    return NO_TIME if latency_ms < _LEAST_MS else math.ceil(math.log(latency_ms) / _LOG_GAMMA)


def latency_ms_of(bucket: int) -> float:
    """Return the latency that represents a bucket, within RELATIVE_ERROR of all its members."""
    return 0.0 if bucket == NO_TIME else 2 * _GAMMA**bucket / (_GAMMA + 1)


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency that this share (0 to 1) of all does not exceed; None without any.

    `counts`: the number of latencies in each bucket.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    rank = max(1, math.ceil(share * total))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return latency_ms_of(bucket)
    return latency_ms_of(max(counts))
