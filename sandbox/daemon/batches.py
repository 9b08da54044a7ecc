"""A request's items on their way to lines of an answer: quotas, keys, cache, streaming, cancellation.

    Batch (a connection)  ─listens to─>  Entry (an item that runs, or ran)  ─has─>  ItemRunner (its jobs)

An entry with a key outlives its connection: a request with the same key finds it, done or running. A batch whose
client leaves stops listening; an entry without listeners is cancelled. All of this runs on the event loop's
thread, except `Batch._done`, which the thread of a slot calls.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sandbox.daemon.cache import Memory
from sandbox.daemon.guard import RequestError, first_of
from sandbox.daemon.items import Item, Keep, fault, fault_of
from sandbox.daemon.metrics import Metrics
from sandbox.daemon.schedule import ItemRunner, Scheduler
from sandbox.daemon.tokens import Caller

# How long a result waits for others of its batch: waking the loop costs as much as a small job.
_GATHER_SECONDS = 0.01
_ALIVE_SECONDS = 10.0  # between empty lines while there is nothing to send
_KEYED_BYTES = 256 << 20  # of answers that are kept for their keys
_BEGUN_AT_ONCE = 32  # items of a batch, before other connections have their turn


@dataclass(eq=False)
class Entry:
    """An item that was admitted, and later its answer."""

    item: Item
    caller: Caller
    runner: ItemRunner
    listeners: dict[Batch, list[int]] = field(default_factory=dict)
    begun: bool = False
    text: bytes | None = None  # the fields of its line, once done


class Batches:
    """Admits items and answers them. Belongs to the event loop's thread."""

    def __init__(
        self,
        scheduler: Scheduler,
        metrics: Metrics,
        *,
        queue: int,
        cache_bytes: int,
    ) -> None:
        self.scheduler = scheduler
        self.metrics = metrics
        self.admitted = 0
        self.draining = False
        self._queue = queue
        self._live: dict[tuple[str, str], Entry] = {}  # those with a key that run
        self._keyed = Memory(_KEYED_BYTES)
        self._cache = Memory(cache_bytes)
        self._rate = 1.0  # items a second, lately: what Retry-After is made of
        self._finished: deque[float] = deque(maxlen=64)

    def open(
        self,
        caller: Caller,
        items: Sequence[Item | RequestError],
        *,
        priority: int,
        deadline_seconds: float | None,
    ) -> Batch:
        """Admits `items`, except those that are refused: each has its own fault, as has one whose key stands for
        something else. Raises `RequestError`: busy, over quota, all of them refused."""
        if self.draining:
            raise RequestError(
                503, "draining", "this daemon is shutting down; ask another one", retry_after=1
            )
        if priority > caller.priority:
            raise RequestError(
                403, "priority", f"token {caller.name!r} may ask for priority {caller.priority} at most"
            )
        digests: dict[str, bytes] = {}  # by key
        known = [self._known(caller, item, digests) for item in items]
        refused = [found for found in known if isinstance(found, RequestError)]
        if len(refused) == len(items):
            raise RequestError(
                refused[0].status_code, refused[0].code, first_of([error.detail for error in refused])
            )
        self._check_room(caller, sum(found is None for found in known))
        batch = Batch(self, asyncio.get_running_loop(), len(items))
        for index, (item, found) in enumerate(zip(items, known, strict=True)):
            if isinstance(found, RequestError):
                batch.deliver(index, fault(found.code, found.detail))
            elif isinstance(found, bytes):
                batch.deliver(index, found)
            else:
                assert isinstance(item, Item)  # or it was found refused
                twin = self._live.get((caller.name, item.key)) if item.key else None
                batch.listen(found or twin or self._admit(caller, item, priority), index)
        batch.set_deadline(deadline_seconds)
        return batch

    def _known(
        self, caller: Caller, item: Item | RequestError, digests: dict[str, bytes]
    ) -> Entry | bytes | RequestError | None:
        """Of `item`: its answer, the entry that runs, or why it cannot. `digests`: by the batch's keys so far."""
        if isinstance(item, RequestError):
            return item
        if item.key:
            if digests.setdefault(item.key, item.digest) != item.digest:
                return RequestError(409, "key", f"key {item.key!r} stands for two different items")
            key = (caller.name, item.key)
            entry, answer = self._live.get(key), self._keyed.get(key)
            digest = entry.item.digest if entry else answer[0] if answer else item.digest
            if digest != item.digest:
                return RequestError(409, "key", f"key {item.key!r} was used for something else")
            if entry or answer:
                self.metrics.attached.inc()
                return entry or (answer[1] if answer else None)
        if answer := self._cache.get(item.digest):
            self.metrics.cache_hits.inc()
            return answer[1]
        return None

    def _check_room(self, caller: Caller, new: int) -> None:
        if new > self._queue:
            raise RequestError(
                413,
                "batch_too_large",
                f"{new} items, and the queue holds {self._queue}; send fewer at a time",
            )
        if caller.jobs is not None and new > caller.jobs:
            raise RequestError(
                413, "batch_too_large", f"{new} items, and token {caller.name!r} may have {caller.jobs}"
            )
        if self.admitted + new > self._queue:
            wait = (self.admitted + new - self._queue) / self._rate
            message = f"the queue is full: {self.admitted} items of {self._queue}"
            raise RequestError(429, "busy", message, retry_after=min(max(wait, 0.1), 30))
        if new and (over := caller.over_quota(new)):
            raise RequestError(429, "quota", over[0], retry_after=over[1])

    def _admit(self, caller: Caller, item: Item, priority: int) -> Entry:
        entry = Entry(item, caller, ItemRunner(self.scheduler, priority))
        self.admitted += 1
        caller.charge(1)
        if item.key:
            self._live[caller.name, item.key] = entry
        return entry

    def finish(self, entry: Entry, text: bytes, keep: Keep) -> None:
        """`entry` is answered."""
        if entry.text is not None:
            return
        entry.text = text
        self.admitted -= 1
        entry.caller.admitted -= 1
        key = (entry.caller.name, entry.item.key)
        if self._live.get(key) is entry:
            del self._live[key]
            if keep >= Keep.KEY:
                self._keyed.put(key, entry.item.digest, text)
        if keep >= Keep.CACHE:
            self._cache.put(entry.item.digest, entry.item.digest, text)
        self._measure()
        for batch, indices in entry.listeners.items():
            for index in indices:
                batch.deliver(index, text)

    def leave(self, entry: Entry, batch: Batch) -> None:
        """`batch` waits for `entry` no more."""
        entry.listeners.pop(batch, None)
        if not entry.listeners and entry.text is None:
            self.finish(entry, fault("cancelled", "nobody waited for it"), Keep.NOTHING)
            self.metrics.cancelled.inc()
            entry.runner.cancel()

    def _measure(self) -> None:
        now = asyncio.get_running_loop().time()
        self._finished.append(now)
        if (span := now - self._finished[0]) > 0:
            self._rate = max(1.0, (len(self._finished) - 1) / span)


