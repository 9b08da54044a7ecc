"""Compares a program's standard output with the expected one, on the host: one rule for each data set's grader.

The output comes from a hostile program and may be as long as its limit: every walk ends where the expected
output ends, and nothing raises. Sources, and where we differ on purpose: docs/grading.md.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from tasks.types import OutputRule

_MAX_NUMBER = 400  # characters of a number that is compared within a tolerance
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Match = Callable[[str, str], bool]


def same_output(
    actual: str, expected: str, float_tolerance: float | None = None, rule: OutputRule = "lines"
) -> bool:
    """Whether a program printed what it should: the whole output, by `rule`.

    `float_tolerance` belongs to `lines`: numbers written with a fraction or an exponent may differ by at most
    `float_tolerance * max(1, |expected|)`.
    """
    if actual == expected:
        return True
    if rule == "lines":
        return _lines_match(actual, expected, float_tolerance)
    return _RULES[rule](actual, expected)


def _lines_match(actual: str, expected: str, tolerance: float | None) -> bool:
    """White space at the end of a line and at the end of the output is ignored; nothing else is."""
    got, want = _right_stripped(actual), _right_stripped(expected)
    if got == want:
        return True
    if tolerance is None:
        return False
    near = _same_or_near(lambda a, e: abs(a - e) <= tolerance * max(1.0, abs(e)))
    return _each(got, want, lambda a, e: _each(a.split(), e.split(), near))


def _stripped_match(actual: str, expected: str) -> bool:
    """open-r1, SYNTHETIC-2: white space around the output and around each line is ignored."""
    return _stripped(actual) == _stripped(expected)


def _livecodebench_match(actual: str, expected: str) -> bool:
    """The same, and a line may be the same numbers, as decimals, written in another way."""
    return _each(_stripped(actual), _stripped(expected), lambda a, e: a == e or _same_decimals(a, e))


def _apps_match(actual: str, expected: str) -> bool:
    """APPS, TACO: the tokens of each line that is not blank; numbers with a fraction as `numpy.allclose` has it,
    or the same when rounded to three places."""
    return _each(_filled(actual), _filled(expected), lambda a, e: _each(a.split(), e.split(), _apps_token))


def _code_contests_match(actual: str, expected: str) -> bool:
    """The tokens of the output, in letters of either case; integers by value, other numbers within 1e-5."""
    return _each(_tokens(actual), _tokens(expected), _code_contests_token)


def _primeintellect_match(actual: str, expected: str) -> bool:
    """The tokens of each line that is not blank; or, where all tokens are numbers, each within 1e-3."""
    if _each(_filled(actual), _filled(expected), lambda a, e: a.split() == e.split()):
        return True
    got, want = actual.split(), expected.split()
    return bool(want) and _each(got, want, _primeintellect_number)


def _each(actual: Sequence[str], expected: Sequence[str], match: Match) -> bool:
    """Whether there are as many, and each matches."""
    return len(actual) == len(expected) and all(match(a, e) for a, e in zip(actual, expected, strict=True))


def _right_stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _filled(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _tokens(text: str) -> list[str]:
    """What the grader in C++ takes for tokens, and for lower case: ASCII only."""
    return [token for token in re.split(r"[ \n\t\r\v]+", text.translate(_ASCII_LOWER)) if token]


def _same_decimals(actual: str, expected: str) -> bool:
    return _each(actual.split(" "), expected.split(" "), _same_decimal)


def _same_decimal(actual: str, expected: str) -> bool:
    try:
        return Decimal(actual) == Decimal(expected)
    except (InvalidOperation, ValueError):  # not a number, or a signalling nan
        return False


def _code_contests_token(actual: str, expected: str) -> bool:
    return actual == expected or _same_integer(actual, expected) or _within_1e5(actual, expected)


def _primeintellect_number(actual: str, expected: str) -> bool:
    return _same_integer(actual, expected) or _within_thousandth(actual, expected)


def _same_integer(actual: str, expected: str) -> bool:
    """Whether both are written as integers, and are the same one, of any length."""
    got, want = _integer(actual), _integer(expected)
    return got is not None and got == want


def _integer(token: str) -> tuple[bool, str] | None:
    """Whether the integer that `token` writes is negative, and its digits without leading zeros."""
    digits = token[1:] if token.startswith(("+", "-")) else token
    if not (digits.isascii() and digits.isdigit()):
        return None
    digits = digits.lstrip("0")
    return token.startswith("-") and bool(digits), digits


def _near(close: Callable[[float, float], bool]) -> Match:
    """Matches two numbers, one of them at least with a fraction or an exponent: integers are exact."""

    def match(actual: str, expected: str) -> bool:
        got, want = _real(actual), _real(expected)
        if got is None or want is None or not (_fractional(actual) or _fractional(expected)):
            return False
        return close(got, want)

    return match


def _same_or_near(close: Callable[[float, float], bool]) -> Match:
    near = _near(close)
    return lambda actual, expected: actual == expected or near(actual, expected)


def _real(token: str) -> float | None:
    """The finite number that `token` writes in plain decimal, if any (no `nan`, `inf`, `1_000`)."""
    if len(token) > _MAX_NUMBER or not _NUMBER.fullmatch(token):
        return None
    number = float(token)
    return number if math.isfinite(number) else None


def _fractional(token: str) -> bool:
    return not set(token).isdisjoint(".eE")


_apps_token = _same_or_near(lambda a, e: abs(a - e) <= 1e-8 + 1e-5 * abs(e) or round(a, 3) == round(e, 3))
_within_1e5 = _near(lambda a, e: abs(a - e) < 1e-5)
_within_thousandth = _near(lambda a, e: abs(a - e) <= 1e-3)

_RULES: dict[OutputRule, Match] = {
    "stripped": _stripped_match,
    "livecodebench": _livecodebench_match,
    "apps": _apps_match,
    "code_contests": _code_contests_match,
    "primeintellect": _primeintellect_match,
}
