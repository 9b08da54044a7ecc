"""Stands in for `zip` and `map` of a test where some operands are the program's (see `sandbox/marks.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from typing import Any

# A range is left out: it counts, or names, what another operand gives.
_UNSIZED = (range, type(iter(range(0))))


def paired(theirs: tuple[bool, ...], operands: tuple[Iterable[Any], ...]) -> Iterator[tuple[Any, ...]]:
    """`zip`, but what the program gave must not end before what the test holds against it."""
    held = [0 if its else _length(each) for its, each in zip(theirs, operands, strict=True)]
    return _paired(theirs, max(held), [iter(each) for each in operands])


def _length(of_test: Iterable[Any]) -> int:
    """How many items it holds, as far as it knows that; its iterators are told, too."""
    if isinstance(of_test, _UNSIZED):
        return 0
    try:
        return length_hint(of_test)
    except TypeError:  # `itertools.repeat` without end
        return 0


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
