"""Whether the person of a socket is still signed in."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest


def is_still_signed_in(scope: Any) -> bool:
    """Reads the session anew: a socket keeps what it said when the socket was opened. Blocks: for a thread."""
    store = import_module(settings.SESSION_ENGINE).SessionStore(scope["session"].session_key)
    person = get_user(cast(HttpRequest, SimpleNamespace(session=store)))
    return bool(person.is_authenticated and person.pk == scope["user"].pk)
