"""All URLs of evdash."""

from django.urls import URLPattern, URLResolver, include, path

handler400 = "evdash.web.error_pages.bad_request"
handler403 = "evdash.web.error_pages.access_denied"
handler404 = "evdash.web.error_pages.page_not_found"
handler500 = "evdash.web.error_pages.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("evdash.accounts.urls")),
    path("", include("evdash.health.urls")),
    path("", include("evdash.live.urls")),
    path("", include("evdash.web.urls")),
]
