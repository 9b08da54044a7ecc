"""Compares values that a data set writes as JSON, which has no tuples and only strings as keys.

Follows the expected value; `tasks.grading.compare.matches` catches the errors that a hostile value causes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tasks.parsing import integer

FLOAT_TOLERANCE = 1e-9  # absolute below 1, else relative; as much as another order of additions changes

_SEQUENCES = (list, tuple)
Same = Callable[[Any, Any], bool]


def json_equal(actual: object, expected: object) -> bool:
    """`==`, but a tuple is as good as the list that JSON makes of it, at every depth."""
    return _same(actual, expected, _same_scalar, lambda have, want: want)


def livecodebench_equal(actual: object, expected: object) -> bool:
    """`==`, but the value itself may be a tuple for a list; one inside it may not."""
    return bool((list(actual) if isinstance(actual, tuple) else actual) == expected)


def apps_equal(actual: object, expected: object, wrapped: bool) -> bool:
    """As `json_equal`; floats may differ by `FLOAT_TOLERANCE`; keys that are digits may stand for integers.

    `wrapped`: an expected list of one may stand for its only item, as in many rows of APPS.
    """
    if _same(actual, expected, _near_scalar, _keys):
        return True
    return (
        wrapped
        and isinstance(expected, list)
        and len(expected) == 1
        and _same(actual, expected[0], _near_scalar, _keys)
    )


def digits_only(value: object) -> bool:
    """Whether `value` is a dict with keys that are all written as integers."""
    return isinstance(value, dict) and bool(value) and all(map(_is_integer, value))


def integer_keys(value: dict[str, Any]) -> dict[int, Any]:
    return {integer(key): item for key, item in value.items()}


def _same(actual: Any, expected: Any, same_scalar: Same, keys: Callable[[Any, Any], Any]) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(actual, _SEQUENCES)
            and len(actual) == len(expected)
            and all(_same(a, e, same_scalar, keys) for a, e in zip(actual, expected, strict=True))
        )
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or len(actual) != len(expected):
            return False
        expected = keys(actual, expected)
        return all(
            key in actual and _same(actual[key], item, same_scalar, keys) for key, item in expected.items()
        )
    return same_scalar(actual, expected)


def _keys(actual: dict[Any, Any], expected: dict[Any, Any]) -> dict[Any, Any]:
    """`expected` with the kind of keys that `actual` has: JSON cannot tell which the author meant."""
    if digits_only(expected) and next(iter(expected)) not in actual:
        return integer_keys(expected)
    return expected


def _same_scalar(actual: Any, expected: Any) -> bool:
    return bool(actual == expected) or (_is_nan(actual) and _is_nan(expected))


def _near_scalar(actual: Any, expected: Any) -> bool:
    if type(expected) is float and type(actual) in (int, float) and math.isfinite(expected):
        return bool(abs(actual - expected) <= FLOAT_TOLERANCE * max(1.0, abs(expected)))
    return _same_scalar(actual, expected)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_integer(key: object) -> bool:
    return isinstance(key, str) and key.removeprefix("-").isdecimal() and key.isascii()
