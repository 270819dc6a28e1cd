"""The three endpoints for machines."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from evdash.accounts.tokens import token_or_session
from evdash.health.current import current_health
from evdash.health.readiness import readiness

PLAIN = "text/plain; charset=utf-8"


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 if the process answers.

    Redis and SQL are not checked: a restart of the process would not bring them back.
    """
    return HttpResponse("evdash is running.\n", content_type=PLAIN)


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if this process can serve pages, otherwise 503, with a line for each requirement.

    Further lines are warnings: health conditions that do not keep the process from serving pages.
    """
    found = readiness(current_health())
    lines = [f"{'ok' if check.passed else 'not ready'}: {check.sentence}\n" for check in found.checks]
    lines += [f"warning: {sentence}\n" for sentence in found.warnings]
    status = 200 if found.is_ready else 503
    return HttpResponse("".join(lines), status=status, content_type=PLAIN)


@token_or_session("read")
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the work done and the work left as Prometheus metrics."""
    # Imported here: commands such as `manage.py check` import the URLs, but do not need prometheus_client.
    from prometheus_client.exposition import choose_encoder

    from evdash.health.metrics import Metrics

    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(Metrics()), content_type=content_type)
