"""A session as a Markdown (CommonMark) transcript: its events, in order.

An event cannot change the structure of the document. Its texts are in code fences longer than any run of backticks in
them; short texts are in code spans. Invisible characters are replaced by markers (web/control_characters.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from evdash.eventlog.export import Piece
from evdash.eventlog.records import MissingEntries
from evdash.events.event import Event
from evdash.events.event_types import category_of, describe_event
from evdash.events.field_values import present
from evdash.events.session.call_matching import call_of, call_steps, with_end, with_open_call
from evdash.events.session.state import OpenCalls
from evdash.notes.records import NoteRecord
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_display.gap_row import ListOwner, gap_row
from evdash.web.formatting import format_count, format_duration
from evdash.web.pages.session_export.export import Chunks, ExportedEvent, SessionExport

_BACKTICKS = re.compile(r"`+")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ]{0,60}")
_SHORT_CHARS: Final = 120


def transcript(export: SessionExport) -> Callable[[int], Iterator[bytes]]:
    """Return the function that makes the document in pieces, with the number of the export in the audit log.

    The document's last line counts its events. Raise StreamsUnavailable, at once or in the middle, instead of ending
    like a complete file.
    """
    return partial(_pieces, export, export.chunks())


def _pieces(export: SessionExport, chunks: Chunks, number: int) -> Iterator[bytes]:
    yield _head(export, number).encode()
    calls = _Calls()
    events = errors = 0
    for chunk in chunks:
        exported = [item for item in chunk if isinstance(item, ExportedEvent)]
        events, errors = events + len(exported), errors + sum(item.event.is_error for item in exported)
        text = "".join(
            _event(item, calls, with_stream=len(export.streams) > 1)
            if isinstance(item, ExportedEvent)
            else f"**Gap.** {_code(_gap(item, export.owner))}\n\n"
            for item in chunk
        )
        yield Piece.of(text, len(exported))
    if waiting := calls.waiting:
        yield b"## Calls without a return\n\n"
        lines = (f"- {_code(call.tool)}, entry {_code(call.entry)}\n" for call in waiting)
        yield "".join(lines).encode()
        yield b"\n"
    yield b"## Notes\n\n"
    is_any = False
    for note in export.notes():
        is_any = True
        yield _note(note).encode()
    if not is_any:
        yield b"None.\n\n"
    yield f"---\n\nEnd of the transcript: {format_count(events, 'event')}, {format_count(errors, 'error')}.\n".encode()


class _Begun(NamedTuple):
    """The data of a call until it ends. The transcript keeps no more than this of a session's calls in memory."""

    entry: str
    tool: str
    waits: bool  # for a return: the call's own event has no outcome


class _Calls:
    """The calls so far without a return, by their numbers (events/session/call_matching.py)."""

    def __init__(self) -> None:
        self._open = OpenCalls()
        self._begun: dict[int, _Begun] = {}
        self._early: dict[int, str] = {}  # entries of returns without a call
        self._number = 0

    def matches(self, event: Event) -> Iterator[str]:
        """Yield a sentence for each call or return of this event whose other half is before it."""
        for step in call_steps(event):
            self._number += 1
            reference = call_of(event, step, "", self._number)
            tool = (event.tool if step.part is None else step.tool) or event.type
            here = _Begun(str(event.entry_id), tool, not step.is_complete)
            if step.kind == "call":
                self._open, repeated, early = with_open_call(self._open, step, reference)
                if early is not None:
                    yield f"The return is in entry {_code(self._early.pop(early.number))}."
                elif repeated is None and (step.call_id or here.waits):
                    self._begun[self._number] = here
                continue
            call, self._open = with_end(self._open, step, reference)
            if call is not None:
                yield f"Return of the call in entry {_code(self._begun.pop(call.number).entry)}."
            elif step.kind == "return":
                self._early[self._number] = here.entry

    @property
    def waiting(self) -> list[_Begun]:
        """The calls that wait for a return."""
        return [call for call in self._begun.values() if call.waits]


def _head(export: SessionExport, number: int) -> str:
    facts = export.facts
    lines = [
        ("Session", _code(facts.session_id)),
        ("User", _code(facts.user_id) if facts.user_id else ""),
        ("Agent", _code(str(facts.agent)) if facts.agent else ""),
        ("Model", _code(str(facts.model)) if facts.model else ""),
        ("Started", _time(facts.started_at)),
        ("Duration", format_duration(facts.duration)),
        ("Outcome", _code(facts.outcome or "ended") if facts.ended else "not ended"),
        ("Events", f"{facts.events:,} ({format_count(facts.errors, 'error')})"),
        ("Messages", f"{facts.messages:,}"),
        ("Tool calls", f"{facts.tool_calls:,}"),
        ("Searches", f"{facts.searches:,}"),
        ("Tokens", f"{facts.tokens:,}"),
        ("Exported", f"{_time(export.exported_at)} by {_code(export.exported_by)}"),
        ("Audit log", f"entry {number}"),
        ("Streams", ", ".join(map(_code, export.streams))),
        ("Page", _code(export.address) if export.address else ""),
        ("Completeness", export.completeness.sentence),
    ]
    listed = "".join(f"- {name}: {value}\n" for name, value in lines if value)
    return (
        f"# Session {_code(facts.session_id)}\n\n{listed}\n"
        "Event texts are unchanged, but long JSON is indented. Invisible characters are written as hexadecimal code "
        "points in ‹›. The NDJSON export has every field of every entry, byte for byte.\n\n## Events\n\n"
    )


