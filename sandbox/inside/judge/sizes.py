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
    "assert_array_equal".split()
)
EACH = frozenset({"isclose", "equal", "Eq"})  # the same, of each value


def check(how: str, first_is_theirs: bool, one: Any, other: Any) -> None:
    """Raises `AssertionError` where the program gave too few values for the comparison that follows."""
    numpy = sys.modules.get("numpy")
    if numpy is None or is_opaque(one) or is_opaque(other):
        return
    if how not in SAME and not any(hasattr(each, "shape") for each in (one, other)):
        return
    try:
        given, held = map(numpy.asarray, (one, other) if first_is_theirs else (other, one))
    except (ValueError, TypeError):  # the comparison says so, too
        return
    if _falls_short(how, given, held):
        raise AssertionError(f"the program gave {given.size} values, the test holds {held.size} against them")


def _falls_short(how: str, given: Any, held: Any) -> bool:
    if how in SAME or (how in EACH and (given.ndim or not held.size)):
        return bool(given.size < held.size or (held.size == 0 < given.size))
    return bool(given.size == 0 < held.size and (held.ndim or how in EACH))
