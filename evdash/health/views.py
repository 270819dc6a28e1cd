"""The three addresses that machines ask."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from evdash.accounts.tokens import token_or_session
from evdash.health.readiness import checks

PLAIN = "text/plain; charset=utf-8"


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing else is asked: to start it again would not bring Redis or SQL back."""
    return HttpResponse("evdash lives.\n", content_type=PLAIN)


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if pages can be served from here, else 503; a line for each thing that it takes."""
    done = checks()
    lines = [f"{'ok' if check.passed else 'not ready'}: {check.sentence}\n" for check in done]
    status = 200 if all(check.passed for check in done) else 503
    return HttpResponse("".join(lines), status=status, content_type=PLAIN)


@token_or_session
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """What was done and what is left to do, as Prometheus reads it."""
    # Imported here: commands import the addresses (`manage.py check`) and need no prometheus_client.
    from prometheus_client.exposition import choose_encoder

    from evdash.health.metrics import Metrics

    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(Metrics()), content_type=content_type)
