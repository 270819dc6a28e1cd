"""The audit log: operations on streams and groups with reason and outcome, exports of events, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.audit_log.audit_log import Access, access, recent
from evdash.audit_log.models import AuditLogEntry
from evdash.eventlog.current_reader import open_reader
from evdash.web.error_pages import handles_invalid_query, message_page
from evdash.web.event_list.list_query import InvalidQuery
from evdash.web.formatting import format_milliseconds
from evdash.web.links import group_address, list_address, parked_address, sandbox_address, with_query
from evdash.web.page import page, part
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
    def group_address(self) -> str:
        """The page of the action's group; "" without a group, or if evdash does not read the stream."""
        begun = self.access.begun
        is_shown = begun.group and begun.stream in settings.EVDASH.streams
        return group_address(begun.stream, begun.group) if is_shown else ""

    @property
    def parked_address(self) -> str:
        """The page of the dead-lettered entries, if the action was park, redeliver or discard; else ""."""
        begun = self.access.begun
        is_of_parked_entries = (
            begun.action in ("park", "redeliver", "discard") and begun.stream in settings.EVDASH.streams
        )
        return parked_address(begun.stream) if is_of_parked_entries else ""

    @property
    def sandbox_address(self) -> str:
        """The page of the sandbox, if the action was a replay; else ""."""
        return sandbox_address(self.access.begun.stream) if self.access.begun.action == "replay" else ""

    @property
    def note_address(self) -> str:
        """The page of the note, if the action wrote, changed or deleted one; else ""."""
        number = (self.access.begun.detail.get("asked") or {}).get("note")
        return reverse("note", kwargs={"number": number}) if self.access.begun.action == "note" and number else ""

    @property
    def view_address(self) -> str:
        """The page of the saved view, if the action shared or changed one; else ""."""
        number = (self.access.begun.detail.get("asked") or {}).get("view")
        return reverse("saved-view", kwargs={"number": number}) if self.access.begun.action == "view" and number else ""

    @property
    def state(self) -> str:
        """The outcome in a few words: done, in part, not done, unknown."""
        if self.access.is_open:
            return "unknown"
        if self.access.succeeded:
            return "done"
        return "in part" if self.row.detail.get("done") else "not done"

    @property
    def values(self) -> tuple[ValueChange, ...]:
        """All values that were recorded before and after."""
        before, after = dict(_flat(self.row.before)), dict(_flat(self.row.after))
        return tuple(ValueChange(name, before.get(name, "–"), after.get(name, "–")) for name in {**before, **after})

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


@dataclass(frozen=True, slots=True)
class AuditLogQuery:
    """The query of the audit log: the entries before one, else the newest."""

    before_row: int | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `before=`. Raise InvalidQuery."""
        text = request.GET.get("before", "")
        if text and (not text.isascii() or not text.isdecimal() or len(text) > 18):
            raise InvalidQuery(f"before= {text[:40]!r} is not the number of an audit log entry.")
        return cls(int(text) if text else None)

    def url(self, *, before_row: int | None = None) -> str:
        """Return the URL of the entries before one, of the newest by default."""
        before = [] if before_row is None else [("before", str(before_row))]
        return with_query(list_address("audit-log"), before)


@handles_invalid_query
def audit_log(request: HttpRequest) -> HttpResponse:
    """Render the actions, newest first."""
    query = AuditLogQuery.from_request(request)
    entries = [AuditEntryView(entry) for entry in recent(ROWS + 1, before_row=query.before_row)]
    context = {
        "accesses": entries[:ROWS],
        "newest": query.url() if query.before_row is not None else "",
        "older": query.url(before_row=entries[ROWS - 1].access.begun.pk) if len(entries) > ROWS else "",
    }
    with open_reader() as reader:
        coverage = reader.coverage
    return page(request, "pages/audit_log/list.html", "Audit log", context, coverage=coverage)


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
