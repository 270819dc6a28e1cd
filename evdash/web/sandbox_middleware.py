"""A middleware that serves the pages of evdash below /sandboxes/<name>/, where they read only that sandbox.

Views are unaware of sandboxes: `reverse()` adds the URL prefix and `open_reader()` returns the sandbox's reader. Pages
without events (streams, the audit log, accounts) do not have the prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final
from urllib.parse import unquote

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.encoding import escape_uri_path
from django.utils.functional import cached_property

from evdash.eventlog.current_reader import override_reader, shared_client
from evdash.events.event import Event
from evdash.replay.sandbox_contents import SandboxCache
from evdash.replay.sandbox_reader import SandboxReader
from evdash.streams.client import StreamsUnavailable
from evdash.streams.sandbox import sandbox
from evdash.web.error_pages import message_page
from evdash.web.pages.registry import IN_SANDBOX
from evdash.web.pages.streams.sandboxes import SandboxView, is_sandbox, original_address
from evdash.web.url_prefix import base_prefix, mounted_below, without_prefix

_ADDRESS: Final = re.compile(r"/(sandboxes/([^/]+)/)(.*)", re.DOTALL)


class NoSandbox(Exception):
    """A sandbox that does not exist. The message is the sentence for the page."""


class TemporaryRedirect(HttpResponseRedirect):
    """A redirect that keeps method and body."""

    status_code = 307


class SandboxRequest:
    """The sandbox of a request. Redis is read when the view first uses the sandbox, after the view's own checks."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._client = shared_client(settings.EVDASH.redis_url)

    @cached_property
    def view(self) -> SandboxView:
        """The sandbox in display form. Raises NoSandbox, StreamsUnavailable."""
        existing = sandbox(self._client, self.stream) if is_sandbox(self.stream) else None
        if existing is None:
            raise NoSandbox("The sandbox was never created, was deleted, or has expired.")
        return SandboxView(existing)

    @cached_property
    def _reader(self) -> SandboxReader:
        existing = self.view.sandbox
        return SandboxReader(existing, _shelf(self._client).contents(existing))

    def reader(self) -> SandboxReader:
        """Return the sandbox's reader. Raises NoSandbox, StreamsUnavailable."""
        return self._reader

    def original_address(self, event: Event) -> str:
        """Return the address of the entry that this one copies; "" if it is unknown. Raises StreamsUnavailable."""
        return original_address(self._client, event)


def sandbox_request(request: HttpRequest) -> SandboxRequest | None:
    """Return the sandbox of the request; None if the request reads the watched streams."""
    return getattr(request, "mount", None)


class SandboxMount:
    """A middleware that removes a sandbox's prefix from the address and makes the page read that sandbox."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        match = _ADDRESS.fullmatch(request.path_info)
        request.mount = None  # type: ignore[attr-defined]
        if match is None:
            return self._get_response(request)
        prefix, name, path = match.groups()
        mount = SandboxRequest(unquote(name))
        request.mount = mount  # type: ignore[attr-defined]
        request.path_info = f"/{path}"
        with mounted_below(prefix), override_reader(mount.reader):
            return self._get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Redirect an address without events to the same address without the prefix. Return None for other pages."""
        match = request.resolver_match
        if sandbox_request(request) is None or (match and match.url_name in IN_SANDBOX):
            return None
        query = request.META.get("QUERY_STRING", "")
        address = f"{base_prefix()}{escape_uri_path(request.path_info[1:])}"
        return TemporaryRedirect(f"{address}?{query}" if query else address)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Return an error page without the prefix: 404 for a missing sandbox, 503 if Redis is unavailable."""
        mount = sandbox_request(request)
        if mount is None or not isinstance(exception, (NoSandbox, StreamsUnavailable)):
            return None
        request.mount = None  # type: ignore[attr-defined]
        with without_prefix():
            if isinstance(exception, NoSandbox):
                return message_page(request, "Sandbox not found", str(exception), status=404, subject=mount.stream)
            return message_page(request, "Sandbox", str(exception), status=503, subject=mount.stream)


@cache
def _shelf(client: redis.Redis) -> SandboxCache:
    return SandboxCache(client)
