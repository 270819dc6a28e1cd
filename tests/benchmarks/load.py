"""What is published under load: events that are known by their number, at an even pace, from a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlencode

from evdash.streams.publisher import BATCH_SIZE, NewEvent, Publisher

TYPES = ("message.added", "tool.called", "search.performed", "message.added", "tool.returned")
SESSIONS = 500
USERS = 50
CITIES = (
    "Aarhus", "Bergen", "Cadiz", "Dakar", "Eugene", "Fukuoka", "Galway", "Hanoi", "Izmir", "Jakarta",
    "Kyoto", "Lagos", "Malmo", "Nairobi", "Oslo", "Porto", "Quito", "Riga", "Sofia", "Tromso",
)  # fmt: skip
ERROR_EVERY = 20
# Events that are due are published this often. A command for each of 1,000 events/s took a quarter of a processor.
PACE_S = 0.005


def event(number: int) -> NewEvent:
    """The event of that number: the same at every call but for its own ID and its time."""
    session = number * 7 % SESSIONS
    city = CITIES[number * 3 % len(CITIES)]
    if number % ERROR_EVERY == 0:
        data: dict[str, str | int] = {
            "error": f"The seat {number % 40} to {city} is taken",
            "error_code": "seat_taken",
            "tool": "book",
        }
        return NewEvent("error.occurred", f"session-{session}", f"user-{session % USERS}", data)
    data = {
        "role": "assistant",
        "content": f"There are {number % 9 + 1} flights to {city} on that day, the first one at 7:{number % 60:02}.",
        "latency_ms": number * 13 % 900,
        "tokens": number % 300,
    }
    return NewEvent(TYPES[number % len(TYPES)], f"session-{session}", f"user-{session % USERS}", data)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter as pages ask for it, and the same in other words: what it lets through."""

    kind: str
    query: str
    matches: Callable[[NewEvent], bool]


def everything() -> Wanted:
    return Wanted("everything", "", lambda event: True)


def one_type(type: str) -> Wanted:
    return Wanted("one type", urlencode({"type": type}), lambda event: event.type == type)


def errors() -> Wanted:
    return Wanted("errors", "errors=1", lambda event: event.type == "error.occurred")


def one_session(session: str) -> Wanted:
    return Wanted("one session", urlencode({"session": session}), lambda event: event.session_id == session)


def a_text(text: str) -> Wanted:
    return Wanted("a text", urlencode({"text": text}), lambda event: text in str(event.data))


def some_users(users: list[str]) -> Wanted:
    query = urlencode([("user", user) for user in users])
    return Wanted("three users", query, lambda event: event.user_id in users)


def mixed_filters() -> Iterator[Wanted]:
    """Kind after kind, on and on: filters that many have in common, and filters of one socket's own."""
    for number in count():
        yield everything()
        yield one_type(TYPES[number % 3])
        yield errors()
        yield one_session(f"session-{number % SESSIONS}")
        yield a_text(CITIES[number % len(CITIES)])
        yield some_users([f"user-{(number + step) % USERS}" for step in range(3)])


@dataclass(frozen=True, slots=True)
class Published:
    """What was written, by number: entry IDs, and the moments right before each XADD on the machine's steady clock."""

    entry_ids: list[str] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def rate(self) -> float:
        """Events a second, as they really were."""
        return len(self.entry_ids) / self.took_s


class Load:
    """A process that publishes `rate` events a second for so long, from `start` on."""

    def __init__(self, redis_url: str, rate: int, seconds: float) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_publish, args=(redis_url, rate, seconds, other))
        self._process.start()
        other.close()
        self._pipe.recv()  # it is connected

    def start(self) -> None:
        self._pipe.send("go")

    def is_over(self, within_s: float) -> bool:
        """Whether everything is published; waits so long for it."""
        return self._pipe.poll(within_s)

    def published(self) -> Published:
        published: Published = self._pipe.recv()
        self._process.join()
        return published

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()


def _publish(redis_url: str, rate: int, seconds: float, pipe: Connection) -> None:
    total = int(rate * seconds)
    entry_ids: list[str] = []
    sent_ns: list[int] = []
    with Publisher(redis_url) as publisher:
        publisher.publish_many([])
        pipe.send("ready")
        pipe.recv()
        started = time.monotonic()
        while len(entry_ids) < total:
            first = len(entry_ids)
            due = min(total, int((time.monotonic() - started) * rate) + 1, first + BATCH_SIZE)
            if due == first:
                time.sleep(PACE_S)
                continue
            events = [event(number) for number in range(first, due)]
            before_ns = time.monotonic_ns()
            entry_ids += map(str, publisher.publish_many(events))
            sent_ns += [before_ns] * len(events)
    pipe.send(Published(entry_ids, sent_ns, time.monotonic() - started))
