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
class Wish:
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
    _queue: deque[Wish] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.TimerHandle | None = None
    _heard_at: float = 0.0
    closed: bool = False

    def put(self, wishes: Iterable[Wish]) -> None:
        self._queue.extend(wishes)
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
            wishes = self._next_batch()
            if wishes:
                daemon.requests += 1
                daemon.items += len(wishes)
                task = asyncio.create_task(self._send(daemon, wishes))
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

    def _next_batch(self) -> list[Wish]:
        """The next items that may travel together, without those whose callers gave up."""
        wishes: list[Wish] = []
        while self._queue and len(wishes) < self.batch:
            wish = self._queue[0]
            if not wish.future.done():
                if wishes and (wish.alone or wish.route is not wishes[0].route):
                    break
                wishes.append(wish)
            self._queue.popleft()
            if wish.alone and wishes:
                break
        return wishes

    def _give_up(self, now: float) -> None:
        """A long queue is no outage: an item is not given up while a daemon works on the queue."""
        if now - self._heard_at < self.patience:
            return
        kept = deque[Wish]()
        for wish in self._queue:
            if now - wish.asked_at < self.patience:
                kept.append(wish)
            else:
                wish.give_up(f"no daemon answered in time: {wish.reason}")
        self._queue = kept

    def _end_late(self, now: float) -> None:
        """As the daemon does, ends what has not started by its deadline. The queue is almost in order of arrival."""
        while self._queue and self.deadline is not None and now >= self._queue[0].asked_at + self.deadline:
            self._queue.popleft().give_up("the request's deadline passed before the job started")

    def _seconds_left(self, wishes: Sequence[Wish]) -> float | None:
        """A request has one deadline, that of its last item."""
        if self.deadline is None:
            return None
        left = max(wish.asked_at for wish in wishes) + self.deadline - time.monotonic()
        return max(left, 0.001)  # 0 is refused

    async def _send(self, daemon: Daemon, wishes: list[Wish]) -> None:
        waiting = dict(enumerate(wishes))
        request = asyncio.current_task()
        assert request is not None
        loop = asyncio.get_running_loop()

        def left(future: object) -> None:  # tells the daemon when no caller waits for any of it
            if all(wish.future.cancelled() for wish in waiting.values()):
                loop.call_soon_threadsafe(request.cancel)

        for wish in wishes:
            wish.future.add_done_callback(lambda future: left(future) if future.cancelled() else None)
        again: list[Wish] = []
        try:
            await self._ask(daemon, waiting, again)
        except httpx.HTTPError as error:
            daemon.rest()
            for wish in waiting.values():
                wish.reason = f"{daemon.url}: {type(error).__name__}: {error}"
        except asyncio.CancelledError:
            if not self.closed:
                waiting = {number: wish for number, wish in waiting.items() if not wish.future.cancelled()}
        finally:
            daemon.requests -= 1
            daemon.items -= len(wishes)
            left_over = [wish for wish in [*waiting.values(), *again] if not wish.future.done()]
            self._queue.extendleft(reversed(left_over))
            if self.closed:
                for wish in left_over:
                    wish.fail(PoolClosedError("the client was closed"))
            self._pump()

    async def _ask(self, daemon: Daemon, waiting: dict[int, Wish], again: list[Wish]) -> None:
        """One request. What is answered leaves `waiting`; what it would not answer goes to `again`."""
        wishes = list(waiting.values())
        route = wishes[0].route
        body = route.body([wish.text for wish in wishes], self._seconds_left(wishes))
        if len(body) > daemon.max_body_bytes:  # a daemon that refuses it would close the connection meanwhile
            _alone(wishes, f"takes {len(body)} bytes, and {daemon.url} takes {daemon.max_body_bytes} at once")
            return
        async with daemon.http.stream("POST", route.path, content=body) as response:
            if response.status_code != 200:
                await self._refused(daemon, response, wishes)
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
                    wish = waiting.pop(line.pop("index"))
                    fault = line.get("fault")
                    if fault is None:
                        wish.resolve(line)
                    elif fault["code"] == "invalid":
                        wish.fail(ValueError(fault["message"]))
                    else:
                        self._faulty(
                            wish, f"{daemon.url}: {fault['message']}", again, fault["code"] in _AGAIN
                        )
        if not whole:
            raise httpx.RemoteProtocolError("the answer ended before its end")

    @staticmethod
    def _faulty(wish: Wish, reason: str, again: list[Wish], free: bool) -> None:
        wish.reason = reason
        wish.attempts += not free
        if wish.attempts < _ATTEMPTS:
            again.append(wish)
        else:
            wish.give_up(f"{wish.attempts} attempts: {reason}")

    async def _refused(self, daemon: Daemon, response: httpx.Response, wishes: list[Wish]) -> None:
        """None of `wishes` was started; their callers go on waiting."""
        message, status = await message_of(response), response.status_code
        for wish in wishes:
            wish.reason = daemon.refusal(status, message)
        if status in (429, 503):
            daemon.rest(float(response.headers.get("retry-after", 1)))
            if status == 429:  # it is busy, which is no silence until it may be asked again
                self._heard_at = max(self._heard_at, daemon.rest_until)
        elif status in (400, 409, 413, 422):
            _alone(wishes, message)
        elif status >= 500:
            daemon.rest()
            for wish in wishes:
                wish.attempts += 1
                if wish.attempts >= _ATTEMPTS:
                    wish.give_up(f"{wish.attempts} attempts: {wish.reason}")
        else:
            for wish in wishes:
                wish.fail(DaemonError(wish.reason))


def _alone(wishes: Sequence[Wish], message: str) -> None:
    """Asks again, one by one, what was refused together, to find which item was at fault."""
    for wish in wishes:
        if len(wishes) == 1:
            wish.fail(ValueError(message))
        wish.alone = True


def new_key() -> str:
    return uuid4().hex
