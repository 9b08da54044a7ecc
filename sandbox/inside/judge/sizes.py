"""numpy's comparisons, where the program gave one side: too few values are no answer.

numpy compares what it can stretch: no value with one, one with many. So `allclose([], [1.5])` holds, and all of nothing
is true. The program's array may hold more values than the test compares with it (each with one), never
fewer, and none where some are expected. A single number is compared with many where the test asks for any of them
(`(a == f(a)).any()`), and by `<` and its like (`(f(a) >= a).all()`).
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

from sandbox.inside.judge.proxies import is_opaque

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Sub": operator.sub,
}  # by the names of Python's syntax
# Functions that say of all values at once that they are the same.
SAME = frozenset(
    "allclose array_equiv assert_equal assert_allclose assert_almost_equal assert_array_almost_equal "
    "assert_array_equal assert_array_almost_equal_nulp assert_array_max_ulp".split()
)
EACH = frozenset({"isclose", "equal", "Eq"})  # the same, of each value
# All that are known by name, with those that stand for the other operators.
FUNCTIONS = (
    SAME | EACH | set("not_equal less less_equal greater greater_equal subtract assert_array_less".split())
)


def check(how: str, first_is_theirs: bool, one: Any, other: Any) -> tuple[Any, Any]:
    """The two as they are to be compared. Raises `AssertionError` where the program gave too few values for that."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return one, other
    if how in OPERATORS and not any(not is_opaque(each) and hasattr(each, "shape") for each in (one, other)):
        return one, other
    one, other = (_read_once(each, numpy) for each in (one, other))
    try:
        given, held = map(numpy.asarray, (one, other) if first_is_theirs else (other, one))
    except (ValueError, TypeError):  # the comparison says so, too
        return one, other
    if _falls_short(how, given, held):
        raise AssertionError(f"the program gave {given.size} values, the test holds {held.size} against them")
    return one, other


def _read_once(value: Any, numpy: Any) -> Any:
    """What numpy reads of an object of the program's that has a length: read again, it could be something else."""
    if not is_opaque(value) or not hasattr(type(value), "__len__"):
        return value
    array = numpy.asarray(value)
    if not array.ndim:
        raise AssertionError("numpy cannot read the program's object as values")
    return array


def _falls_short(how: str, given: Any, held: Any) -> bool:
    if how in SAME or (how in EACH and (given.ndim or not held.size)):
        return bool(given.size < held.size or (held.size == 0 < given.size))
    return bool(given.size == 0 < held.size and (held.ndim or how in EACH))
