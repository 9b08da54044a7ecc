"""The client without an event loop: a `protocol.Runner` with an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from sandbox.client.asynchronous import AsyncClient, Row
from sandbox.client.dispatch import PendingItem
from sandbox.errors import PoolClosedError
from sandbox.protocol import Job, Outcome

T = TypeVar("T")


class Client:
    """Runs jobs on daemons. Safe to use from several threads; close it, or use it in a `with` statement.

    Options are those of `AsyncClient`. Raises `DaemonError` where no daemon answers or one refuses the token.
    """

    def __init__(self, urls: Sequence[str], token: str | None = None, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._waiting: deque[PendingItem] = deque()
        self._called = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-client", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        try:
            self._client = self._await(_opened(urls, token, options))
        except BaseException:
            self._stop()
            raise

    @property
    def backend(self) -> str:
        """The backend of the daemons: docker, bubblewrap or confined."""
        return self._client.backend

    def submit(self, job: Job) -> Future[Outcome]:
        """Raises `CodecError` (a `ValueError`) for arguments that cannot cross, `PoolClosedError`; its future,
        `ValueError` for a job that the daemon cannot take. Cancelling the future stops the job."""
        future: Future[Outcome] = Future()
        self._put([self._client.job_item(job, future)])
        return future

    def run(self, job: Job) -> Outcome:
        """`submit`, and wait."""
        return self.submit(job).result()

    def grade(self, tasks: Iterable[Row], completions: Iterable[Mapping[str, str]]) -> list[Row]:
        """See `AsyncClient.grade`."""
        items = self._client.grade_items(tasks, completions, Future)
        self._put(items)
        return [item.future.result() for item in items]

    def close(self) -> None:
        """What is not answered yet gets `PoolClosedError`."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._await(self._client.close())
        self._stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, items: Iterable[PendingItem]) -> None:
        """Hand over to the loop, once for all items that come while it is busy."""
        if self._closed.is_set():
            raise PoolClosedError("the client is closed")
        self._waiting.extend(items)
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        self._called = False
        items = []
        while self._waiting:
            items.append(self._waiting.popleft())
        self._client.put(items)

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._closed.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        atexit.unregister(self.close)


async def _opened(urls: Sequence[str], token: str | None, options: Mapping[str, Any]) -> AsyncClient:
    client = AsyncClient(urls, token, **options)
    await client.open()
    return client
