"""Questions about a Redis server before evdash works with it."""

from __future__ import annotations

import redis

from evdash.streams.client import Refused, call
from evdash.streams.names import name_of

SCANS_MAX = 20
"""Calls of SCAN for one pattern, of 1,000 keys each."""


def is_cluster(client: redis.Redis) -> bool:
    """Return whether the server is a node of a Redis Cluster. False if this user may not run INFO."""
    try:
        return bool(call(client, "INFO", "cluster").get("cluster_enabled"))
    except Refused:
        return False


def streams_like(client: redis.Redis, pattern: str, at_most: int) -> list[str]:
    """Return the names of streams that match a glob pattern, sorted; at most `at_most` of those found.

    Large databases are searched in part. Empty if this user may not run SCAN.
    """
    found: set[str] = set()
    cursor = 0
    try:
        for _ in range(SCANS_MAX):
            cursor, keys = call(client, "SCAN", cursor, "MATCH", pattern, "COUNT", 1000, "TYPE", "stream")
            found |= set(map(name_of, keys))
            if not int(cursor) or len(found) >= at_most:
                break
    except Refused:
        return []
    return sorted(found)[:at_most]
