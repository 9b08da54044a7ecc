"""Compares an actual value with the expected one, on the host (printed output: tasks/grading/outputs.py).

The actual value comes from a hostile program. The codec made it of plain builtin types and bounded it, but it may
still be large, deep or full of colliding hashes. So every walk follows the *expected* value and ends where that ends;
an error on the way is the program's failure. `matches` never raises.

evalplus's rules (facts learnt from evalplus 0.3.1, `evalplus/eval/`, Apache-2.0; no code is copied):
exact `==`, else `numpy.allclose` with rtol 1e-7 and the task's `atol` between values of the same type;
where the task has no `atol` but the expected value is made of floats, `atol` is 1e-6. Thirteen tasks of
MBPP+ and HumanEval/32 have a special rule, named by `Compare.note` (`EVALPLUS_NOTES`).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from sandbox.inside.values.codec import Opaque
from tasks.grading.outputs import same_output
from tasks.json_values import apps_equal, json_equal, livecodebench_equal
from tasks.types import Compare

__all__ = ["EVALPLUS_NOTES", "evalplus_compare", "is_plain", "matches", "reference_value", "same_output"]

EVALPLUS_RTOL = 1e-7
EVALPLUS_FLOAT_ATOL = 1e-6

# entry point -> special rule, per evalplus's `_special_oracle.py`
EVALPLUS_NOTES: dict[str, dict[str, str]] = {
    "humaneval": {"find_zero": "root"},
    "mbpp": {
        "are_equivalent": "any",
        "sum_div": "or_zero",
        "surface_Area": "surface",
        "digit_distance_nums": "digits",
        "check_str": "not_none",
        "text_match_three": "not_none",
        "text_starta_endb": "not_none",
        "similar_elements": "set",
        "find_char_long": "set",
        "common_in_nested_lists": "set",
        "extract_singly": "set",
        "larg_nnum": "set",
        "intersection_array": "set",
        "find_dissimilar": "set",
        "Diff": "set",
    },
}

_SCALARS = frozenset({type(None), bool, int, float, str})
_NUMBERS = (int, float, complex)  # bool included: True == 1 in Python


def evalplus_compare(dataset: Literal["humaneval", "mbpp"], entry_point: str, atol: float) -> Compare:
    """The rule by which evalplus compares the outputs of a task of HumanEval+ or MBPP+."""
    return Compare(kind="evalplus", atol=atol, note=EVALPLUS_NOTES[dataset].get(entry_point, ""))


def reference_value(value: object, compare: Compare) -> object:
    """What is kept of a reference's output: under `not_none` only whether there is one."""
    return value is not None if compare.note == "not_none" else value


def matches(actual: object, expected: object, compare: Compare, args: Sequence[object] = ()) -> bool:
    """Whether `actual`, returned for `args`, is right. An opaque part is wrong; nothing raises."""
    if compare.note != "not_none" and not is_plain(actual):
        return False
    try:
        match compare.kind:
            case "equal":
                return bool(actual == expected)
            case "close":
                return _close(actual, expected, compare.atol, compare.rtol)
            case "json":
                return json_equal(actual, expected)
            case "livecodebench":
                return livecodebench_equal(actual, expected)
            case "apps":
                return apps_equal(actual, expected, compare.note == "wrapped")
            case "truth":
                return bool(actual) is expected
            case "is":
                return actual is expected
            case "evalplus":
                return _evalplus(actual, expected, compare, args)
    except Exception:  # noqa: BLE001 - an error that a program's value causes is the program's failure
        return False


def is_plain(value: object) -> bool:
    """Whether nothing in a decoded `value` is opaque (the codec bounds its size)."""
    if type(value) in _SCALARS:
        return True
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Opaque):
            return False
        if isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
    return True


def _close(actual: object, expected: object, atol: float, rtol: float) -> bool:
    if isinstance(expected, _NUMBERS):
        if isinstance(actual, int) and isinstance(expected, int):
            return actual == expected
        return isinstance(actual, _NUMBERS) and _near(actual, expected, atol, rtol)
    if type(actual) is not type(expected):
        return False
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        return len(actual) == len(expected) and all(
            _close(a, e, atol, rtol) for a, e in zip(actual, expected, strict=True)
        )
    if isinstance(expected, dict) and isinstance(actual, dict):
        return actual.keys() == expected.keys() and all(
            _close(actual[key], e, atol, rtol) for key, e in expected.items()
        )
    return actual == expected


def _near(actual: complex, expected: complex, atol: float, rtol: float) -> bool:
    """Within the tolerance; an infinity, which everything is near to in the formula, only equals itself."""
    if actual == expected:
        return True
    return cmath.isfinite(expected) and abs(actual - expected) <= atol + rtol * abs(expected)


def _evalplus(actual: Any, expected: Any, compare: Compare, args: Sequence[Any]) -> bool:
    if compare.note == "root":
        # The reference, Newton's method, does not converge on all inputs in every Python.
        return bool(actual == expected) or abs(_polynomial(args[0], actual)) <= compare.atol
    exact = _evalplus_exact(actual, expected, compare, args)
    atol = compare.atol or (EVALPLUS_FLOAT_ATOL if _made_of_floats(expected) else 0.0)
    if exact or not atol:
        return exact
    return type(actual) is type(expected) and _all_close(actual, expected, atol)


def _evalplus_exact(actual: Any, expected: Any, compare: Compare, args: Sequence[Any]) -> bool:
    match compare.note:
        case "any":
            return True
        case "or_zero":
            return bool(actual == expected or actual == 0)
        case "surface":
            return bool(actual == expected or abs(actual - _surface(*args)) <= compare.atol)
        case "digits":
            return bool(actual == expected or actual == _digit_distance(*args))
        case "set":
            return _same_set(actual, expected)
        case "not_none":
            return bool((actual if isinstance(actual, bool) else actual is not None) == expected)
        case _:
            return bool(actual == expected)


def _made_of_floats(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _all_close(actual: object, expected: object, atol: float) -> bool:
    """`numpy.allclose` on nested sequences of numbers, without its broadcasting."""
    if isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            return False
        return all(_all_close(a, e, atol) for a, e in zip(actual, expected, strict=True))
    if not isinstance(actual, _NUMBERS) or not isinstance(expected, _NUMBERS):
        return False
    return _near(actual, expected, atol, EVALPLUS_RTOL)


def _same_set(actual: Iterable[object], expected: Iterable[object]) -> bool:
    """`set(actual) == set(expected)`, hashing only into tables of expected values.

    A set of the program's own values could be made of colliding hashes, and take hours.
    """
    wanted = set(expected)
    missing = set(wanted)
    for item in actual:
        if item not in wanted:
            return False
        missing.discard(item)
    return not missing


def _polynomial(coefficients: Iterable[float], x: float) -> float:
    return sum(c * math.pow(x, power) for power, c in enumerate(coefficients))


def _surface(base: float, height: float) -> int:
    """Surface of a square pyramid, `height` measured from base to apex (Mbpp/581), rounded."""
    slant = math.sqrt((base / 2) ** 2 + height**2)
    return round(base**2 + 2 * base * slant)


def _digit_distance(a: int, b: int) -> int:
    """Sum of the differences of digits, the shorter number padded with zeros (Mbpp/558)."""
    width = max(len(str(a)), len(str(b)))
    digits = zip(str(a).zfill(width), str(b).zfill(width), strict=True)
    return sum(abs(int(x) - int(y)) for x, y in digits)
