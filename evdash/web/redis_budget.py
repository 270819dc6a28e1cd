"""A middleware that limits the total time of a page's calls to Redis."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from evdash.streams.budget import PAGE_BUDGET_S, redis_budget


class RedisBudget:
    """A middleware that limits each page to PAGE_BUDGET_S of waiting for Redis.

    Only GET and HEAD requests are limited: a request that changes something (POST) may take the time it needs.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return self._get_response(request)
        with redis_budget(PAGE_BUDGET_S) as budget:
            response = self._get_response(request)
        if budget.is_spent:
            from evdash.metrics import REDIS_DEADLINE_HITS  # imported here because commands import middleware, too

            REDIS_DEADLINE_HITS.inc()
        return response
