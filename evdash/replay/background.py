"""Slow replays, executed by threads of the web process that received the request. They end with that process."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import ClassVar, Final

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from structlog.stdlib import get_logger

from evdash.audit_log.run_operation import operate
from evdash.events.entry import Entry
from evdash.replay.replay import Clock, Replay, Stopped
from evdash.streams.client import open_client
from evdash.streams.commands import OperationRefused, Outcome, Preview
from evdash.streams.sandbox import SandboxWriter

logger = get_logger(__name__)

AT_ONCE: Final = 4
"""Maximum number of replays that one process executes at the same time."""
_BEGUN_WITHIN_S: Final = 30.0
_ENDED_WITHIN_S: Final = 3.0
_FULL: Final = f"{AT_ONCE} replays are running in this web process (the limit). Wait, or delete a sandbox."


class _UntilTheEnd:
    """Clock whose `sleep` raises Stopped once the process ends."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        if self.is_over.wait(seconds):
            raise Stopped("evdash was stopped during the replay.")


_time = _UntilTheEnd()
_under_way: set[threading.Thread] = set()
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class BackgroundReplay(Replay):
    """A replay for `begin`. It is refused while AT_ONCE replays are in progress."""

    clock: ClassVar[Clock] = _time

    def preview(self, client: redis.Redis) -> Preview:
        if len(_under_way) >= AT_ONCE:
            return Preview(sentence=_FULL, affected=None, refused=_FULL)
        return super().preview(client)

    def execute(self, client: redis.Redis) -> Outcome:
        with _lock:
            if len(_under_way) >= AT_ONCE:
                raise OperationRefused(_FULL)
            _under_way.add(threading.current_thread())
        try:
            return super().execute(client)
        finally:
            with _lock:
                _under_way.discard(threading.current_thread())

    def _copy(self, writer: SandboxWriter, first: Entry, rest: Iterator[Entry]) -> str:
        thread = threading.current_thread()
        if isinstance(thread, _Run):
            thread.begun.set_result(None)
        return super()._copy(writer, first, rest)


def begin(user_name: str, replay: BackgroundReplay, reason: str, *, user: User | None = None) -> None:
    """Start the replay in a thread. The audit log receives its outcome.

    Return when the copying starts, which is after the sandbox was prepared, or after 30 s. Raise the errors of
    `operate` that occur until then.
    """
    run = _Run(user_name, replay, reason, user)
    run.start()
    wait([run.begun], timeout=_BEGUN_WITHIN_S)
    if run.begun.done():
        run.begun.result()


class _Run(threading.Thread):
    """Thread of one replay. It previews the replay again, then executes it."""

    def __init__(self, user_name: str, replay: BackgroundReplay, reason: str, user: User | None) -> None:
        super().__init__(name=f"replay to {replay.stream}", daemon=True)
        self.begun = Future[None]()  # done when the copying starts, or with the error that prevents it
        self._arguments = user_name, replay, reason, user

    def run(self) -> None:
        user_name, replay, reason, user = self._arguments
        try:
            with open_client(settings.EVDASH.redis_url) as client:
                operate(user_name, replay, reason, client, user=user)
        except Exception as error:  # noqa: BLE001 - a thread ends: the caller that waits, or the log, gets it
            if self.begun.done():
                logger.warning("replay ended early", stream=replay.stream, reason=str(error))
            else:
                self.begun.set_exception(error)
        finally:
            connections.close_all()


@atexit.register
def _end() -> None:
    """Stop the replays in progress, and wait up to 3 s for each to record its progress."""
    _time.is_over.set()
    for thread in list(_under_way):
        thread.join(_ENDED_WITHIN_S)
