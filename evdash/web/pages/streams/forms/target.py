"""Reads from Redis for the suggestions and arguments of the forms."""

from __future__ import annotations

import redis

from evdash.eventlog.consumer_reads import claims_on
from evdash.streams.dead_letters import parked_entries
from evdash.streams.stream_info import group_infos, stream_info
from evdash.web.pages.streams.forms.base import PARKED_MAX, OperationTarget
from evdash.web.pages.streams.stream import health_of, own_groups


def operation_target(client: redis.Redis, stream: str, group: str, *, with_parked: bool = False) -> OperationTarget:
    """Return the stream and its group ("" for none) as of now. Raise StreamsUnavailable."""
    parked = parked_entries(client, stream, count=PARKED_MAX) if with_parked else []
    infos = {info.name: info for info in group_infos(client, stream)} if group else {}
    info, group_info = stream_info(client, stream), infos.get(group)
    return OperationTarget(
        stream=stream,
        info=info,
        group=group,
        group_info=group_info,
        health=health_of(claims_on([stream]), stream, info, group, group_info) if info and group_info else None,
        own_groups=frozenset(own_groups()),
        parked_ids=tuple(each.parked_id for each in parked),
    )
