"""Copying entries into a sandbox, batch by batch: each is there whole with its provenance, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import redis

from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.streams.client import Command, Refused, StreamsUnavailable, call, call_all, call_at_once
from evdash.streams.info import stream_info
from evdash.streams.reads import read_entry
from evdash.streams.sandbox import (
    Provenance,
    expiry_commands,
    forget_expired,
    now_ms,
    origins_key,
    provenance_key,
    sandbox,
)


class SandboxGone(StreamsUnavailable):
    """The sandbox was deleted, or has expired, while entries were copied into it."""


class SandboxWriter:
    """One replay's writing into a sandbox. `provenance` says how far it came.

    A batch is one MULTI with IDs that are decided here, so that a repeated attempt after a lost reply writes nothing
    twice, and an end in the middle leaves all of a batch or none of it.
    """

    def __init__(
        self, client: redis.Redis, stream: str, prefix: str, provenance: Provenance, *, expires_s: int
    ) -> None:
        self.provenance = provenance
        self._client, self._stream, self._prefix = client, stream, prefix
        existing = sandbox(client, stream)
        left = existing.expires_at - datetime.now(UTC) if existing and existing.expires_at else None
        # Nobody's sandbox is shortened by a further replay into it.
        self._expires_s = max(expires_s, int(left.total_seconds()) if left else 0)
        info = stream_info(client, stream)
        self._last_id = info.last_generated_id if info else EntryId.MIN
        forget_expired(client, prefix)
        self._number = self._begin()

    def write(self, entries: Sequence[Entry]) -> None:
        """Append these, in their order. Raises StreamsUnavailable; then none of them is there, or all of them are."""
        kept, clock = call_all(self._client, ("HEXISTS", provenance_key(self._stream), self._number), ("TIME",))
        if not kept:
            raise SandboxGone(f"{self._stream} was deleted, or has expired, meanwhile.")
        ids = self._ids(entries, int(clock[0]) * 1000 + int(clock[1]) // 1000)
        grown = self._grown(entries)
        commands: list[Command] = []
        for entry_id, entry in zip(ids, entries, strict=True):
            flat = [part for pair in entry.pairs for part in pair]
            commands.append(("XADD", self._stream, str(entry_id), *flat))
            if self.provenance.ids == "new":
                where = ("stream", _bytes(entry.stream), "entry_id", str(entry.entry_id))
                commands.append(("XADD", origins_key(self._stream), str(entry_id), *where))
        try:
            call_at_once(self._client, *commands, *self._noted(grown), stream=self._stream)
        except Refused:
            # A second attempt, the first one's answer lost, finds its own entries there; else somebody wrote between.
            there = read_entry(self._client, self._stream, ids[-1])
            if there is None or there.pairs != entries[-1].pairs:
                call_all(self._client, *self._noted(self.provenance))
                raise
        self.provenance, self._last_id = grown, ids[-1]

    def tell_alive(self) -> None:
        """Say that the replay goes on, while nothing is written. Raises StreamsUnavailable."""
        kept = call(self._client, "HEXISTS", provenance_key(self._stream), self._number)
        if not kept:
            raise SandboxGone(f"{self._stream} was deleted, or has expired, meanwhile.")
        self.provenance = replace(self.provenance, heard_at=datetime.now(UTC))
        call(self._client, "HSET", provenance_key(self._stream), self._number, self.provenance.to_json())

    def end(self, outcome: str = "") -> None:
        """Note that it has ended; `outcome` is the sentence that says why, where it did before its end.

        Asks Redis how far it came: of a batch that was broken off nobody else knows.
        """
        kept = call(self._client, "HGET", provenance_key(self._stream), self._number)
        if kept is None:
            raise SandboxGone(f"{self._stream} was deleted, or has expired, meanwhile.")
        so_far = Provenance.from_json(kept.decode())
        self.provenance = replace(so_far, ended_at=datetime.now(UTC), outcome=outcome)
        call_all(self._client, *self._noted(self.provenance))

    def _begin(self) -> str:
        key, number = provenance_key(self._stream), 1
        while True:
            hsetnx = ("HSETNX", key, str(number), self.provenance.to_json())
            expiry = expiry_commands(self._stream, self._prefix, self._expires_at_ms)
            if call_at_once(self._client, hsetnx, *expiry)[0]:
                return str(number)
            number += 1

    def _noted(self, provenance: Provenance) -> list[Command]:
        hset = ("HSET", provenance_key(self._stream), self._number, provenance.to_json())
        return [hset, *expiry_commands(self._stream, self._prefix, self._expires_at_ms)]

    @property
    def _expires_at_ms(self) -> int:
        """The Unix time at which the sandbox expires, were this the last that is written."""
        return now_ms(self._client) + self._expires_s * 1000

    def _grown(self, entries: Sequence[Entry]) -> Provenance:
        so_far = self.provenance
        return replace(
            so_far,
            sources=tuple(dict.fromkeys((*so_far.sources, *(entry.stream for entry in entries)))),
            first_id=so_far.first_id or entries[0].entry_id,
            last_id=entries[-1].entry_id,
            heard_at=datetime.now(UTC),
            entries=so_far.entries + len(entries),
            size_bytes=so_far.size_bytes + sum(map(size_of, entries)),
        )

    def _ids(self, entries: Sequence[Entry], clock_ms: int) -> list[EntryId]:
        if self.provenance.ids == "original":
            return [entry.entry_id for entry in entries]
        ids: list[EntryId] = []
        # As Redis would give them itself: its clock, and never behind what is there.
        after = max(self._last_id, EntryId(clock_ms, 0).previous())
        for _ in entries:
            after = after.next()
            ids.append(after)
        return ids


def size_of(entry: Entry) -> int:
    """The bytes of its names and values."""
    return sum(len(name) + len(value) for name, value in entry.pairs)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
