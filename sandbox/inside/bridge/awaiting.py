"""Coroutines that cross: what one side awaits, the other side's event loop runs.

A coroutine of the program's runs as a task of a loop in the program's process. Code that awaits it in the judge
lets that loop run a little, then yields to what else the test waits for; so `gather` and `wait_for` work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

_SLICE_SECONDS = 0.01  # for which the program's loop runs before the test's has a turn again

Ask = Callable[..., Any]


def awaited(ask: Ask, what: str, value: object) -> Generator[None, None, Any]:
    """Awaits in the judge. `what` is the special method of `value`, in the program, that says what to await."""
    number = ask("start", what, value)
    ended = False
    try:
        yield  # others that are awaited together with this start, too
        while True:
            answer = ask("proceed", number)
            if type(answer) is tuple and len(answer) == 1:
                ended = True
                return answer[0]
            yield
    except (asyncio.CancelledError, GeneratorExit):
        if not ended:
            ask("cancel", number)
        raise


class Tasks:
    """The program's side: what is being awaited."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._count = 0

    def start(self, what: str, value: Any) -> int:
        self._count += 1
        self._tasks[self._count] = self._loop.create_task(_await(what, value))
        return self._count

    def proceed(self, number: int) -> tuple[Any, ...]:
        """(result,) once there is one, else nothing. Raises what the task raised."""
        task = self._tasks[number]
        self._loop.run_until_complete(asyncio.wait({task}, timeout=_SLICE_SECONDS))
        if not task.done():
            return ()
        del self._tasks[number]
        return (task.result(),)

    def cancel(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
            self._loop.run_until_complete(asyncio.wait({task}, timeout=_SLICE_SECONDS))


async def _await(what: str, value: Any) -> Any:
    if what == "__await__":
        return await value
    if what == "__aexit__":
        return await type(value).__aexit__(value, None, None, None)
    return await getattr(type(value), what)(value)


def run_to_end(awaitable: Any) -> Any:
    """Awaits `awaitable` from within a function that was called, perhaps, from a running loop."""

    async def wait() -> Any:
        return await awaitable

    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(wait())
        finally:
            loop.close()
    finally:
        asyncio._set_running_loop(running)
