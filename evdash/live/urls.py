"""URL routes for pages that poll over HTTP without a socket."""

from django.urls import path

from evdash.live.polling import missed_rows

urlpatterns = [path("live/missed/", missed_rows, name="live-catch-up")]
