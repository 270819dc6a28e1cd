"""Exports are complete, lossless, and safe to open."""

from __future__ import annotations

import base64
import csv
import io
import json

import pytest
import redis
from django.conf import settings

from evdash.eventlog import current_reader, export
from evdash.eventlog.export import csv_lines, ndjson_lines
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.client import StreamsUnavailable, open_client
from tests.builders import raw_entry
from tests.eventlog.conftest import MakeWorker, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shown_server(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_reader, "shared_client", lambda url: valkey)
    monkeypatch.setattr(export, "CHUNK_EVENTS", 3)


def ndjson(text: str = "") -> list[dict[str, object]]:
    return [json.loads(line) for line in b"".join(ndjson_lines(EventFilter.parse(text))).decode().splitlines()]


def test_a_line_has_the_whole_entry(valkey: redis.Redis) -> None:
    write(
        valkey,
        [raw_entry(("type", "a"), ("type", "b"), ("x", b"\xff"), ("timestamp", "1700000000"), entry_id="5-1")],
    )
    assert ndjson() == [
        {
            "stream": "memory:events",
            "entry_id": "5-1",
            "type": "b",
            "session_id": "",
            "user_id": "",
            "occurred_at": "2023-11-14T22:13:20.000000Z",
            "is_error": False,
            "fields": [
                ["type", "a"],
                ["type", "b"],
                ["x", {"base64": base64.b64encode(b"\xff").decode()}],
                ["timestamp", "1700000000"],
            ],
            "decoded": {"category": "other"},
        }
    ]


def test_an_export_is_complete_before_and_after_the_worker_and_after_trimming(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    entries = [raw_entry(("type", "ab"[i % 2]), entry_id=f"{i}-1") for i in range(1, 20)]
    write(valkey, entries)
    before = ndjson("type:a")
    worker = make_worker(batch_size=4)
    worker.connect()
    worker.step()
    assert ndjson("type:a") == before
    while worker.step():
        pass
    valkey.execute_command("XTRIM", "memory:events", "MAXLEN", 2)
    assert ndjson("type:a") == before
    assert [line["entry_id"] for line in before] == [f"{i}-1" for i in range(2, 20, 2)]


def test_an_entry_at_the_end_of_all_ids_is_exported(valkey: redis.Redis) -> None:
    write(valkey, [raw_entry(("type", "a"), entry_id=str(EntryId.MAX))])
    assert [line["entry_id"] for line in ndjson()] == [str(EntryId.MAX)]


def test_no_cell_of_a_csv_is_a_formula(valkey: redis.Redis) -> None:
    write(
        valkey,
        [
            raw_entry(("type", "=1+1"), ("session_id", "+x"), ("user_id", "@x"), ("error", "\t=x"), entry_id="1-1"),
            raw_entry(("type", "plain, with comma"), entry_id="2-1"),
            raw_entry(("type", "-1001"), ("session_id", "-0.02"), ("user_id", "-2+3"), entry_id="3-1"),
        ],
    )
    rows = list(csv.reader(io.StringIO(b"".join(csv_lines(EventFilter())).decode(), newline="")))
    assert rows[0][:5] == ["stream", "entry_id", "type", "session_id", "user_id"]
    assert [*rows[1][2:5], rows[1][9]] == ["'=1+1", "'+x", "'@x", "'\t=x"]
    assert rows[2][2] == "plain, with comma"
    assert rows[3][2:5] == ["-1001", "-0.02", "'-2+3"]
    assert json.loads(rows[1][-1])[0] == ["type", "=1+1"]


def test_an_export_without_redis_is_refused_rather_than_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_reader, "shared_client", lambda url: open_client("redis://127.0.0.1:1"))
    with pytest.raises(StreamsUnavailable, match="would be incomplete"):
        ndjson_lines(EventFilter())
    assert settings.EVDASH.streams == ("memory:events",)
