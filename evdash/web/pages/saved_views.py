"""Saved views: all that a user sees, and one of them to rename, share or delete."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from evdash.accounts.roles import can_operate
from evdash.eventlog.current_reader import open_reader
from evdash.saved_views.reading import ViewRecord, find_view, visible_views
from evdash.saved_views.writing import ViewRefused, change_view, delete_view, save_view
from evdash.web.error_pages import message_page
from evdash.web.page import page, part
from evdash.web.pages.registry import BY_NAME
from evdash.web.saved_view_display import ViewForm, ViewLink, saved_query, views_in_rail


def saved_views(request: HttpRequest) -> HttpResponse:
    """Render the views that the user sees; POST saves a list as a view and returns to the list."""
    if request.method != "POST":
        return _all(request)
    user, fields = _person(request), request.POST
    of = BY_NAME.get(fields.get("page", ""))
    if of is None or not of.is_list:
        return message_page(request, "View not saved", "This page cannot be saved as a view.", status=400)
    params = QueryDict(fields.get("query", ""))
    name, is_shared = fields.get("name", ""), "shared" in fields
    form = ViewForm(of.name, saved_query(of, params), can_operate(user), name, is_shared)
    try:
        saved = save_view(user, name, form.page, form.query, is_shared=is_shared)
    except ViewRefused as refusal:
        form = replace(form, problem=f"View not saved. {refusal}")
    else:
        form = ViewForm(form.page, form.query, form.can_share, saved=saved.name)
    if request.htmx:  # type: ignore[attr-defined]
        context = {"view_form": form, "views": None if form.problem else views_in_rail(user, of, params)}
        return part(request, "saved_views/_saved.html", context, status=400 if form.problem else 200)
    return _all(request, form) if form.problem else redirect(form.address)


def _all(request: HttpRequest, form: ViewForm | None = None) -> HttpResponse:
    with open_reader() as reader:
        coverage = reader.coverage
    all_views = visible_views(request.user)
    context = {
        "all_views": [(ViewLink(view), view.is_changeable_by(request.user)) for view in all_views],
        "rejected": form,
    }
    status = 400 if form else 200
    return page(request, "pages/saved_views/list.html", "Views", context, coverage=coverage, status=status)


def saved_view(request: HttpRequest, number: int) -> HttpResponse:
    """Render one view with the forms that change and delete it; POST renames it, shares it or stops sharing it."""
    view = find_view(request.user, number)
    if view is None:
        return _no_such_view(request, number)
    form = _form(request, view)
    if request.method != "POST":
        return _one(request, view, form)
    form = replace(form, name=request.POST.get("name", ""), is_shared="shared" in request.POST)
    try:
        change_view(_person(request), view, form.name, is_shared=form.is_shared)
    except ViewRefused as refusal:
        return _one(request, view, replace(form, problem=f"View not changed. {refusal}"))
    return redirect("saved-views")


@require_POST
def saved_view_deleted(request: HttpRequest, number: int) -> HttpResponse:
    """Delete the view, and redirect to the others."""
    view = find_view(request.user, number)
    if view is None:
        return _no_such_view(request, number)
    try:
        delete_view(_person(request), view)
    except ViewRefused as refusal:
        return _one(request, view, replace(_form(request, view), problem=f"View not deleted. {refusal}"))
    return redirect("saved-views")


def _form(request: HttpRequest, view: ViewRecord) -> ViewForm:
    return ViewForm(view.page, view.query, can_operate(request.user), view.name, view.is_shared)


def _one(request: HttpRequest, view: ViewRecord, form: ViewForm) -> HttpResponse:
    with open_reader() as reader:
        coverage = reader.coverage
    context = {"view": ViewLink(view), "is_changeable": view.is_changeable_by(request.user), "edited": form}
    status = 409 if form.problem else 200
    return page(request, "pages/saved_views/view.html", view.name, context, coverage=coverage, status=status)


def _no_such_view(request: HttpRequest, number: int) -> HttpResponse:
    sentence = "No view of yours and no shared view has this number."
    return message_page(request, "View not found", sentence, status=404, subject=str(number))


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
