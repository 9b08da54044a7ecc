"""Stands in for `zip` and `map` of a test where some operands are the program's (see `sandbox/marks.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

_SIZED = (list, tuple, str, bytes, dict, set, frozenset)


def paired(theirs: tuple[bool, ...], operands: tuple[Iterable[Any], ...]) -> Iterator[tuple[Any, ...]]:
    """`zip`, but what the program gave must not end before what the test holds against it."""
    held = [0 if theirs[n] or not isinstance(each, _SIZED) else len(each) for n, each in enumerate(operands)]
    return _paired(theirs, max(held), [iter(each) for each in operands])


def _paired(theirs: tuple[bool, ...], held: int, iterators: list[Iterator[Any]]) -> Iterator[tuple[Any, ...]]:
    count = 0
    while True:
        row = []
        for its, iterator in zip(theirs, iterators, strict=True):
            try:
                row.append(next(iterator))
            except StopIteration:
                if its and count < held:
                    raise AssertionError(
                        f"the program gave {count} values, the test holds {held} against them"
                    ) from None
                return
        count += 1
        yield tuple(row)


def mapped(
    function: Callable[..., Any], theirs: tuple[bool, ...], operands: tuple[Iterable[Any], ...]
) -> Iterator[Any]:
    for row in paired(theirs, operands):
        yield function(*row)
