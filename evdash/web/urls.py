"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path, register_converter

from evdash.web.addresses import EntryIdConverter, OpaqueConverter
from evdash.web.views.errors import errors
from evdash.web.views.event import event
from evdash.web.views.events import events
from evdash.web.views.export import csv, ndjson
from evdash.web.views.live import live
from evdash.web.views.overview import overview
from evdash.web.views.session import session
from evdash.web.views.sessions import sessions
from evdash.web.views.streams import streams
from evdash.web.views.user import user
from evdash.web.views.users import users

register_converter(OpaqueConverter, "opaque")
register_converter(EntryIdConverter, "entry_id")

urlpatterns = [
    path("", overview, name="overview"),
    path("live/", live, name="live"),
    path("sessions/", sessions, name="sessions"),
    path("sessions/<opaque:session_id>/", session, name="session"),
    path("events/", events, name="events"),
    path("events/<opaque:stream>/<entry_id:entry_id>/", event, name="event"),
    path("events.ndjson", ndjson, name="events-ndjson"),
    path("events.csv", csv, name="events-csv"),
    path("errors/", errors, name="errors"),
    path("users/", users, name="users"),
    path("users/<opaque:user_id>/", user, name="user"),
    path("streams/", streams, name="streams"),
]
