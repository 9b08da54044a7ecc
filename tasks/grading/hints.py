"""Why a returned value that looks right is wrong: it is so up to what JSON cannot express, or up to rounding.

Like comparison, every walk follows the expected value and ends where that ends.
"""

from __future__ import annotations

from sandbox.inside.values.codec import Opaque

MOST = 1000  # values looked at; a set is looked into as far as that
NEAR = 1e-6  # relative

_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)


def hint(actual: object, expected: object) -> str:
    """What `actual` has otherwise than `expected`, with the remedy in a test of the native format; empty: more."""
    found: dict[str, None] = {}
    try:
        alike = _alike(actual, expected, found, [MOST])
    except Exception:  # noqa: BLE001 - an error that a program's value causes is no more than no hint
        return ""
    return "; ".join(found) if alike else ""


def _alike(actual: object, expected: object, found: dict[str, None], left: list[int]) -> bool:
    """Whether they are equal but for what is then `found`."""
    left[0] -= 1
    if left[0] < 0 or isinstance(actual, Opaque):
        return False
    if isinstance(expected, _SEQUENCES) and isinstance(actual, _SETS):
        found[f'a {_name(actual)}, expected a {_name(expected)}: {{"{_name(actual)}": [...]}}'] = None
        return len(actual) == len(expected) <= MOST and all(item in actual for item in expected)
    if isinstance(expected, _SEQUENCES) and isinstance(actual, _SEQUENCES):
        if len(actual) != len(expected):
            return False
        if type(actual) is not type(expected):
            way = ' {"t": [...]}, or' if isinstance(actual, tuple) else ""
            found[
                f'a {_name(actual)}, expected a {_name(expected)}:{way} "compare": {{"kind": "json"}}, which '
                "takes one for the other"
            ] = None
        return all(_alike(a, e, found, left) for a, e in zip(actual, expected, strict=True))
    if isinstance(expected, dict) and isinstance(actual, dict):
        if len(actual) != len(expected) or len(actual) > MOST:
            return False
        if actual.keys() != expected.keys():
            found['keys that are no strings, which JSON does not have: {"d": [1, "one", 2, "two"]}'] = None
            actual = {str(key): value for key, value in actual.items()}
        return all(key in actual and _alike(actual[key], e, found, left) for key, e in expected.items())
    if isinstance(expected, float) and isinstance(actual, (int, float)) and actual != expected:
        off = abs(actual - expected)
        found[f'a float that is off by {off:.0e}: "compare": {{"kind": "close", "rtol": 1e-6}}'] = None
        return off <= NEAR * max(1.0, abs(expected))
    return bool(actual == expected)


def _name(value: object) -> str:
    return type(value).__name__
