"""Namespaces of session IDs, for programs whose sessions have equal IDs in different streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from evdash.events.identifiers import identifier_of

NAMESPACES: Final[dict[str, str]] = {}
"""The namespace of each stream that has one. `decode` puts it before the session IDs of the stream."""


def parse_namespaces(texts: Iterable[str]) -> dict[str, str]:
    """Return the namespaces of texts such as `billing:events=billing`. Raise ValueError for any other text."""
    found: dict[str, str] = {}
    for text in texts:
        stream, sign, namespace = text.rpartition("=")
        if not sign or not stream or not namespace or "/" in namespace:
            raise ValueError(f"{text!r} is not STREAM=NAMESPACE")
        found[stream] = namespace
    return found


def in_namespace(stream: str, session_id: str) -> str:
    """Return a session ID with the namespace of its stream: `billing/s-1`."""
    namespace = NAMESPACES.get(stream)
    return identifier_of(f"{namespace}/{session_id}") if namespace and session_id else session_id


def without_namespace(stream: str, session_id: str) -> str:
    """Return a session ID as the entries of its stream have it: `s-1`."""
    namespace = NAMESPACES.get(stream)
    return session_id.removeprefix(f"{namespace}/") if namespace else session_id
