"""Items on their way to daemons and back; all of it on one event loop.

queue ─> batch ─POST─> daemon with the least to do ─lines─> each item's future
  ^                         │
  └── what it left unanswered, when it fails, is busy or drains
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from sandbox.client.endpoint import Daemon, lines_of, message_of
from sandbox.client.errors import DaemonError
from sandbox.errors import PoolClosedError

_ATTEMPTS = 5  # answers that were a daemon's fault; outages and refusals do not count
_AGAIN = ("draining", "cancelled")  # faults that say nothing about the item itself


@dataclass(frozen=True)
class Route:
    """A path, and how a request's body is made of its items' texts and the seconds left to start them in."""

    path: str
    body: Callable[[Sequence[Any], float | None], bytes]


@dataclass(eq=False, kw_only=True)
class PendingItem:
    """One item that a caller waits for. `text` is what its route makes a body of.

    `read` makes a result of the fields of its line, `lost` of the reason why there is none.
    """

    route: Route
    text: Any
    future: Future[Any] | asyncio.Future[Any]
    read: Callable[[dict[str, Any]], Any]
    lost: Callable[[str], Any]
    asked_at: float = field(default_factory=time.monotonic)
    attempts: int = 0
    alone: bool = False  # a batch with it was refused, and which item was at fault is not known
    reason: str = "it was not sent yet"

    def resolve(self, fields: dict[str, Any]) -> None:
        """Raises `httpx.RemoteProtocolError` for fields that make no sense."""
        try:
            result = self.read(fields)
        except (ValueError, KeyError, TypeError) as error:
            raise httpx.RemoteProtocolError(f"an answer that makes no sense: {error!r}") from None
        self._set(result)

    def give_up(self, reason: str) -> None:
        self._set(self.lost(reason))

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError, asyncio.InvalidStateError):  # cancelled meanwhile
            self.future.set_exception(error)

    def _set(self, result: Any) -> None:
        with suppress(InvalidStateError, asyncio.InvalidStateError):
            self.future.set_result(result)


@dataclass
class Dispatcher:
    daemons: list[Daemon]
    batch: int  # items in a request, at most
    requests: int  # at once, to one daemon
    patience: float  # seconds of silence from all daemons, after which an item is given up
    deadline: float | None  # seconds in which an item has to start, from when it was asked for
    _queue: deque[PendingItem] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.TimerHandle | None = None
    _heard_at: float = 0.0
    closed: bool = False

    def put(self, items: Iterable[PendingItem]) -> None:
        self._queue.extend(items)
        self._pump()

    async def close(self) -> None:
        """Callers that still wait get `PoolClosedError`."""
        self.closed = True
        if self._wake:
            self._wake.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._queue:
            self._queue.popleft().fail(PoolClosedError("the client was closed"))
        for daemon in self.daemons:
            await daemon.http.aclose()

    def _pump(self) -> None:
        """Send what can be sent now; come back for the rest."""
        if self.closed:
            return
        now = time.monotonic()
        self._give_up(now)
        self._end_late(now)
        while self._queue:
            daemon = self._idlest(now)
            if daemon is None:
                self._return_later(now)
                return
            items = self._next_batch()
            if items:
                daemon.requests += 1
                daemon.items += len(items)
                task = asyncio.create_task(self._send(daemon, items))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _idlest(self, now: float) -> Daemon | None:
        free = [each for each in self.daemons if each.requests < self.requests and each.rest_until <= now]
        return min(free, key=lambda each: (each.items, each.failures), default=None)

    def _return_later(self, now: float) -> None:
        if self._wake:
            self._wake.cancel()
        moments = [each.rest_until for each in self.daemons if each.rest_until > now]
        if self.deadline is not None:
            moments.append(self._queue[0].asked_at + self.deadline)
        if moments:
            self._wake = asyncio.get_running_loop().call_later(min(moments) - now + 0.001, self._pump)

    def _next_batch(self) -> list[PendingItem]:
        """The next items that may travel together, without those whose callers gave up."""
        items: list[PendingItem] = []
        while self._queue and len(items) < self.batch:
            item = self._queue[0]
            if not item.future.done():
                if items and (item.alone or item.route is not items[0].route):
                    break
                items.append(item)
            self._queue.popleft()
            if item.alone and items:
                break
        return items

    def _give_up(self, now: float) -> None:
        """A long queue is no outage: an item is not given up while a daemon works on the queue."""
        if now - self._heard_at < self.patience:
            return
        kept = deque[PendingItem]()
        for item in self._queue:
            if now - item.asked_at < self.patience:
                kept.append(item)
            else:
                item.give_up(f"no daemon answered in time: {item.reason}")
        self._queue = kept

    def _end_late(self, now: float) -> None:
        """As the daemon does, ends what has not started by its deadline. The queue is almost in order of arrival."""
        while self._queue and self.deadline is not None and now >= self._queue[0].asked_at + self.deadline:
            self._queue.popleft().give_up("the request's deadline passed before the job started")

    def _seconds_left(self, items: Sequence[PendingItem]) -> float | None:
        """A request has one deadline, that of its last item."""
        if self.deadline is None:
            return None
        left = max(item.asked_at for item in items) + self.deadline - time.monotonic()
        return max(left, 0.001)  # 0 is refused

    async def _send(self, daemon: Daemon, items: list[PendingItem]) -> None:
        waiting = dict(enumerate(items))
        request = asyncio.current_task()
        assert request is not None
        loop = asyncio.get_running_loop()

        def left(future: object) -> None:  # tells the daemon when no caller waits for any of it
            if all(item.future.cancelled() for item in waiting.values()):
                loop.call_soon_threadsafe(request.cancel)

        for item in items:
            item.future.add_done_callback(lambda future: left(future) if future.cancelled() else None)
        again: list[PendingItem] = []
        try:
            await self._ask(daemon, waiting, again)
        except httpx.HTTPError as error:
            daemon.rest()
            for item in waiting.values():
                item.reason = f"{daemon.url}: {type(error).__name__}: {error}"
        except asyncio.CancelledError:
            if not self.closed:
                waiting = {number: item for number, item in waiting.items() if not item.future.cancelled()}
        finally:
            daemon.requests -= 1
            daemon.items -= len(items)
            left_over = [item for item in [*waiting.values(), *again] if not item.future.done()]
            self._queue.extendleft(reversed(left_over))
            if self.closed:
                for item in left_over:
                    item.fail(PoolClosedError("the client was closed"))
            self._pump()

    async def _ask(self, daemon: Daemon, waiting: dict[int, PendingItem], again: list[PendingItem]) -> None:
        """One request. What is answered leaves `waiting`; what it would not answer goes to `again`."""
        items = list(waiting.values())
        route = items[0].route
        body = route.body([item.text for item in items], self._seconds_left(items))
        if len(body) > daemon.max_body_bytes:  # a daemon that refuses it would close the connection meanwhile
            _alone(items, f"takes {len(body)} bytes, and {daemon.url} takes {daemon.max_body_bytes} at once")
            return
        async with daemon.http.stream("POST", route.path, content=body) as response:
            if response.status_code != 200:
                await self._refused(daemon, response, items)
                return
            daemon.failures, whole = 0, False
            async with aclosing(lines_of(response)) as lines:
                async for line in lines:
                    self._heard_at = time.monotonic()
                    if not line:
                        continue  # it is alive
                    if "done" in line:
                        whole = True
                        continue  # to the end, or the connection could not be used again
                    item = waiting.pop(line.pop("index"))
                    fault = line.get("fault")
                    if fault is None:
                        item.resolve(line)
                    elif fault["code"] == "invalid":
                        item.fail(ValueError(fault["message"]))
                    else:
                        self._faulty(
                            item, f"{daemon.url}: {fault['message']}", again, fault["code"] in _AGAIN
                        )
        if not whole:
            raise httpx.RemoteProtocolError("the answer ended before its end")

    @staticmethod
    def _faulty(item: PendingItem, reason: str, again: list[PendingItem], free: bool) -> None:
        item.reason = reason
        item.attempts += not free
        if item.attempts < _ATTEMPTS:
            again.append(item)
        else:
            item.give_up(f"{item.attempts} attempts: {reason}")

    async def _refused(self, daemon: Daemon, response: httpx.Response, items: list[PendingItem]) -> None:
        """None of `items` was started; their callers go on waiting."""
        message, status = await message_of(response), response.status_code
        for item in items:
            item.reason = daemon.refusal(status, message)
        if status in (429, 503):
            daemon.rest(float(response.headers.get("retry-after", 1)))
            if status == 429:  # it is busy, which is no silence until it may be asked again
                self._heard_at = max(self._heard_at, daemon.rest_until)
        elif status in (400, 409, 413, 422):
            _alone(items, message)
        elif status >= 500:
            daemon.rest()
            for item in items:
                item.attempts += 1
                if item.attempts >= _ATTEMPTS:
                    item.give_up(f"{item.attempts} attempts: {item.reason}")
        else:
            for item in items:
                item.fail(DaemonError(item.reason))


def _alone(items: Sequence[PendingItem], message: str) -> None:
    """Asks again, one by one, what was refused together, to find which item was at fault."""
    for item in items:
        if len(items) == 1:
            item.fail(ValueError(message))
        item.alone = True


def new_key() -> str:
    return uuid4().hex
