"""Progress of long work, on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as rich
from rich.console import Console

SECONDS = 15.0  # between two lines

Advance = Callable[[str, int, int], None]
"""Told of the work's name, what is done of it, and its total."""


class Progress:
    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn())
        self._bars = rich.Progress(*columns, rich.TimeRemainingColumn(), console=console, transient=True)
        self._bar = self._bars.add_task("", visible=False)
        self._work, self._began, self._told = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._console.is_terminal:
            self._draw(what, done, total)
        else:
            self._tell(what, done, total)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()

    def _draw(self, what: str, done: int, total: int) -> None:
        if done == total:
            self._bars.update(self._bar, visible=False)
            self._bars.stop()
            return
        self._bars.start()
        self._bars.update(self._bar, description=what, completed=done, total=total, visible=True)

    def _tell(self, what: str, done: int, total: int) -> None:
        now = self._clock()
        if what != self._work or done <= 1:
            self._work, self._began, self._told = what, now, now
        if now - self._told < SECONDS or not done:
            return
        self._told = now
        left = (now - self._began) / done * (total - done)
        self._console.print(f"{what} {done}/{total}, about {left:.0f} s left")


@contextmanager
def shown() -> Iterator[Advance]:
    progress = Progress(Console(stderr=True, highlight=False))
    try:
        yield progress
    finally:
        progress.close()
