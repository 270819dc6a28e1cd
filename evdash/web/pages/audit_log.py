"""The audit log: operations on streams and groups with reason and outcome, exports of events, and notes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from evdash.audit_log.audit_log import Access, AuditLogFilter, access, accesses_before, known_values, recent
from evdash.audit_log.models import AuditLogEntry
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.export import Piece, csv_text
from evdash.streams.commands.outcomes import CONSUMERS_MAX, pending_changes
from evdash.web.charts.pending_bars import PendingBars, pending_bars
from evdash.web.error_pages import handles_invalid_query, message_page
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.formatting import format_milliseconds
from evdash.web.links import group_address, list_address, parked_address, sandbox_address, with_query
from evdash.web.page import page, part
from evdash.web.pages.exports import download
from evdash.web.pages.streams.claim_watch import claim_watch

_NOTHING: Final = {"–", "none"}
# Arguments that are not listed: the page shows some above the list, and the others follow from the settings.
_SHOWN_ELSEWHERE: Final = {"stream", "group", "own_groups", "reason", "who", "prefix", "watched"}


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value before and after an operation."""

    name: str
    before: str
    after: str

    @property
    def is_same(self) -> bool:
        return self.before == self.after or {self.before, self.after} <= _NOTHING


@dataclass(frozen=True, slots=True)
class AuditEntryView:
    """View of one action."""

    access: Access

    @property
    def row(self) -> AuditLogEntry:
        """The row with the outcome, or the only row."""
        return self.access.ended or self.access.begun

    @property
    def address(self) -> str:
        return reverse("audit-log-entry", kwargs={"number": self.access.begun.pk})

    @property
    def objects(self) -> tuple[tuple[str, str], ...]:
        """The things that the action was about: label and address of their pages, as far as evdash has them."""
        begun = self.access.begun
        arguments = begun.detail.get("asked") or {}
        is_read = begun.stream in settings.EVDASH.streams
        links = []
        if begun.group and is_read:
            links.append((f"Open group {begun.group}", group_address(begun.stream, begun.group)))
        if begun.action in ("park", "redeliver", "discard") and is_read:
            links.append(("Open parked entries", parked_address(begun.stream)))
        if begun.action == "replay":
            links.append((f"Open sandbox {begun.stream}", sandbox_address(begun.stream)))
        if begun.action == "note" and arguments.get("note"):
            links.append(("Open note", reverse("note", kwargs={"number": arguments["note"]})))
        if begun.action == "view" and arguments.get("view"):
            links.append(("Open view", reverse("saved-view", kwargs={"number": arguments["view"]})))
        if begun.action == "export" and not begun.stream and arguments.get("filter") is not None:
            links.append(_exported(str(arguments["filter"]), is_of_events=begun.detail.get("noun", "event") == "event"))
        return tuple(links)

    @property
    def state(self) -> str:
        """The outcome in a few words: done, partly failed, failed, unknown."""
        if self.access.is_open:
            return "unknown"
        if self.access.succeeded:
            return "done"
        return "partly failed" if self.row.detail.get("done") else "failed"

    @property
    def outcome_in_list(self) -> str:
        """The outcome beside the state; "" for a complete export, whose number of bytes its own page has."""
        is_complete_export = self.access.begun.action == "export" and self.state == "done"
        return "" if is_complete_export else self.access.outcome

    @property
    def values(self) -> tuple[ValueChange, ...]:
        """All values that were recorded before and after."""
        before, after = dict(_flat(self.row.before)), dict(_flat(self.row.after))
        return tuple(ValueChange(name, before.get(name, "–"), after.get(name, "–")) for name in {**before, **after})

    @property
    def pending(self) -> PendingBars:
        """The pending entries of consumers before and after; without bars if one of the two is unknown."""
        before, after = self.row.before.get("consumers"), self.row.after.get("consumers")
        # A longer list is cut, so a consumer that it lacks may have pending entries.
        is_known = before is not None and after is not None and max(len(before), len(after)) < CONSUMERS_MAX
        return pending_bars(pending_changes(before, after) if is_known else ())

    @property
    def values_without_bars(self) -> tuple[ValueChange, ...]:
        """All values except those that `pending` draws. A consumer that was created or deleted is listed, too."""
        drawn = {f"pending for {bar.change.consumer}" for bar in self.pending.bars}
        return tuple(each for each in self.values if each.name not in drawn or "–" in (each.before, each.after))

    @property
    def changes(self) -> tuple[ValueChange, ...]:
        """The values that differ."""
        return tuple(value for value in self.values if not value.is_same)

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """The entries for which the operation failed, each with the reason."""
        listed = self.row.detail.get("failed") or ()
        return tuple((one[0], one[1]) if isinstance(one, list) else ("", one) for one in listed)

    @property
    def done_ids(self) -> tuple[str, ...]:
        """The IDs of the entries for which the operation succeeded."""
        return tuple(self.row.detail.get("done_ids") or ())

    @property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """The arguments of the action by name, without empty ones."""
        arguments = self.access.begun.detail.get("asked") or {}
        return tuple(
            _argument(name, value)
            for name, value in arguments.items()
            if value not in (None, "", [], False) and name not in _SHOWN_ELSEWHERE
        )


def _exported(text: str, *, is_of_events: bool) -> tuple[str, str]:
    if not is_of_events:
        return "Open audit log", list_address("audit-log")
    return "Open exported events", with_query(list_address("events"), [("q", text)] if text else [])


