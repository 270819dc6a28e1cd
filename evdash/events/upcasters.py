"""Upcasters: steps that convert an event of an older schema version to the newest, during decoding.

A user module, named by EVDASH_UPCASTERS, adds steps:

    from evdash.events.upcasters import upcaster

    @upcaster("order.placed", from_version=1)
    def total_in_cents(data):
        return {**data, "total_cents": round(float(data["total"]) * 100)}

An upcaster never changes the raw entry. When the text of the module changes, workers decode the event log again. A
module whose steps depend on other modules declares `VERSION`, and raises it with every change.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from evdash.events.json_values import InvalidJson, parse
from evdash.events.wire_profile import DEFAULT_PROFILE

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]

# Names and aliases of the properties that a step may write, by the canonical name. Other properties have aliases that a
# step renames.
_READ_AS: Mapping[str, tuple[str, ...]] = {
    names[0]: names
    for names in (
        DEFAULT_PROFILE.tool,
        DEFAULT_PROFILE.error,
        DEFAULT_PROFILE.code,
        DEFAULT_PROFILE.results + DEFAULT_PROFILE.results_count,
    )
}


@dataclass(frozen=True, slots=True)
class Renamed:
    """Upcaster that moves each old name's value to the new name, unless the new name has a value.

    A value under an alias (_READ_AS) of the new name counts as well.
    """

    names: tuple[tuple[str, str], ...]
    seconds: tuple[str, str] | None = ("duration_s", "latency_ms")  # renamed, and multiplied by 1,000

    def __call__(self, data: dict[str, Any]) -> Mapping[str, Any]:
        for old, new in self.names:
            if old in data and not _says(data, new):
                data[new] = data.pop(old)
        if self.seconds:
            old, new = self.seconds
            span_ms = _milliseconds(data.get(old))
            if span_ms is not None and not _says(data, new):
                data[new] = span_ms
                del data[old]
        return data


VERSION_1: Mapping[str, Renamed] = {
    "session.ended": Renamed((("status", "outcome"),), seconds=None),
    "message.added": Renamed((("text", "content"), ("message", "content"), ("sender", "role"))),
    "summary.created": Renamed((("text", "summary"), ("content", "summary"))),
    "search.performed": Renamed((("q", "query"), ("hits", "results"))),
    "error.occurred": Renamed((("message", "error"), ("kind", "error_code"))),
    "tool.*": Renamed((("name", "tool"), ("args", "arguments"), ("input", "arguments"), ("output", "result"))),
}
"""Names that version 2 changes, by event type. A star matches any ending."""


def _says(data: Mapping[str, Any], name: str) -> bool:
    return any(data.get(each) not in (None, "") for each in _READ_AS.get(name, (name,)))


def _milliseconds(seconds: Any) -> float | None:
    """Return the span in milliseconds, or None if the value is not a span."""
    try:
        span_ms = float(seconds) * 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return round(span_ms, 3) if math.isfinite(span_ms) and span_ms >= 0 else None


LARGEST_VERSION = 999


class UpcastersInvalid(Exception):
    """Unusable upcasters of a user. The message states the reason."""


@dataclass(frozen=True, slots=True)
class Upcast:
    """Data of an event in the newest version that the steps reach."""

    data: Mapping[str, Any]
    remark: str  # "" if the upcast changed nothing


Steps = dict[tuple[str, int], Upcaster]


@dataclass(slots=True)
class Upcasters:
    """Registered steps, by event type and by the version that they convert.

    A type may end with a star, which matches any ending. Of several matching steps, the one with the longest type
    applies. If user steps match a type, only user steps apply: its version numbers are then the user's.
    """

    shipped: Steps = field(default_factory=dict)
    own: Steps = field(default_factory=dict)
    own_version: str = ""
    """The version of the user module: the one that it declares, else a hash of its text. "": there is no module."""

    def add(self, event_type: str, from_version: int, step: Upcaster) -> None:
        """Register a user step.

        Raise UpcastersInvalid for a second step of this type and version, or for a version outside 1 to 999.
        """
        if not 1 <= from_version <= LARGEST_VERSION:
            raise UpcastersInvalid(
                f"Upcaster of {event_type}: version {from_version} is not a whole number from 1 to {LARGEST_VERSION}."
            )
        if self.own.get((event_type, from_version), step) is not step:
            raise UpcastersInvalid(f"Two upcasters of {event_type} start from version {from_version}. Remove one.")
        self.own[event_type, from_version] = step

    def upcast(self, data: Mapping[str, Any], version: int, type_of: Callable[[Mapping[str, Any]], str]) -> Upcast:
        """Return the event's data in the newest version, with a remark if that changed it. Never raises.

        If a step fails, return the original data and a remark with the reason.
        """
        lifted, reached, changed = data, version, False
        while step := self._step(type_of(lifted), reached):
            try:
                # A step may modify its argument and return any value.
                given_back = dict(step(copy.deepcopy(dict(lifted))))
                changed = changed or given_back != lifted
                lifted = parse(json.dumps(given_back))
            except Exception as error:  # noqa: BLE001 - others' code, which must stop neither a page nor a worker
                return Upcast(
                    data,
                    f"Upcast from version {reached} failed ({_in_words(error)}). The event is shown as stored.",
                )
            reached += 1
        if not changed:
            return Upcast(data, "")
        return Upcast(lifted, f"Upcast from version {version} to {reached}. The stored entry is unchanged.")

    def _step(self, event_type: str, version: int) -> Upcaster | None:
        has_own = any(fits(pattern, event_type) for pattern, _ in self.own)
        steps = self.own if has_own else self.shipped
        fitting = [pattern for pattern, from_version in steps if from_version == version and fits(pattern, event_type)]
        return steps[max(fitting, key=len), version] if fitting else None


def fits(pattern: str, event_type: str) -> bool:
    """Return whether the type equals the registered one, or starts with one that ends with a star."""
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


UPCASTERS = Upcasters(shipped={(event_type, 1): step for event_type, step in VERSION_1.items()})
"""The upcasters that `decode` uses by default."""


def upcaster(event_type: str, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register the decorated function as the step of this event type from this version to the next.

    The function receives the event's data: its fields, and the keys of a JSON object in `data`. It returns the data of
    the next version, in values that JSON can hold. If it raises, the event is read as it was written, with a remark.
    """

    def add(step: Upcaster) -> Upcaster:
        UPCASTERS.add(event_type, from_version, step)
        return step

    return add


def load(module: str) -> None:
    """Import a module that adds upcasters. Raise UpcastersInvalid for any failure in it."""
    try:
        UPCASTERS.own_version = _version_of(importlib.import_module(module))
    except Exception as error:
        raise UpcastersInvalid(f"it cannot be imported ({_in_words(error)})") from error


def _version_of(module: ModuleType) -> str:
    """Return the version of a user module, never empty.

    Raise UpcastersInvalid for a module without `VERSION` and without a source text.
    """
    declared = getattr(module, "VERSION", None)
    if declared is not None:
        return f"version {declared}"
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise UpcastersInvalid("it has no source text and no VERSION. Declare VERSION = 1 in it") from error
    return f"text {hashlib.sha256(text.encode()).hexdigest()}"


def _in_words(error: Exception) -> str:
    is_own_error = isinstance(error, UpcastersInvalid | InvalidJson)
    words = str(error) if is_own_error else f"{type(error).__name__}: {error}"[:200].strip(": ")
    return words.encode("utf-8", errors="backslashreplace").decode("utf-8").rstrip(".")
