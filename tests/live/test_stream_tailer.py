"""The stream tailer: what a tail that is being stopped still reads does not reach the hub of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import cast

from evdash.events.entry import Entry, EntryId
from evdash.live.stream_tailer import StreamTailer
from evdash.streams.tail import Tail, TailState
from tests.builders import STREAM, entry


class StubbornTail:
    """A tail whose client repeats a request that was cancelled, as redis-py does."""

    position: Mapping[str, EntryId] = {STREAM: EntryId.MIN}
    state: TailState | None = None

    def __init__(self, on_state: Callable[[TailState], None]) -> None:
        self.on_state = on_state
        self.written = asyncio.Event()

    def is_reachable(self) -> None:
        self.state = TailState(True)
        self.on_state(self.state)

    async def batches(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        self.is_reachable()
        for _ in range(2):
            try:
                await self.written.wait()
                break
            except asyncio.CancelledError:
                continue
        yield (entry("5-0", type="a"),)
        await asyncio.sleep(60)


class Page:
    """A socket."""

    def tail_changed(self, state: TailState) -> None:
        """Nothing."""

    def feed_failed(self) -> None:
        """Nothing."""


async def test_an_entry_reaches_a_hub_once_although_the_tail_before_reads_it_as_well() -> None:
    tails: list[StubbornTail] = []

    def make_tail(on_state: Callable[[TailState], None]) -> Tail:
        tails.append(StubbornTail(on_state))
        return cast(Tail, tails[-1])

    tailer = StreamTailer(make_tail, lambda event, view, *, is_duplicate=False: "")
    first, second = Page(), Page()
    tailer.attach(first)
    await asyncio.sleep(0)
    tailer.detach(first)
    await asyncio.sleep(0)
    tailer.attach(second)
    await tailer.answered()
    read: list[list[str]] = []
    real = tailer.hub.on_entries

    def on_entries(entries: list[Entry], *others: object) -> None:
        read.append([str(each.entry_id) for each in entries])
        real(entries, *others)  # type: ignore[arg-type]

    tailer.hub.on_entries = on_entries  # type: ignore[assignment, method-assign]
    tails[-2].is_reachable()
    for tail in tails:
        tail.written.set()
    for _ in range(10):
        await asyncio.sleep(0)
    tailer.detach(second)
    assert len(tails) >= 2
    assert read == [["5-0"]]
