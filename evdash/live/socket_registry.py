"""The registry of open sockets in this process: limits sockets per user and closes them at sign-out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.signals import user_logged_out
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from structlog.stdlib import get_logger


def is_still_signed_in(scope: Any) -> bool:
    """Return whether the socket's user is still signed in. Blocks: call it in a thread.

    Reads the session from its store, because the scope keeps the session as it was when the socket opened.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore(scope["session"].session_key)
    person = get_user(cast(HttpRequest, SimpleNamespace(session=store)))
    return bool(person.is_authenticated and person.pk == scope["user"].pk)


def ended_sessions(session_keys: Collection[str]) -> set[str]:
    """Return the keys of the sessions that ended by sign-out or expired. Blocks: call it in a thread."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    model = store.get_model_class()
    open_keys = model.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    return set(session_keys) - set(open_keys.values_list("session_key", flat=True))


logger = get_logger(__name__)

SOCKETS_PER_PERSON = 50
# The interval of the check for sign-outs in other processes. A sign-out in this process closes its sockets at once.
LOOK_EVERY_S = 2.0

_ended_sessions = database_sync_to_async(
    ended_sessions,
    thread_sensitive=False,
    executor=ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-registry"),
)


class OpenSocket(Protocol):
    """The interface of a socket that the registry uses."""

    session_key: str
    person: object

    def signed_out(self) -> None:
        """Close the socket, because its session has ended."""


class SocketRegistry:
    """The sockets of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: set[OpenSocket] = set()
        self._sockets_of: Counter[object] = Counter()
        self._checking: asyncio.Task[None] | None = None

    def register(self, socket: OpenSocket) -> bool:
        """Register a socket. Return False, without registering, if its user has SOCKETS_PER_PERSON sockets open."""
        if self._sockets_of[socket.person] >= SOCKETS_PER_PERSON:
            return False
        self._sockets_of[socket.person] += 1
        self._sockets.add(socket)
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_sign_ins())
        return True

    def unregister(self, socket: OpenSocket) -> None:
        """Remove a socket. A second call has no effect."""
        if socket not in self._sockets:
            return
        self._sockets.discard(socket)
        self._sockets_of[socket.person] -= 1
        if not self._sockets_of[socket.person]:
            del self._sockets_of[socket.person]
        if not self._sockets and self._checking is not None:
            self._checking.cancel()
            self._checking = None

    def session_over(self, session_key: str) -> None:
        """Close the sockets of this session. May be called in any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close, {session_key})

    def _close(self, session_keys: set[str]) -> None:
        for socket in [each for each in self._sockets if each.session_key in session_keys]:
            socket.signed_out()

    async def _check_sign_ins(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self._close(await _ended_sessions({each.session_key for each in self._sockets}))
            except DatabaseError as error:  # every page reports the outage; the sockets stay open until SQL answers
                logger.warning(
                    "sign-ins not checked", sockets=len(self._sockets), reason=str(error), retry_in_s=LOOK_EVERY_S
                )


_registries: WeakKeyDictionary[asyncio.AbstractEventLoop, SocketRegistry] = WeakKeyDictionary()


def registry_of_process() -> SocketRegistry:
    """Return the registry of the running event loop. A web process has one event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _registries:
        _registries[loop] = SocketRegistry(loop)
    return _registries[loop]


@receiver(user_logged_out, dispatch_uid="evdash.live.socket_registry")
def _on_sign_out(sender: object, request: Any, **_: object) -> None:
    session = getattr(request, "session", None)
    if session is not None and session.session_key:
        for registry in list(_registries.values()):
            registry.session_over(session.session_key)