def _argument(name: str, value: Any) -> tuple[str, str]:
    if name.endswith("_ms"):
        return _named(name.removesuffix("_ms")), format_milliseconds(value)
    if name.endswith("_s"):
        return _named(name.removesuffix("_s")), format_milliseconds(value * 1000)
    return _named(name), _in_words(value)


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            for inner, number in value.items():
                yield f"pending for {inner}" if name == "consumers" else f"{_named(name)} {inner}", _in_words(number)
        else:
            yield _named(name), _in_words(value)


def _named(name: str) -> str:
    return name.replace("_", " ").replace(" id", " ID")


def _in_words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


ROWS: Final = 50
FILTER_PARAMETERS: Final = ("who", "action", "object")
CSV_COLUMNS: Final = (
    "number", "at", "ended_at", "who", "action", "title", "stream", "group", "reason", "state", "outcome",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditLogQuery:
    """The query of the audit log: a filter, and the entries before one, else the newest."""

    filter: AuditLogFilter
    before_row: int | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `who=`, `action=`, `object=` and `before=`. Raise InvalidQuery."""
        text = request.GET.get("before", "")
        if text and (not text.isascii() or not text.isdecimal() or len(text) > 18):
            raise InvalidQuery(f"before= {text[:40]!r} is not the number of an audit log entry.")
        own = AuditLogFilter(*(request.GET.get(name, "").strip() for name in FILTER_PARAMETERS))
        return cls(own, int(text) if text else None)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the filter."""
        values = (self.filter.who, self.filter.action, self.filter.object)
        return tuple((name, value) for name, value in zip(FILTER_PARAMETERS, values, strict=True) if value)

    def url(self, *, before_row: int | None = None) -> str:
        """Return the URL of the entries before one, of the newest by default."""
        before = [] if before_row is None else [("before", str(before_row))]
        return with_query(list_address("audit-log"), [*self.pairs, *before])

    def export_address(self, name: str) -> str:
        """Return the address of the export with this URL name."""
        return with_query(list_address(name), self.pairs)


@handles_invalid_query
def audit_log(request: HttpRequest) -> HttpResponse:
    """Render the actions of the filter, newest first."""
    query = AuditLogQuery.from_request(request)
    found = recent(ROWS + 1, before_row=query.before_row, matching=query.filter)
    entries = [AuditEntryView(entry) for entry in found]
    who, actions = known_values()
    context = {
        "accesses": entries[:ROWS],
        "filter": query.filter,
        "is_filtered": bool(query.pairs),
        "people": who,
        "actions": actions,
        "ndjson": query.export_address("audit-log-ndjson"),
        "csv": query.export_address("audit-log-csv"),
        "newest": query.url() if query.before_row is not None else "",
        "older": query.url(before_row=entries[ROWS - 1].access.begun.pk) if len(entries) > ROWS else "",
    }
    with open_reader() as reader:
        coverage = reader.coverage
    return page(request, "pages/audit_log/list.html", "Audit log", context, coverage=coverage)


@handles_invalid_query
def audit_log_ndjson(request: HttpRequest) -> HttpResponseBase:
    """Export one JSON object per action, oldest first."""
    query = AuditLogQuery.from_request(request)

    def pieces(number: int) -> Iterator[bytes]:
        for each in accesses_before(number, query.filter):
            yield Piece.of(json.dumps(_record(each), ensure_ascii=False, cls=DjangoJSONEncoder) + "\n", 1)

    return download(request, pieces, query.filter, "NDJSON", "application/x-ndjson", "audit-log.ndjson", "action")


@handles_invalid_query
def audit_log_csv(request: HttpRequest) -> HttpResponseBase:
    """Export one row per action, oldest first, for spreadsheets."""
    query = AuditLogQuery.from_request(request)

    def pieces(number: int) -> Iterator[bytes]:
        yield csv_text([CSV_COLUMNS]).encode()
        for each in accesses_before(number, query.filter):
            record = _record(each)
            cells = (record[name] for name in CSV_COLUMNS)
            yield Piece.of(csv_text([["" if cell is None else str(cell) for cell in cells]]), 1)

    return download(request, pieces, query.filter, "CSV", "text/csv; charset=utf-8", "audit-log.csv", "action")


def _record(entry: Access) -> dict[str, Any]:
    begun, last = entry.begun, entry.ended or entry.begun
    return {
        "number": begun.pk,
        "at": begun.at.isoformat(),
        "ended_at": entry.ended.at.isoformat() if entry.ended else None,
        "who": begun.who,
        "action": begun.action,
        "title": entry.title,
        "stream": begun.stream,
        "group": begun.group,
        "reason": begun.reason,
        "state": AuditEntryView(entry).state,
        "outcome": entry.outcome,
        "before": last.before,
        "after": last.after,
        "detail": last.detail,
    }


@dataclass(frozen=True, slots=True)
class AuditEntryQuery:
    """The query of an audit log entry: the whole page, or the progress of claimed entries."""

    is_watch: bool

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `part=`."""
        return cls(request.GET.get("part") == "watch")


def audit_log_entry(request: HttpRequest, number: int) -> HttpResponse:
    """Render one action with all its details.

    With `part=watch` render only the progress of claimed entries, which is empty when it has ended.
    """
    entry = access(number)
    watch = claim_watch(entry, f"{AuditEntryView(entry).address}?part=watch") if entry else None
    if entry and AuditEntryQuery.from_request(request).is_watch:
        return part(request, "pages/streams/_claim_watch.html", {"watch": watch}) if watch else HttpResponse()
    with open_reader() as reader:
        coverage = reader.coverage
    if entry is None:
        sentence = "No audit log entry has this number."
        return message_page(
            request, "Audit log entry not found", sentence, status=404, subject=str(number), coverage=coverage
        )
    context = {"shown": AuditEntryView(entry), "watch": watch}
    return page(request, "pages/audit_log/entry.html", entry.title, context, coverage=coverage)
