"""Whether the persons of sockets are still signed in."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils import timezone


def is_still_signed_in(scope: Any) -> bool:
    """Reads the session anew: a socket keeps what it said when the socket was opened. Blocks: for a thread."""
    store = import_module(settings.SESSION_ENGINE).SessionStore(scope["session"].session_key)
    person = get_user(cast(HttpRequest, SimpleNamespace(session=store)))
    return bool(person.is_authenticated and person.pk == scope["user"].pk)


def ended_sessions(session_keys: Collection[str]) -> set[str]:
    """Those of these sessions that are over: signed out of, or expired. Blocks: for a thread."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    model = store.get_model_class()
    open_keys = model.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    return set(session_keys) - set(open_keys.values_list("session_key", flat=True))