def _event(item: ExportedEvent, calls: _Calls, *, with_stream: bool) -> str:
    event = item.event
    entry = f"entry {_code(str(event.entry_id))}" + (f" of {_code(event.stream)}" if with_stream else "")
    metrics = escape_control_chars_text(describe_event(event).metrics)
    heading = " · ".join(part for part in (_title(event), _time(event.occurred_at), metrics, entry) if part)
    lines = [f"### {item.number}. {heading}\n\n"]
    if item.is_duplicate:
        lines.append("Duplicate (producer retry), not counted.\n\n")
    # A duplicate neither begins a call nor ends one.
    if not item.is_duplicate:
        lines += [f"{sentence}\n\n" for sentence in calls.matches(event)]
    lines += [f"Remark: {_code(remark)}\n\n" for remark in event.remarks]
    lines += _body(event)
    return "".join(lines)


def _title(event: Event) -> str:
    role = present(event, event.profile.role)
    if category_of(event.type).name == "message" and isinstance(role, str) and role:
        title = _name(role)
    else:
        title = _name(event.type) if event.type else "(no type)"
        title += f" {_name(event.tool)}" if event.tool else ""
    return f"**Error** {title}" if event.is_error else title


def _body(event: Event) -> list[str]:
    """Return everything of the event that its heading lacks: the content, short values as a list, long values."""
    in_heading = _in_heading(event)
    values = {
        name: _in_text(value)
        for name, value in event.data.items()
        if name not in in_heading and _is_in_body(name, value, event)
    }
    content, *_ = event.profile.content
    lines = [_fence(values.pop(content))] if content in values else []
    short = [f"- {_name(name)}: {_code(text)}\n" for name, text in values.items() if not _is_long(text)]
    if short:
        lines.append("".join(short) + "\n")
    lines += [f"{_name(name)}:\n\n{_fence(text)}" for name, text in values.items() if _is_long(text)]
    return lines or ["No other fields.\n\n"]


def _in_heading(event: Event) -> frozenset[str]:
    """Return the fields that the heading of the event already shows."""
    profile = event.profile
    role = profile.role if category_of(event.type).name == "message" else ()
    return event.shown_apart.difference(profile.severity).union(
        profile.tool, role, [event.json_field] if event.json_field is not None else ()
    )


def _is_in_body(name: str, value: Any, event: Event) -> bool:
    return name in event.profile.role or value not in ("", None)


def _is_long(text: str) -> bool:
    return len(text) > _SHORT_CHARS or "\n" in text or "\r" in text


def _in_text(value: Any) -> str:
    """Return a value as text. Long JSON is indented, also if the value is a text with JSON."""
    if isinstance(value, str):
        if len(value) <= _SHORT_CHARS or value.lstrip()[:1] not in ("{", "["):
            return value
        return _laid_out(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT_CHARS else json.dumps(value, ensure_ascii=False, indent=2)


def _laid_out(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _note(note: NoteRecord) -> str:
    on = "" if note.subject.entry_id is None else f" on entry {_code(str(note.subject.entry_id))}"
    changed = f", edited {_time(note.edited_at)}" if note.edited_at else ""
    heading = f"### {_name(note.author)} · {_time(note.written_at)}{on}{changed}\n\n"
    if note.deleted_at:
        return f"{heading}Deleted by its author {_time(note.deleted_at)}.\n\n"
    return heading + _fence(note.text, "markdown")


def _gap(gap: MissingEntries, owner: ListOwner) -> str:
    return f"{gap_row(gap, owner).words} Entry IDs {gap.first_id} to {gap.last_id}. {gap.reason}".strip()


def _fence(text: str, kind: str = "text") -> str:
    text = escape_control_chars_text(text)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{kind}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n\n"


def _name(text: str) -> str:
    """Return a role, type or author for a heading: unchanged if it cannot be Markdown, else as a code span."""
    return text if _PLAIN.fullmatch(text) else _code(text)


def _code(text: str) -> str:
    text = " ".join(escape_control_chars_text(text).splitlines()) or " "
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def _time(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.isoformat(sep=' ', timespec='milliseconds').removesuffix('+00:00')} UTC"
