"""Streams: what Redis says of each stream and its consumer groups."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.eventlog.reader import open_reader
from evdash.streams.client import StreamsUnavailable, open_client, shown_address
from evdash.streams.info import GroupInfo, StreamInfo, group_infos, stream_info
from evdash.web.paging import newest
from evdash.web.rendering import page


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream; `info` is None when there is none of that name, `problem` says why it could not be asked."""

    name: str
    info: StreamInfo | None
    groups: tuple[GroupInfo, ...]
    problem: str
    events_address: str

    @property
    def removed(self) -> int | None:
        """Entries that were added once and are no longer in the stream; None when Redis does not know."""
        if self.info is None or self.info.entries_added is None:
            return None
        return max(0, self.info.entries_added - self.info.length)


def streams(request: HttpRequest) -> HttpResponse:
    """Every stream of the settings, asked now."""
    with open_reader() as reader:
        coverage = reader.coverage
        newest_events = newest(reader)
    with open_client(settings.EVDASH.redis_url) as client:
        views = [_asked(client, name) for name in settings.EVDASH.streams]
    context = {
        "streams": views,
        "server": shown_address(settings.EVDASH.redis_url),
        "audit_group": settings.EVDASH.audit_group,
    }
    return page(request, "streams/page.html", "Streams", context, coverage=coverage, events=newest_events)


def _asked(client: redis.Redis, name: str) -> StreamView:
    address = f"{reverse('events')}?{urlencode({'stream': name})}"
    try:
        return StreamView(name, stream_info(client, name), tuple(group_infos(client, name)), "", address)
    except StreamsUnavailable as outage:
        return StreamView(name, None, (), str(outage), address)