class Batch:
    """The answer to one request: a line for each item, in the order in which they finish."""

    def __init__(self, batches: Batches, loop: asyncio.AbstractEventLoop, expected: int) -> None:
        self._batches = batches
        self._loop = loop
        self._entries: list[Entry] = []
        self._new: list[Entry] = []
        self._lines: list[bytes] = []
        self._expected = expected
        self._wake = asyncio.Event()
        self._finished: deque[tuple[Entry, bytes, Keep]] = deque()  # from the threads of slots
        self._lock = threading.Lock()
        self._running = 0  # begun here and not finished
        self._called = False  # the loop will collect
        self._timer: asyncio.TimerHandle | None = None

    def deliver(self, index: int, text: bytes) -> None:
        """The answer to item `index`; its place in the answer is the order of these calls."""
        self._lines.append(b'{"index":%d,%b}\n' % (index, text))
        self._wake.set()

    def listen(self, entry: Entry, index: int) -> None:
        if not entry.begun:  # by whichever of its batches comes to it first: another's client may go before
            self._new.append(entry)
        if self not in entry.listeners:
            self._entries.append(entry)
        entry.listeners.setdefault(self, []).append(index)

    def set_deadline(self, deadline_seconds: float | None) -> None:
        if deadline_seconds is not None:
            self._timer = self._loop.call_later(deadline_seconds, self._expire)

    async def lines(self) -> AsyncIterator[bytes]:
        """Begins the items; yields their lines, several at a time where they come fast, then the one that ends it.

        The caller that iterates calls `close` afterwards, even if it never began.
        """
        for number, entry in enumerate(self._new):
            if number % _BEGUN_AT_ONCE == _BEGUN_AT_ONCE - 1:
                await asyncio.sleep(0)
            if not entry.begun and entry.text is None:
                self._begin(entry)
        sent = 0
        while sent < self._expected:
            try:
                async with asyncio.timeout(_ALIVE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                yield b"\n"
                continue
            self._wake.clear()
            lines, self._lines = self._lines, []
            sent += len(lines)
            if sent == self._expected:
                lines.append(b'{"done":%d}\n' % sent)
            yield b"".join(lines)

    def close(self) -> None:
        """The client has gone, or the answer is complete."""
        if self._timer:
            self._timer.cancel()
        for entry in reversed(self._entries):  # those that wait before those that run: else they would begin
            self._batches.leave(entry, self)

    def _expire(self) -> None:
        for entry in self._entries:
            if len(entry.listeners) == 1:
                entry.runner.expire()

    def _begin(self, entry: Entry) -> None:
        entry.begun = True
        try:
            future = entry.item.start(entry.runner)
        except Exception as error:  # noqa: BLE001 - delivered to the client, and logged
            self._batches.finish(entry, fault_of(error), Keep.NOTHING)
            return
        with self._lock:
            self._running += 1
        future.add_done_callback(lambda done: self._done(entry, done))

    def _done(self, entry: Entry, done: Future[Any]) -> None:
        """Runs in a slot's thread, or in the one that cancels: renders there, and wakes the loop once for many."""
        try:
            fields, keep = entry.item.render(done.result())
            text = json.dumps(fields, separators=(",", ":")).encode()[1:-1]
        except Exception as error:  # noqa: BLE001 - delivered to the client, and logged
            text, keep = fault_of(error), Keep.NOTHING
        self._finished.append((entry, text, keep))
        with self._lock:
            self._running -= 1
            last, first = not self._running, not self._called
            self._called = True
        if last:
            self._loop.call_soon_threadsafe(self._collect)
        elif first:
            self._loop.call_soon_threadsafe(self._loop.call_later, _GATHER_SECONDS, self._collect)

    def _collect(self) -> None:
        with self._lock:
            self._called = False
        while self._finished:
            self._batches.finish(*self._finished.popleft())
