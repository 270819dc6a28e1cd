"""Decoding of entries: flat fields, and JSON in one of them, read by the names of a wire profile."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from evdash.events.clock_skew import is_ahead_of_stream
from evdash.events.entry import MAX_DATETIME_MS, Entry
from evdash.events.event import Event, TimeSource, datetime_from_us, name_of, text_of, us_from_datetime
from evdash.events.event_types import type_of
from evdash.events.json_values import InvalidJson, parse
from evdash.events.upcasters import UPCASTERS, Upcasters
from evdash.events.wire_profile import DEFAULT_PROFILE, WireProfile

# The last second of the year 9999, the end of Python's datetime. A number is read in the coarsest unit that does not
# exceed it. So no plausible time is ambiguous: milliseconds cover every time from 1978-01-12 on.
_LAST_SECOND = 253_402_300_799
_NUMBER = re.compile(r"[+-]?\d{1,25}(\.\d{1,12})?", re.ASCII)

DECODER_VERSION: int = 1
"""The version of `decode`, raised with every change of its result (remarks aside), of `search_text` or of `identity`.

Workers then decode the rows of the event log again. tests/events/test_decoder.py fails after a change without a new
version.
"""


class InvalidTimestamp(ValueError):
    """Timestamp that cannot be displayed. The message states the reason."""


def parse_timestamp(text: str) -> int:
    """Return the Unix microseconds of a producer's timestamp. A time without a zone is UTC.

    Raise InvalidTimestamp for a text that is not a time. Also raise it for a time not after the start of 1970, such as
    Go's zero time, or past the year 9999.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return _from_number(text)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not UTC:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTimestamp(f"{text[:60]!r} is neither a Unix time nor ISO 8601") from None
    unix_us = us_from_datetime(moment)
    if unix_us <= 0:
        raise InvalidTimestamp(f"{text[:60]!r} is not after 1970 and is ignored")
    return unix_us


def _from_number(text: str) -> int:
    whole_text, _, fraction = text.lstrip("+").partition(".")
    whole, digits = int(whole_text), int(f"{whole_text}{fraction}")
    if digits <= 0:
        raise InvalidTimestamp(f"{text[:60]!r} is not after 1970 and is ignored")
    for unit_per_second in (1, 10**3, 10**6, 10**9):
        if whole < (_LAST_SECOND + 1) * unit_per_second:
            return digits * 1_000_000 // (unit_per_second * int(10 ** len(fraction)))
    raise InvalidTimestamp(f"{text[:60]!r} is after the year 9999 in every unit from seconds to nanoseconds")


IDENTIFIER_MAX_CHARS = 200

ERROR_SEVERITIES = frozenset({"error", "critical"})
_SEVERITY_ALIASES = {
    "trace": "debug",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "crit": "critical",
    "panic": "critical",
    "alert": "critical",
    "emerg": "critical",
    "emergency": "critical",
}
# Values of an `error` field that do not mean an error.
_NO_ERROR = frozenset({"", "0", "false", "none", "null", "nil", "no", "ok", "[]", "{}"})
_VERSION = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"\d{1,15}", re.ASCII)


def decode(entry: Entry, profile: WireProfile = DEFAULT_PROFILE, upcasters: Upcasters = UPCASTERS) -> Event:
    """Return the event of an entry, with the names of this profile. Never raises.

    The event keeps every part that cannot be decoded, and `remarks` states it. The shipped upcasters write the names of
    the default profile.
    """
    remarks: list[str] = []
    flat = _flat(entry, remarks)
    data: Mapping[str, Any] = _with_json(flat, profile, remarks)
    version = _version(flat, data, profile, remarks)
    if version is not None:
        lifted = upcasters.upcast(data, version, lambda data: _first(profile.type, data)[1])
        data = lifted.data
        if lifted.remark:
            remarks.append(lifted.remark)

    def identifier(names: tuple[str, ...]) -> str:
        return _identifier(names, data, remarks)

    event_type = identifier(profile.type)
    if not event_type:
        remarks.append("The entry has no event type.")
    severity = _SEVERITY_ALIASES.get(written := identifier(profile.severity).lower(), written)
    error = _error_text(profile.error, data)
    is_error = type_of(event_type).means_error or bool(error) or severity in ERROR_SEVERITIES
    if is_error:
        error = error or _error_text(profile.error_text, data)
        severity = severity or "error"
    occurred_us, time_source = _occurred(entry, profile, data, remarks)
    return Event(
        entry=entry,
        event_id=identifier(profile.event_id),
        type=event_type,
        session_id=identifier(profile.session_id),
        user_id=identifier(profile.user_id),
        occurred_us=occurred_us,
        time_source=time_source,
        severity=severity,
        is_error=is_error,
        error=error,
        code=identifier(profile.code),
        tool=identifier(profile.tool),
        model=identifier(profile.model),
        agent=identifier(profile.agent),
        latency_ms=_latency_ms(profile, data, remarks),
        tokens=_tokens(profile, data, remarks),
        version=version,
        simulated=profile.simulated in data and _text(data[profile.simulated]).lower() in ("1", "true"),
        data=data,
        remarks=tuple(remarks),
        profile=profile,
    )


