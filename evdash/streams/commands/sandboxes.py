"""The operation that deletes a sandbox before it expires."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import redis

from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands.outcomes import OperationRefused, Outcome, Preview, entries_in_words, stream_state
from evdash.streams.sandbox import delete_sandbox, sandbox, why_no_sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSandbox:
    """Deletion of a sandbox with its companion keys. Only a stream that a replay created is a sandbox."""

    action: ClassVar[str] = "delete-sandbox"
    stream: str
    prefix: str
    watched: Collection[str]

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Delete sandbox {self.stream}"

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            entries = self._entries(client)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))
        sentence = f"Deletes sandbox {self.stream} with {entries_in_words(entries)} and the record of their origin."
        return Preview(sentence=sentence, affected=entries)

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused."""
        entries = self._entries(client)
        before = stream_state(client, self.stream)
        stopped = ""
        try:
            delete_sandbox(client, self.stream, self.prefix)
        except StreamsUnavailable as error:
            stopped = f"The rest of it expires. {error}"
        return Outcome(
            done=0 if stopped else entries,
            sentence=f"Sandbox {self.stream} was {'partly ' if stopped else ''}deleted.",
            before=before,
            after=stream_state(client, self.stream),
            stopped=stopped,
        )

    def _entries(self, client: redis.Redis) -> int:
        if refused := why_no_sandbox(self.stream, self.prefix, self.watched):
            raise OperationRefused(refused)
        existing = sandbox(client, self.stream)
        if existing is None:
            raise OperationRefused(f"Sandbox {self.stream} not found (never created, deleted or expired).")
        return existing.info.length if existing.info else 0
