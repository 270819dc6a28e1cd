"""Decoding of entries: flat fields, and JSON in one of them, read by the names of a wire profile."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from evdash.events.clock_skew import is_ahead_of_stream
from evdash.events.entry import MAX_DATETIME_MS, Entry
from evdash.events.error_fingerprints import fingerprint, masked
from evdash.events.event import Event, TimeSource, datetime_from_us, name_of, text_of
from evdash.events.event_types import SESSION, TOOL, EventType, type_of
from evdash.events.identifiers import IDENTIFIER_MAX_CHARS, identifier_of
from evdash.events.json_values import InvalidJson, json_text, parse, parsed_object
from evdash.events.message_parts import MessagePart, parts_of
from evdash.events.namespaces import NAMESPACES, in_namespace
from evdash.events.text import NUL_PICTURE
from evdash.events.timestamps import InvalidTimestamp, parse_timestamp
from evdash.events.upcasters import UPCASTERS, Upcasters
from evdash.events.wire_profile import DEFAULT_PROFILE, Names, Plan, Shape, WireProfile

DECODER_VERSION: Final[int] = 3
"""The version of `decode`, raised with every change of its result (remarks aside) or of `search_text`.

Workers then decode the rows of the event log again. tests/events/test_decoder.py fails after a change without a new
version.
"""

ERROR_SEVERITIES: Final = frozenset({"error", "critical"})
_SEVERITY_ALIASES: Final = {
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
    # Pino and Bunyan, the loggers of Node.js, write numbers.
    "10": "debug",
    "20": "debug",
    "30": "info",
    "40": "warning",
    "50": "error",
    "60": "critical",
}
# Values of an `error` field that do not mean an error.
_NO_ERROR: Final = frozenset({"", "0", "false", "none", "null", "nil", "no", "ok", "[]", "{}"})
_ERROR_STATES: Final = frozenset({"error", "errored", "failed", "failure"})
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})
_VERSION = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_COUNT_DIGITS: Final = 15


def decode(entry: Entry, profile: WireProfile = DEFAULT_PROFILE, upcasters: Upcasters = UPCASTERS) -> Event:
    """Return the event of an entry, with the names of this profile. Never raises.

    The event keeps every part that cannot be decoded, and `remarks` states it. The shipped upcasters write the names of
    the default profile.
    """
    remarks: list[str] = []
    shape = profile.shape(tuple([name for name, _ in entry.pairs]))
    flat = _flat(entry, shape, remarks)
    json_field, data = _with_json(entry, flat, shape, profile, remarks)
    if json_field is not None:
        flat = {name: text for name, text in flat.items() if name != json_field}
    plan = shape.plan if data is flat else _plan(profile, flat, data)
    version = _version(plan, flat, data, profile, remarks) if plan.version else None
    if version is not None:
        lifted = upcasters.upcast(data, version, lambda data: _first(_plan(profile, flat, data).type, data)[1])
        data = lifted.data
        if lifted.remark:
            remarks.append(lifted.remark)
        plan = _plan(profile, flat, data)

    event_type = _identifier(plan.type, data, remarks, "")
    if not event_type:
        remarks.append("The entry has no event type.")
    kind = type_of(event_type)
    severity = _identifier(plan.severity, data, remarks).lower()
    severity = _SEVERITY_ALIASES.get(severity, severity)
    tool = _identifier(plan.tool, data, remarks, "name")
    if not tool and kind.category is TOOL and data.get("name") != event_type:
        tool = _identifier(plan.weak_tool, data, remarks, "")
    parts = _parts(plan, data)
    if parts and not tool:
        tool = _shortened(next((part.tool for part in parts if part.tool), ""), "the tool", remarks)
    error = _error(profile, plan, data, parts) if plan.error or parts else None
    is_error = error is not None or kind.means_error or severity in ERROR_SEVERITIES or _is_failed(plan, data, kind)
    error_text = error.text if error else ""
    if is_error:
        error_text = error_text or _error_text(plan.error_text, data)
        severity = severity or "error"
    input_tokens, output_tokens, tokens = _tokens(profile, plan, data, remarks)
    occurred_us, time_source = _occurred(entry, plan, data, remarks)
    user_id, session_id = _identifier(plan.user_id, data, remarks), _identifier(plan.session_id, data, remarks)
    event_id = _identifier(plan.event_id, data, remarks)
    code = _identifier(plan.code, data, remarks) or (_shortened(error.code, "the error code", remarks) if error else "")
    error_group = ""
    if is_error:
        error_group = fingerprint(event_type, code, tool, masked(error_text, user_id, session_id))
    if NAMESPACES:
        session_id = in_namespace(entry.stream, session_id)
    model, agent = _identifier(plan.model, data, remarks, "name"), _identifier(plan.agent, data, remarks, "name")
    agent_version = _identifier(plan.agent_version, data, remarks, "version")
    call_id = _call_id(plan, data, parts) if plan.call_id or parts else ""
    latency_ms = _latency_ms(plan, data, kind, remarks) if plan.latency_ms else None
    if kind.starts_session or kind.ends_session:
        tokens = 0  # it repeats the sum of the session's events
    simulated = profile.simulated in data and _text(data[profile.simulated]).lower() in ("1", "true")
    identity = _identity(entry, shape) if event_id else None
    return Event._make((  # in the order of the fields: a third of the time of keywords
        entry, event_id, event_type, session_id, user_id, occurred_us, time_source, severity, is_error, error_text,
        code, error_group, tool, model, agent, agent_version, call_id, latency_ms, tokens, input_tokens, output_tokens,
        version, simulated, data, json_field, plan.shown_apart, parts, tuple(remarks), profile, identity, (),
    ))  # fmt: skip


_LENGTHS: Final = [length.to_bytes(8, "big") for length in range(256)]


def _identity(entry: Entry, shape: Shape) -> bytes:
    """Return 16 bytes, equal for two entries with a producer's ID if and only if they are duplicates.

    Duplicates share the stream, the producer's ID and all fields except timestamps. Some producers set the timestamp at
    every attempt. The order of differently named fields is ignored, because producers that write a map (Go's) may
    change it. An equal ID alone is not enough. Some producers number events within a session, or give the parts of one
    answer the same ID.
    """
    stream, pairs = entry.stream.encode(), entry.pairs
    encoded = [
        name + (_LENGTHS[n] if (n := len(value := pairs[index][1])) < 256 else n.to_bytes(8, "big")) + value
        for name, index in shape.identity
    ]
    return hashlib.blake2b(b"".join([len(stream).to_bytes(8, "big"), stream, *encoded]), digest_size=16).digest()


def _flat(entry: Entry, shape: Shape, remarks: list[str]) -> dict[str, str]:
    """Return the last value of each field name that is not empty, as text."""
    if shape.has_each_once:
        try:
            return dict(zip(shape.names, [value.decode() for _, value in entry.pairs], strict=True))
        except UnicodeDecodeError:
            pass  # stated below
    flat: dict[str, str] = {}
    for name, (_, raw_value) in zip(shape.names, entry.pairs, strict=True):
        if name in flat:
            remarks.append(f"The field {_shown(name)} appears more than once; the last value is used.")
            if not raw_value:
                continue
        flat[name], is_text = text_of(raw_value)
        if not is_text:
            remarks.append(f"The value of {_shown(name)} is not UTF-8 text.")
    return flat


def _with_json(
    entry: Entry, flat: dict[str, str], shape: Shape, profile: WireProfile, remarks: list[str]
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the name of the field whose JSON object is read, and the fields with the keys of that object.

    A flat field with a text counts before a key of the same name.
    """
    for name in _json_fields(flat, shape):
        text = flat[name]
        try:
            found = parsed_object(_json_as_text(entry, name, text) if "\\x" in text else text)
        except InvalidJson as invalid:
            if name == profile.json_object:
                remarks.append(f"The field {name} {invalid}.")
            continue
        if found is not None:
            data = {**found, **{name: text for name, text in flat.items() if text or name not in found}, name: found}
            inner = found.get(profile.json_object if name != profile.json_object else profile.json_envelopes[0])
            return name, {**_without_identity(inner, data, profile), **data} if isinstance(inner, dict) else data
    return None, flat


def _without_identity(inner: dict[str, Any], data: Mapping[str, Any], profile: WireProfile) -> dict[str, Any]:
    """Return the keys of an object inside the JSON object.

    If the event names its session outside, the inner object may be the arguments of a tool. It then names no session,
    user, type or time.
    """
    if not any(data.get(name) for name in profile.session_id):
        return inner
    return {name: value for name, value in inner.items() if name not in profile.identity}


def _json_fields(flat: Mapping[str, str], shape: Shape) -> Names:
    """Return the fields that may have a JSON object to be read, the first that counts first.

    A text that a person or a program passes on must not set session, user or type. So fields other than the profile's
    own are read only if the entry does not name its session; fields of messages only if it names no type either.
    """
    names = shape.json_object
    if (shape.json_envelopes or shape.json_messages) and not any(flat[name] for name in shape.session_id):
        names += shape.json_envelopes
        if not any(flat[name] for name in shape.type):
            names += shape.json_messages
    return names


def _json_as_text(entry: Entry, name: str, text: str) -> str:
    """Return the text of a field, with bytes that are not UTF-8 as JSON has them."""
    raw = next((raw for raw_name, raw in reversed(entry.pairs) if raw and name_of(raw_name) == name), b"")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return json_text(raw)
    return text


def _plan(profile: WireProfile, flat: Mapping[str, str], data: Mapping[str, Any]) -> Plan:
    return profile.plan(
        tuple([name for name in data if name in flat]), tuple([name for name in data if name not in flat])
    )


def _version(
    plan: Plan, flat: Mapping[str, str], data: Mapping[str, Any], profile: WireProfile, remarks: list[str]
) -> int | None:
    """Return the schema version of the entry, or None.

    A field such as `v` may be a version of something else. It counts only as a flat field with a whole number from 1 to
    999.
    """
    for name in plan.version:
        if not (text := _text(data[name]).strip()):
            continue
        if name in profile.version and not _VERSION.fullmatch(text):
            remarks.append(f"{name} {_shown(text)} is not a whole number from 1 to 999; ignored.")
        elif _VERSION.fullmatch(text) and (name in profile.version or name in flat):
            return int(text)
    return None


def _first(names: Names, data: Mapping[str, Any], member: str = "") -> tuple[str, str]:
    """Return name and text of the first of these fields with a text, else two empty texts.

    Of an object its `member` counts, or its name. Lists have no text.
    """
    for name in names:
        value = data[name]
        if isinstance(value, dict):
            value = (value.get(member) or value.get("name")) if member else None
        if value is None or isinstance(value, list | dict):
            continue
        text = value if isinstance(value, str) else _text(value)
        if text and not text.isspace():
            return name, text
    return "", ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _identifier(names: Names, data: Mapping[str, Any], remarks: list[str], member: str = "id") -> str:
    """Return the first text of these fields as an identifier; "" without one. Of an object its `member` counts."""
    if not names:
        return ""
    value = data[names[0]]
    if type(value) is str and 0 < len(value) <= IDENTIFIER_MAX_CHARS and value.isprintable() and " " not in value:
        return value  # nearly always
    name, text = _first(names, data, member)
    return _shortened(text, name, remarks) if text else ""


def _shortened(text: str, name: str, remarks: list[str]) -> str:
    text = text.strip()
    if "\x00" in text:
        remarks.append(f"NUL characters in {name} are shown as {NUL_PICTURE}.")
    if len(text) > IDENTIFIER_MAX_CHARS:
        remarks.append(f"{name} has {len(text):,} characters; shortened, with a hash of the whole value at its end.")
    elif "\x00" not in text:
        return text
    return identifier_of(text)


def _parts(plan: Plan, data: Mapping[str, Any]) -> tuple[MessagePart, ...]:
    """Return the parts of the message, if its content is a list of parts or it has tool calls."""
    if not plan.content and not plan.tool_calls:
        return ()
    for name in plan.content:
        if (content := data[name]) not in (None, ""):
            break
    else:
        content = None
    calls = data[plan.tool_calls[0]] if plan.tool_calls else None
    if calls is None and not isinstance(content, list) and (not isinstance(content, str) or content[:1] not in "[ \n"):
        return ()
    return parts_of(content, calls)


def _call_id(plan: Plan, data: Mapping[str, Any], parts: tuple[MessagePart, ...]) -> str:
    """Return the ID that links a call to its return, also of one inside the message; "" without one."""
    for name in plan.call_id:
        if (value := data[name]) not in (None, ""):
            return _text(value)
    return next((part.call_id for part in parts if part.call_id), "") if parts else ""


class _Error(NamedTuple):
    text: str
    code: str


def _error(profile: WireProfile, plan: Plan, data: Mapping[str, Any], parts: tuple[MessagePart, ...]) -> _Error | None:
    """Return the error that the event has in a field or as a part of its message; None without one."""
    for name in plan.error:
        if error := _error_of(data[name], profile):
            return error
    return next((_Error(part.text, "") for part in parts if part.is_error), None)


def _error_of(value: Any, profile: WireProfile) -> _Error | None:
    """Return the error in a value; None for a value that says that there was none."""
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _NO_ERROR:
            return None
        if not text.startswith("{"):
            return _Error("" if text.lower() == "true" else value, "")
        try:
            value = parse(text)
        except InvalidJson:
            return _Error(text, "")
    if not isinstance(value, dict):
        return None if not value else _Error("" if value is True else _text(value), "")
    if all(_is_empty(member) for member in value.values()):
        return None
    code = next((text for name in profile.code_members if (text := _scalar(value.get(name)))), "")
    for name in profile.error_members:
        if found := _error_of(value.get(name), profile):
            return _Error(found.text, code or found.code)
    return _Error(_text(value), code)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value is None or value is False or value in ("", [])


def _scalar(value: Any) -> str:
    if type(value) is str:
        return value.strip()
    return "" if value is None or isinstance(value, bool | list | dict) else _text(value).strip()


def _error_text(names: Names, data: Mapping[str, Any]) -> str:
    _, text = _first(names, data)
    return "" if text.strip().lower() in _NO_ERROR else text


def _is_failed(plan: Plan, data: Mapping[str, Any], kind: EventType) -> bool:
    """Return whether a status or a flag says that the event is an error. The end of a session has no such status."""
    if plan.status and not kind.ends_session and any(_word(data[name]) in _ERROR_STATES for name in plan.status):
        return True
    if not plan.error_flag and not plan.success_flag:
        return False
    return any(_word(data[name]) in _TRUE for name in plan.error_flag) or any(
        _word(data[name]) in _FALSE for name in plan.success_flag
    )


def _word(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, str | bool | int) else ""


def _occurred(entry: Entry, plan: Plan, data: Mapping[str, Any], remarks: list[str]) -> tuple[int, TimeSource]:
    problem = ""
    for name in plan.timestamp:
        text = _scalar(data[name])
        if not text:
            continue
        try:
            occurred_us = parse_timestamp(text)
        except InvalidTimestamp as error:
            problem = problem or f"{name} {error}. The time of the entry ID is shown."
        else:
            if is_ahead_of_stream(occurred_us, entry.entry_id):
                shown = datetime_from_us(occurred_us).strftime("%Y-%m-%d %H:%M:%S")
                remarks.append(f"Producer time {shown} UTC is more than 1 day after the entry ID.")
            return occurred_us, "timestamp"
    if problem:
        remarks.append(problem)
    if entry.entry_id.time is None:
        remarks.append("The entry ID is after the year 9999; the end of that year is shown.")
    return min(entry.entry_id.ms, MAX_DATETIME_MS) * 1000, "entry ID"


def _number(value: Any) -> float | None:
    if type(value) is not str and (value is None or isinstance(value, bool | list | dict)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number < 1e12 else None


def _latency_ms(plan: Plan, data: Mapping[str, Any], kind: EventType, remarks: list[str]) -> float | None:
    """Return the first readable duration in milliseconds. A session has no latency."""
    problem = ""
    for name in plan.latency_ms:
        value = data[name]
        if value is None or value == "" or (kind.category is SESSION and not name.startswith("latency")):
            continue
        number = _number(value)
        if number is not None:
            return number
        problem = problem or f"{name} {_shown(_text(value))} is not a duration; not counted."
    if problem:
        remarks.append(problem)
    return None


def _tokens(
    profile: WireProfile, plan: Plan, data: Mapping[str, Any], remarks: list[str]
) -> tuple[int | None, int | None, int]:
    """Return the counts of input, output and all tokens. Without a readable total it is the sum of input and output."""
    if not (plan.tokens or plan.input_tokens or plan.output_tokens or plan.usage):
        return None, None, 0
    usage = next((found for name in plan.usage if (found := _object(data[name]))), None) if plan.usage else None

    def count(names: Names, own: Names) -> int | None:
        number = _first_count(names, data, remarks)
        if number is None and usage:
            return _first_count([name for name in own if name in usage], usage, remarks)
        return number

    read = count(plan.input_tokens, profile.input_tokens)
    written = count(plan.output_tokens, profile.output_tokens)
    total = count(plan.tokens, profile.tokens)
    return read, written, (read or 0) + (written or 0) if total is None else total


def _object(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            return parsed_object(value)
        except InvalidJson:
            return None
    return value if isinstance(value, dict) else None


def _first_count(names: Sequence[str], values: Mapping[str, Any], remarks: list[str]) -> int | None:
    """Return the first value that is a token count: a whole number, also written as 12.0 or 1.5e3."""
    for name in names:
        value = values[name]
        if type(value) is str and value.isdecimal() and len(value) <= _COUNT_DIGITS and value.isascii():
            return int(value)
        if type(value) is int and 0 <= value < 10**_COUNT_DIGITS:
            return value
        if value is None or value == "":
            continue
        number = None if isinstance(value, str) and not value.isascii() else _number(value)
        if number is not None and number.is_integer():
            return int(number)
        remarks.append(f"{name} {_shown(_text(value))} is not a token count; not counted.")
    return None


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:60] + "…")
