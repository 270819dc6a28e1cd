"""An export that loses Redis or SQL in the middle ends, and says that it is incomplete."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.test import Client

from evdash.audit_log.models import AuditLogEntry
from evdash.streams.client import StreamsUnavailable
from evdash.web.downloads import incomplete_line
from evdash.web.pages import exports

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("outage", "reason"),
    [
        (StreamsUnavailable("Redis is gone."), "Redis is gone."),
        (OperationalError("database is locked"), "The database is locked by another process."),
    ],
)
@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_the_last_line_says_so_and_the_audit_log_too(
    browser: Client, monkeypatch: pytest.MonkeyPatch, name: str, outage: Exception, reason: str
) -> None:
    def broken(_filter: object) -> Iterator[bytes]:
        yield b'{"entry_id": "1-1"}\n' if name == "ndjson" else b"1-1,a\r\n"
        raise outage

    monkeypatch.setattr(exports, f"{name}_lines", broken)
    first, last = b"".join(browser.get(f"/events.{name}")).decode().splitlines()  # type: ignore[arg-type]
    if name == "ndjson":
        assert json.loads(first) == {"entry_id": "1-1"}
        assert json.loads(last) == {"incomplete": True, "reason": reason}
    else:
        assert next(csv.reader(io.StringIO(last))) == [f"# incomplete: {reason}"]
    ended = AuditLogEntry.objects.get(begun__isnull=False)
    assert not ended.succeeded
    assert str(outage) in ended.outcome


def test_markup_in_a_reason_is_no_markup_of_the_file() -> None:
    assert "<script>" not in incomplete_line("HTML file", "<script>")
