"""Stands in for `zip` and `map` of a test where some operands are the program's (see `sandbox/jobs/marks.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from types import GeneratorType
from typing import Any

# A range is left out: it counts, or names, what another operand gives.
_UNSIZED = (range, type(iter(range(0))))
_ADAPTORS = (map, filter, enumerate, zip)
_END = object()


def paired(theirs: tuple[bool, ...], operands: tuple[Iterable[Any], ...]) -> Iterator[tuple[Any, ...]]:
    """`zip`, but what the program gave must not end before what the test compares it with."""
    if len(theirs) != len(operands):  # of `zip(*several)`, which grew
        return zip(*operands, strict=False)
    held = [
        not its and not isinstance(each, _UNSIZED) and _is_finite(each)
        for its, each in zip(theirs, operands, strict=True)
    ]
    return _paired(theirs, held, [iter(each) for each in operands])


def _is_finite(of_test: Any) -> bool:
    """Whether it will end, as far as we know: containers do, and iterators that are made from them."""
    if isinstance(of_test, _ADAPTORS):
        return any(map(_is_finite, of_test.__reduce__()[1]))
    if isinstance(of_test, GeneratorType):
        outermost = of_test.gi_frame and of_test.gi_frame.f_locals.get(".0")  # of a generator expression
        return outermost is not None and _is_finite(outermost)
    try:
        return length_hint(of_test) > 0
    except TypeError:  # `itertools.repeat` without end
        return False


def _paired(
    theirs: tuple[bool, ...], held: list[bool], iterators: list[Iterator[Any]]
) -> Iterator[tuple[Any, ...]]:
    while True:
        row: list[Any] = []
        for its, iterator in zip(theirs, iterators, strict=True):
            if (item := next(iterator, _END)) is _END:
                count = len(row)
                if its and (any(held[:count]) or _has_more(held[count:], iterators[count:])):
                    raise AssertionError("the program gave fewer values than the test holds against them")
                return
            row.append(item)
        yield tuple(row)


def _has_more(held: list[bool], iterators: list[Iterator[Any]]) -> bool:
    return any(
        of_test and next(each, _END) is not _END for of_test, each in zip(held, iterators, strict=True)
    )


def mapped(
    function: Callable[..., Any], theirs: tuple[bool, ...], operands: tuple[Iterable[Any], ...]
) -> Iterator[Any]:
    for row in paired(theirs, operands):
        yield function(*row)
