"""What data sets' own graders say of an output or a value, restated from their published rules, for comparison only.

None of them can be installed from a package index, so these are oracles of our own, independent of tasks/grading/outputs.py
and tasks/json_values.py: they keep each grader's leniences and oddities, also those that we do without
(docs/grading.md lists sources and differences). They run on the values of a sandbox, never on a program.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy

Output = Callable[[str, str], bool]
Value = Callable[[Any, Any], bool]


def livecodebench_output(actual: str, expected: str) -> bool:
    """Lines, stripped, one by one: the same text, or the same decimals."""
    got, want = ([line.strip() for line in text.strip().split("\n")] for text in (actual, expected))
    return len(got) == len(want) and all(
        a == e or _decimals(a) == _decimals(e) is not None for a, e in zip(got, want, strict=False)
    )


def livecodebench_value(actual: Any, expected: Any) -> bool:
    return bool((list(actual) if isinstance(actual, tuple) else actual) == expected)


def apps_output(actual: str, expected: str) -> bool:
    """The same when stripped; else all lines floats that are close; else the same set of sets of tokens, which may
    be numbers that are equal when rounded to three places."""
    got, want = actual.splitlines(), expected
    if (
        "\n".join(got).strip() == want.strip()
        or "\n".join(line.strip() for line in got).strip() == want.strip()
    ):
        return True
    lines = [line.strip() for line in want.split("\n") if line]
    if got == lines:
        return True
    got = [line for line in got if line]
    with contextlib.suppress(ValueError):
        a, e = [float(line) for line in got], [float(line) for line in lines]
        if len(a) == len(e) and numpy.allclose(a, e):
            return True
    return _sets(got, str) == _sets(lines, str) or _rounded(got) == _rounded(lines) != None  # noqa: E711


def apps_value(actual: Any, expected: Any) -> bool:
    """The output itself or, if it is a list, its first item; tuples for lists at the top and one below."""
    if isinstance(expected, dict):
        expected = [_integers(expected)]
    elif isinstance(expected, list) and expected and isinstance(expected[0], dict):
        expected = [_integers(expected[0])]
    if isinstance(actual, tuple):
        actual = list(actual)
    first = expected[0] if isinstance(expected, list) and expected else expected
    if actual in (expected, first):
        return True
    listed = isinstance(actual, list) and actual and isinstance(actual[0], tuple)
    return bool(
        listed and all(isinstance(x, (list, tuple)) for x in actual) and [list(x) for x in actual] == first
    )


def taco_output(actual: str, expected: str) -> bool:
    """The same when stripped; its other rules go through the output character by character, and seldom hold."""
    if actual.strip() == expected.strip():
        return True
    lines = {frozenset(line.split()) for line in expected.split("\n") if line}
    return {frozenset(token) for token in actual.split()} == lines


def deepcoder_output(actual: str, expected: str) -> bool:
    """Lines that are not blank, token by token; tokens that differ pass unless both are numbers that are not close."""
    got, want = (
        [line.split() for line in text.strip().split("\n") if line.strip()] for text in (actual, expected)
    )
    if len(got) != len(want) or any(len(a) != len(e) for a, e in zip(got, want, strict=True)):
        return apps_output(actual, expected)
    return all(
        a == e or _close_or_text(a, e)
        for left, right in zip(got, want, strict=True)
        for a, e in zip(left, right, strict=True)
    )


def code_contests_output(actual: str, expected: str) -> bool:
    """Tokens in lower case: the same, or numbers within 1e-5 as doubles."""
    got, want = (text.lower().replace("\f", "?").split() for text in (actual, expected))
    return got == want or (
        len(got) == len(want) and all(_within(a, e) for a, e in zip(got, want, strict=True))
    )


def genesys_output(actual: str, expected: str) -> bool:
    lines = ([line.strip() for line in text.strip().split("\n")] for text in (actual, expected))
    return next(lines) == next(lines)


def genesys_value(actual: Any, expected: Any) -> bool:
    """What `print` writes of one and the other."""
    return str(actual).strip() == str(expected).strip()


def openr1_output(actual: str, expected: str) -> bool:
    """Line by line, stripped, as far as the shorter goes; the expected text is not stripped as a whole."""
    return all(
        a.strip() == e.strip() for a, e in zip(actual.strip().split("\n"), expected.split("\n"), strict=False)
    )


def primeintellect_output(actual: str, expected: str) -> bool:
    """The tokens of each line that is not blank; or all tokens numbers, within 1e-3."""
    got, want = ([line.split() for line in text.splitlines() if line.strip()] for text in (actual, expected))
    if actual.strip() == expected.strip() or got == want:
        return True
    a, e = _decimals(" ".join(sum(got, []))), _decimals(" ".join(sum(want, [])))
    try:
        return bool(a and e and len(a) == len(e)) and all(
            abs(x - y) <= Decimal(1e-3) for x, y in zip(a or [], e or [], strict=False)
        )
    except InvalidOperation:
        return False


def primeintellect_value(actual: Any, expected: Any) -> bool:
    """What JSON makes of the value, held against the output or, if it is a list, its first item."""
    try:
        actual = json.loads(json.dumps(actual))
    except (TypeError, ValueError):
        return False
    return bool(
        actual == expected or (isinstance(expected, list) and bool(expected) and actual == expected[0])
    )


ORACLES: dict[str, tuple[Output, Value | None]] = {
    "livecodebench": (livecodebench_output, livecodebench_value),
    "apps": (apps_output, apps_value),
    "taco": (taco_output, apps_value),
    "code_contests": (code_contests_output, None),
    "deepcoder": (deepcoder_output, apps_value),
    "primeintellect": (primeintellect_output, primeintellect_value),
    "synthetic2": (genesys_output, genesys_value),
    "openr1": (openr1_output, None),
}


def _decimals(line: str) -> list[Decimal] | None:
    try:
        return [Decimal(token) for token in line.split()]
    except InvalidOperation:
        return None


def _sets(lines: list[str], read: Callable[[str], Any]) -> set[frozenset[Any]]:
    return {frozenset(map(read, tokens)) for line in lines if (tokens := line.split())}


def _rounded(lines: list[str]) -> set[frozenset[Any]] | None:
    try:
        return _sets(lines, lambda token: round(float(token), 3))
    except (ValueError, OverflowError):
        return None


def _integers(value: dict[str, Any]) -> dict[Any, Any]:
    try:
        return {int(key): item for key, item in value.items()}
    except ValueError:
        return value


def _close_or_text(actual: str, expected: str) -> bool:
    try:
        return bool(numpy.isclose(float(actual), float(expected)))
    except ValueError:
        return True


def _within(actual: str, expected: str) -> bool:
    try:
        return actual == expected or abs(float(actual) - float(expected)) < 1e-5
    except ValueError:
        return False
