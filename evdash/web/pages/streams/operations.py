"""Operations on streams and groups: one address for the preview (GET) and the execution (POST)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from evdash.accounts.roles import can_operate, operators_only
from evdash.audit_log.audit_log import REASON_MAX_CHARS, last_of, record
from evdash.audit_log.run_operation import OutcomeNotRecorded
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.commands import Operation, OperationRefused, Preview
from evdash.streams.consumer_group import GroupMissing
from evdash.web.charts.pending_bars import pending_bars
from evdash.web.error_pages import message_page
from evdash.web.formatting import format_count
from evdash.web.links import with_query
from evdash.web.page import page
from evdash.web.pages.audit_log import AuditEntryView
from evdash.web.pages.streams.forms import FORMS, OperationForm
from evdash.web.pages.streams.forms.sandboxes import SANDBOX_FORMS
from evdash.web.pages.streams.forms.target import operation_target
from evdash.web.pages.streams.stream import pending_rows
from evdash.web.pages.streams.view import no_such_stream

EXAMPLES: Final = 5
NOT_ALLOWED: Final = "Operator role required."
_TROUBLE: Final = (StreamsUnavailable, GroupMissing, OutcomeNotRecorded)


@dataclass(frozen=True, slots=True)
class OperationQuery:
    """The query of an operation's page: its target, and the arguments of its form."""

    stream: str
    group: str
    arguments: Mapping[str, str]  # every parameter, with several values on a line each

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query of a request. Never raises."""
        params = request.GET
        arguments = {name: "\n".join(params.getlist(name)) for name in params}
        return cls(params.get("stream", ""), params.get("group", ""), arguments)


def stream_operation(request: HttpRequest, kind: str) -> HttpResponse:
    """Preview or run an operation, for operators only.

    Other users get 403. The audit log records their attempts with POST.
    """
    if not can_operate(request.user):
        _record_refusal(request, kind, NOT_ALLOWED)
    return cast(HttpResponse, _operation(request, kind))


def _record_refusal(request: HttpRequest, kind: str, outcome: str) -> None:
    """Add a row to the audit log for a POST that is refused before an operation runs. The outcome is the reason."""
    if request.method != "POST":
        return
    user, query = cast(User, request.user), OperationQuery.from_request(request)
    sandbox_form = SANDBOX_FORMS.get(kind)
    record(
        user.get_username(),
        kind,
        user=user,
        stream=query.arguments.get(sandbox_form.names, "") if sandbox_form else query.stream,
        group=query.group,
        reason=request.POST.get("reason", "").strip(),
        outcome=outcome,
        succeeded=False,
    )


@operators_only
def _operation(request: HttpRequest, kind: str) -> HttpResponse:
    """Render the form and a preview for GET. Run the operation for POST and redirect to its audit log entry."""
    query = OperationQuery.from_request(request)
    stream, group = query.stream, query.group
    if stream not in settings.EVDASH.streams:
        _record_refusal(request, kind, "This stream is not in EVDASH_STREAMS.")
        return no_such_stream(request, stream)
    form_class = FORMS[kind]
    if form_class.of_group and not group:
        _record_refusal(request, kind, "No consumer group was named.")
        return message_page(request, "Group missing", "Add the parameter group= to the address.", status=404)
    with open_reader() as reader, open_client(settings.EVDASH.redis_url) as client:
        try:
            with_parked = "all" in query.arguments
            target = operation_target(client, stream, group if form_class.of_group else "", with_parked=with_parked)
            arguments = query.arguments
            if request.method == "GET":
                arguments = form_class.with_suggestions(target, arguments)
            form = form_class(target, arguments)
        except StreamsUnavailable as outage:
            _record_refusal(request, kind, str(outage))
            return message_page(request, form_class.title, str(outage), status=503, coverage=reader.coverage)
        run_address = "" if arguments is query.arguments else with_query("", arguments.items())
        return _preview_or_run(request, form, client, reader, run_address=run_address)


def sandbox_operation(request: HttpRequest, kind: str) -> HttpResponse:
    """Preview or run an operation on a sandbox, for operators only.

    The sandbox is a stream of its own, and need not be a configured one. Other users get 403. The audit log records
    their attempts with POST.
    """
    if not can_operate(request.user):
        _record_refusal(request, kind, NOT_ALLOWED)
    return cast(HttpResponse, _sandbox_operation(request, kind))


@operators_only
def _sandbox_operation(request: HttpRequest, kind: str) -> HttpResponse:
    """Render the form and a preview for GET. Run the operation for POST and redirect."""
    query = OperationQuery.from_request(request)
    form = SANDBOX_FORMS[kind](cast(User, request.user).get_username(), query.arguments)
    with open_reader() as reader, open_client(settings.EVDASH.redis_url) as client:
        return _preview_or_run(request, form, client, reader, template="pages/streams/sandbox_operation.html")


def _preview_or_run(
    request: HttpRequest,
    form: OperationForm,
    client: redis.Redis,
    reader: Reader,
    *,
    template: str = "pages/streams/operation.html",
    run_address: str = "",
) -> HttpResponse:
    """Render the form with a preview. After a POST run the operation and redirect to its audit log entry.

    The form's `success_url` has priority over that entry. `run_address` is the address that runs what the preview
    shows, if it is not the request's own.
    """
    problem = ""
    if request.method == "POST" and form.is_complete and form.is_valid():
        problem = _run(request, form, client)
        if not problem and (done := last_of(cast(User, request.user))):
            return redirect(form.success_url or AuditEntryView(done).address)
    reason = request.POST.get("reason", "").strip()
    context = {
        "form": form,
        "problem": problem,
        "preview": None,
        "reason": reason[:REASON_MAX_CHARS],
        "reason_max_chars": REASON_MAX_CHARS,
        "back": form.cancel_url,
        "run_address": run_address,
    }
    if form.is_complete and form.is_valid():
        context |= _previewed(form, client, reader)
    is_invalid = bool(form.errors) or len(reason) > REASON_MAX_CHARS
    status = 400 if is_invalid else 409 if problem else 200
    return page(request, template, form.title, context, coverage=reader.coverage, status=status)


def _run(request: HttpRequest, form: OperationForm, client: redis.Redis) -> str:
    """Run the operation. Return the reason if it was not run, or if its outcome is unknown; else ""."""
    user, reason = cast(User, request.user), request.POST.get("reason", "").strip()
    operation = form.operation(reason)
    try:
        try:
            if before_id := request.POST.get("before_id"):
                operation = form.as_previewed(operation, EntryId.parse(before_id))
            refusal = _growth(operation, client, request.POST.get("seen", "")) if form.shows_growth else ""
        except (InvalidEntryId, *_TROUBLE) as error:
            refusal = str(error)
        if refusal:
            _record_refusal(request, form.kind, refusal)
            return refusal
        form.carry_out(operation, reason, client, user)  # it records refusals itself
    except (OperationRefused, *_TROUBLE) as error:
        return str(error)
    except DatabaseError as error:
        return f"Not executed: the audit log is not writable ({error})."
    return ""


def _growth(operation: Operation, client: redis.Redis, seen: str) -> str:
    """Return the sentence if the operation affects more entries than the person saw; else ""."""
    now = operation.preview(client).affected
    if now is None or not seen.isdecimal() or now <= int(seen):
        return ""
    entries = format_count(now, "entry", "entries")
    return f"Not executed: the selection grew from about {int(seen):,} to about {entries}. Check the preview again."


def _previewed(form: OperationForm, client: redis.Redis, reader: Reader) -> dict[str, Any]:
    try:
        preview = form.operation("").preview(client)
        rows = pending_rows(client, reader, form.place.stream, preview.examples[:EXAMPLES])
    except _TROUBLE as trouble:
        return {"preview": Preview(str(trouble), None, refused=str(trouble)), "rows": [], "more": 0}
    more = max(0, preview.affected - len(rows)) if preview.affected and rows else 0
    return {
        "preview": preview,
        "pending": pending_bars(preview.pending),
        "rows": rows,
        "more": more,
        "button": form.button(preview.affected),
    }
