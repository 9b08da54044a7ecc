"""What follows from futures, as futures. Nobody waits: each step is taken in the thread that ends the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ready(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


def then(done: Future[T], function: Callable[[T], U | Future[U]]) -> Future[U]:
    """What `function` makes of `done`; where that is a future, its result. Raises what any of them raised."""
    result: Future[U] = Future()

    def deliver(last: Future[U]) -> None:
        try:
            result.set_result(last.result())
        except Exception as error:  # noqa: BLE001  # delivered to whoever waits
            result.set_exception(error)

    def go_on(finished: Future[T]) -> None:
        try:
            made = function(finished.result())
            if isinstance(made, Future):
                made.add_done_callback(deliver)
            else:
                result.set_result(made)
        except Exception as error:  # noqa: BLE001  # delivered to whoever waits
            result.set_exception(error)

    done.add_done_callback(go_on)
    return result


def together(futures: Sequence[Future[T]]) -> Future[list[T]]:
    """Their results, in their order, once all are there. Raises what the first in order raised."""
    if not futures:
        return ready([])
    last: Future[None] = Future()
    lock, waiting = Lock(), len(futures)

    def one_done(_: Future[Any]) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1
            if waiting:
                return
        last.set_result(None)

    for future in futures:
        future.add_done_callback(one_done)
    return then(last, lambda _: [future.result() for future in futures])


def as_finished(begun: Iterable[Future[T]], window: int) -> Iterator[tuple[int, T]]:
    """Pairs of a future's index and its result, as they finish; while `window` of them wait, no other is begun."""
    finished: SimpleQueue[tuple[int, Future[T]]] = SimpleQueue()
    waiting = 0
    for index, future in enumerate(begun):
        future.add_done_callback(lambda done, index=index: finished.put((index, done)))  # type: ignore[misc]
        waiting += 1
        while waiting >= window or not finished.empty():
            number, done = finished.get()
            waiting -= 1
            yield number, done.result()
    for _ in range(waiting):
        number, done = finished.get()
        yield number, done.result()
