"""The WebSocket consumer of a page: handles its subscription, sends its messages, and closes at sign-out."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from structlog.stdlib import get_logger

from evdash import metrics
from evdash.accounts.sockets import SIGNED_OUT
from evdash.live.catch_up import missed, newest_unsent
from evdash.live.filter_group import Follower
from evdash.live.protocol import Acknowledge, InvalidMessage, Jump, Subscribe, WaitingSeen, parse
from evdash.live.socket_registry import SOCKETS_PER_PERSON, is_still_signed_in, registry_of_process
from evdash.live.stream_tailer import feed_of_process
from evdash.live.subscription import CatchUp, ChangeNotifier, Credit, Subscription
from evdash.streams.client import StreamsUnavailable
from evdash.streams.tail import TailState
from evdash.web.event_display.row import render_row

logger = get_logger(__name__)

# Close codes from 4000 to 4999 are reserved for applications. static/live/connection.js handles them.
MALFORMED = 4400
TOO_MANY = 4429
TRY_AGAIN = 4503

SIGN_IN_CHECK_S = 30.0
# New events are held in memory during a catch-up, so its time is bounded.
CATCH_UP_LIMIT_S = 30.0
RETRY_S = 1.0
# Each subscription reads the missed events, so their rate is limited.
SUBSCRIPTIONS_MAX = 30
SUBSCRIPTIONS_WITHIN_S = 10.0

# Threads for the catch-up of all sockets. After a restart of the server many pages reconnect at once.
READERS = 4
_readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="live-catch-up")
_missed = database_sync_to_async(missed, thread_sensitive=False, executor=_readers)
_newest_unsent = database_sync_to_async(newest_unsent, thread_sensitive=False, executor=_readers)
_is_still_signed_in = database_sync_to_async(is_still_signed_in, thread_sensitive=False, executor=_readers)


class LiveConsumer(AsyncWebsocketConsumer):
    """A consumer of JSON messages.

    It receives the messages of `protocol` and sends `subscribed`, `state`, `rows`, `waiting`, `news`, `alive` and
    `refused`. Rows are sent within the page's credit (`subscription.Credit`); events beyond it are counted. A page
    without rows receives a count of new events, and the next one after it has refreshed itself (`ChangeNotifier`).
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        metrics.OPEN_SOCKETS.inc()
        try:
            await super().__call__(scope, receive, send)
        finally:  # also when the server cancels the socket without a disconnect event
            metrics.OPEN_SOCKETS.dec()
            self._clean_up()

    def __init__(self) -> None:
        super().__init__()
        self._credit = Credit()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._follower: Follower | None = None
        self._subscribe_message: Subscribe | None = None
        self._subscribed_at_s: deque[float] = deque(maxlen=SUBSCRIPTIONS_MAX)
        self._following: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sent_state = ("", "")
        self._is_open = False

    async def connect(self) -> None:
        await self.accept()
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.close(SIGNED_OUT)
            return
        self._is_open = True
        self.person: object = user.pk
        self.session_key: str = self.scope["session"].session_key or ""
        self._registry = registry_of_process()
        if not self._registry.register(self):
            await self._refuse(TOO_MANY, f"At most {SOCKETS_PER_PERSON} live pages per user. Close one.")
            return
        self._feed = feed_of_process()
        self._feed.attach(self)
        self._tasks = [self._watched(self._send_outbox()), self._watched(self._watch_sign_in())]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._is_open:
            return
        try:
            message = parse(text_data)
            if isinstance(message, Subscribe):
                await self._subscribe(message)
            elif isinstance(message, Acknowledge):
                self._acknowledge(message)
            elif isinstance(message, Jump):
                self._jump()
            elif isinstance(message, WaitingSeen) and self._follower:
                self._follower.waiting_seen()
        except InvalidMessage as invalid:
            await self._refuse(MALFORMED, str(invalid))

    async def disconnect(self, code: int) -> None:
        self._clean_up()

    def tail_changed(self, state: TailState) -> None:
        """Send the state of Redis to the page. Called by the stream tailer."""
        if not state.reachable:
            self._send_state("unreachable", state.reason)
        elif self._following and self._following.done():
            self._send_state("live")

    def signed_out(self) -> None:
        """Close the socket, because the session has ended. Called by the socket registry."""
        self._tasks.append(self._watched(self._refuse(SIGNED_OUT, "You are signed out.")))

    def feed_failed(self) -> None:
        """Close the socket, because the stream tailer failed. Called by the tailer, or after a failed task."""
        self._tasks.append(self._watched(self._refuse(TRY_AGAIN, "The live feed was restarted.")))

    def _send_state(self, state: str, reason: str = "") -> None:
        if (state, reason) != self._sent_state:
            self._sent_state = state, reason
            self._send_json(type="state", state=state, reason=reason)

    def _send_json(self, **message: Any) -> None:
        self._outbox.put_nowait(json.dumps(message))

    async def _send_outbox(self) -> None:
        while True:
            await self.send(text_data=await self._outbox.get())

    def _acknowledge(self, message: Acknowledge) -> None:
        try:
            self._credit.acknowledge(message.messages)
        except ValueError as error:
            raise InvalidMessage(f"Invalid request: {error}.") from None
        # Fetch the newest skipped events, so that the page shows the end of a burst.
        if self._follower and not (self._credit.is_available and self._jump()):
            self._follower.credit_returned()

    async def _subscribe(self, message: Subscribe) -> None:
        now_s = asyncio.get_running_loop().time()
        times = self._subscribed_at_s
        if len(times) == SUBSCRIPTIONS_MAX and now_s - times[0] < SUBSCRIPTIONS_WITHIN_S:
            await self._refuse(TOO_MANY, "Too many filter changes. Reload the page.")
            return
        times.append(now_s)
        self._unsubscribe()
        self._following = self._watched(self._follow(message))

    def _unsubscribe(self) -> None:
        if self._following:
            self._following.cancel()
        if self._follower:
            self._feed.hub.leave(self._follower)
        self._following = self._follower = None

    async def _follow(self, message: Subscribe) -> None:
        """Join the hub first, then read the past, so that no event between both is missed."""
        if not await _is_still_signed_in(self.scope):
            await self._refuse(SIGNED_OUT, "You are signed out.")
            return
        self._send_json(type="subscribed", number=message.number)
        if self._feed.is_answered:
            self._send_state("catching up")
        await self._feed.answered()
        if message.rows:
            await self._catch_up(message)
        else:
            self._join(ChangeNotifier(self._outbox.put_nowait), message)
            self._send_live()

    async def _catch_up(self, message: Subscribe) -> None:
        position = self._feed.hub.position
        cursor = {stream: message.cursor.get(stream, position[stream]) for stream in settings.EVDASH.streams}
        subscription = Subscription(cursor, self._credit, self._outbox.put_nowait)
        self._join(subscription, message)
        await self._deliver_missed(
            subscription,
            partial(_missed, message.filter, subscription.cursor, subscription.tailed, render_row, message.view),
        )

    def _jump(self) -> bool:
        """Send the newest events of the skipped range, if there is one. Return whether events are or will be sent.

        Events in memory are sent at once. Otherwise they are read, and the subscription holds new frames meanwhile.
        A read takes long when a hundred pages request one at once, so it is the second choice.
        """
        if self._subscribe_message is None or not isinstance(self._follower, Subscription):
            return False
        if self._follower.bring_newest():
            return True
        unsent = self._follower.jump()
        if unsent is not None:
            read = partial(
                _newest_unsent, self._subscribe_message.filter, unsent, render_row, self._subscribe_message.view
            )
            self._following = self._watched(self._deliver_missed(self._follower, read))
        return unsent is not None

    async def _deliver_missed(self, subscription: Subscription, read: Callable[[], Awaitable[CatchUp]]) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_LIMIT_S):
                past = await self._read_with_retry(read)
        except TimeoutError:
            await self._refuse(TRY_AGAIN, "Catch-up took too long.")
            return
        self._feed.hub.catch_up(subscription, past, asyncio.get_running_loop().time())
        self._send_live()

    def _send_live(self) -> None:
        if self._is_open and self._feed.is_answered:
            self._send_state("live")

    def _join(self, follower: Follower, message: Subscribe) -> None:
        self._follower, self._subscribe_message = follower, message
        self._feed.hub.join(follower, message.filter, message.view)

    async def _read_with_retry(self, read: Callable[[], Awaitable[CatchUp]]) -> CatchUp:
        while True:
            try:
                return await read()
            except StreamsUnavailable as unavailable:
                self._send_state("unreachable", str(unavailable))
                await asyncio.sleep(RETRY_S)

    async def _watch_sign_in(self) -> None:
        """Check the sign-in every SIGN_IN_CHECK_S and send signs of life.

        The check reads the session from its store, because a socket keeps the session as it was at opening.
        """
        while True:
            await asyncio.sleep(SIGN_IN_CHECK_S)
            if not await _is_still_signed_in(self.scope):
                await self._refuse(SIGNED_OUT, "You are signed out.")
                return
            if self._follower:
                self._feed.hub.send_heartbeat(self._follower)
            else:
                self._send_json(type="alive")

    async def _refuse(self, code: int, reason: str) -> None:
        """Close the socket, after a message with the reason: not every server forwards the reason of a close."""
        if self._is_open:
            self._is_open = False
            await self.send(text_data=json.dumps({"type": "refused", "reason": reason}))
            await self.close(code, reason[:100])
        self._clean_up()

    def _watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            logger.error("live socket failed", hint="The page reconnects.", exc_info=task.exception())
            self.feed_failed()

    def _clean_up(self) -> None:
        self._is_open = False
        current = asyncio.current_task()
        if hasattr(self, "_registry"):
            self._registry.unregister(self)
        if hasattr(self, "_feed"):
            self._unsubscribe()
            self._feed.detach(self)
        for task in self._tasks:
            if task is not current:
                task.cancel()