def _flat(entry: Entry, remarks: list[str]) -> dict[str, str]:
    """Return the last value of each field name, as text."""
    flat: dict[str, str] = {}
    for raw_name, raw_value in entry.pairs:
        name = name_of(raw_name)
        if name in flat:
            remarks.append(f"The field {_shown(name)} appears more than once; the last value is used.")
        try:
            flat[name] = raw_value.decode()
        except UnicodeDecodeError:
            flat[name], _ = text_of(raw_value)
            remarks.append(f"The value of {_shown(name)} is not UTF-8 text.")
    return flat


def _with_json(flat: dict[str, str], profile: WireProfile, remarks: list[str]) -> dict[str, Any]:
    """Return the flat fields, and the keys of the JSON object in one of them."""
    nested = flat.get(profile.json_object, "")
    if nested.lstrip()[:1] != "{":
        return cast(dict[str, Any], flat)
    try:
        parsed = parse(nested)
    except InvalidJson as invalid:
        remarks.append(f"The field {profile.json_object} {invalid}.")
        return cast(dict[str, Any], flat)
    return {**parsed, **flat, profile.json_object: parsed}


def _version(flat: Mapping[str, str], data: Mapping[str, Any], profile: WireProfile, remarks: list[str]) -> int | None:
    """Return the schema version of the entry, or None.

    A field such as `v` may be a version of something else. It counts only as a flat field with a whole number from 1 to
    999.
    """
    for name in (*profile.version, *profile.flat_version):
        if name not in data or not (text := _text(data[name]).strip()):
            continue
        if name in profile.version and not _VERSION.fullmatch(text):
            remarks.append(f"{name} {_shown(text)} is not a whole number from 1 to 999; ignored.")
        elif _VERSION.fullmatch(text) and (name in profile.version or name in flat):
            return int(text)
    return None


def _first(names: tuple[str, ...], data: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and text of the first of these fields with a text, else two empty texts."""
    for name in names:
        value = data.get(name)
        if value is not None and (text := value if isinstance(value, str) else _text(value)):
            return name, text
    return "", ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _identifier(names: tuple[str, ...], data: Mapping[str, Any], remarks: list[str]) -> str:
    name, text = _first(names, data)
    if len(text) <= IDENTIFIER_MAX_CHARS and "\x00" not in text:
        return text
    if "\x00" in text:  # PostgreSQL's text type rejects NUL
        text = text.replace("\x00", "\\x00")
        remarks.append(f"NUL characters in {name} are shown as \\x00.")
    if len(text) > IDENTIFIER_MAX_CHARS:
        remarks.append(f"{name} has {len(text):,} characters; shortened, with a hash of the whole value at its end.")
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
        text = f"{text[: IDENTIFIER_MAX_CHARS - 17]}…{digest}"
    return text


def _error_text(names: tuple[str, ...], data: Mapping[str, Any]) -> str:
    _, text = _first(names, data)
    return "" if not text or text.strip().lower() in _NO_ERROR else text


def _occurred(
    entry: Entry, profile: WireProfile, data: Mapping[str, Any], remarks: list[str]
) -> tuple[int, TimeSource]:
    name, text = _first(profile.timestamp, data)
    if name:
        try:
            occurred_us = parse_timestamp(text)
        except InvalidTimestamp as error:
            remarks.append(f"{name} {error}. The time of the entry ID is shown.")
        else:
            if is_ahead_of_stream(occurred_us, entry.entry_id):
                producer_time = datetime_from_us(occurred_us).strftime("%Y-%m-%d %H:%M:%S")
                remarks.append(f"Producer time {producer_time} UTC is more than 1 day after the entry ID.")
            return occurred_us, "timestamp"
    if entry.entry_id.time is None:
        remarks.append("The entry ID is after the year 9999; the end of that year is shown.")
    return min(entry.entry_id.ms, MAX_DATETIME_MS) * 1000, "entry ID"


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number < 1e12 else None


def _latency_ms(profile: WireProfile, data: Mapping[str, Any], remarks: list[str]) -> float | None:
    for name in profile.latency_ms:
        value = data.get(name)
        if value is None or value == "":
            continue
        number = None if isinstance(value, bool) else _number(value)
        if number is None:
            remarks.append(f"{name} {_shown(_text(value))} is not a duration; not counted.")
        return number
    return None


def _whole_number(name: str, value: Any, remarks: list[str]) -> int:
    if type(value) is int and 0 <= value < 10**15:
        return value
    text = _text(value).strip()
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if text:
        remarks.append(f"{name} {_shown(text)} is not a token count; not counted.")
    return 0


def _tokens(profile: WireProfile, data: Mapping[str, Any], remarks: list[str]) -> int:
    for name in profile.tokens:
        if name in data:
            return _whole_number(name, data[name], remarks)
    return sum(_whole_number(name, data[name], remarks) for name in profile.token_parts if name in data)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:60] + "…")
