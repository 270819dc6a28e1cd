"""Addresses that pages ask over HTTP where they have no socket."""

from django.urls import path

from evdash.live.polling import missed_rows

urlpatterns = [path("live/missed/", missed_rows, name="live-missed")]
