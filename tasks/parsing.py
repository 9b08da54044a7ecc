"""JSON and Python literals of data sets, whose integers may have more digits than Python converts by default.

`int()` and `str()` stop at 4,300 digits, for all of the process. The rows of APPS, TACO and LiveCodeBench hold longer
integers, so they are converted here, in halves, up to `MAX_DIGITS`; Python's own limit stays as it is.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from sandbox.parsing import parse_expression

MAX_DIGITS = 100_000  # takes 0.3 s either way
_PIECE = 600  # digits: below the lowest limit that Python can be set to

# A string, which is left alone, or a long integer.
_LONG_INTEGER = re.compile(
    rf"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<![\w.])(?P<digits>[0-9]{{{_PIECE + 1},}})(?![\w.])""",
    re.DOTALL,
)


def integer(text: str) -> int:
    """The integer that `text` writes in decimal, however long. Raises `ValueError`."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits; at most {MAX_DIGITS} are read")
    if text.startswith("-"):
        return -_natural(text[1:])
    return _natural(text)


def decimal(value: int) -> str:
    """`value` in decimal, however long."""
    return "-" + _digits(-value) if value < 0 else _digits(value)


def json_value(text: str) -> Any:
    """The value of JSON text. Raises `ValueError` or `RecursionError`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer over Python's limit
        return json.loads(text, parse_int=integer)


def literal(text: str) -> Any:
    """The value of JSON text or, failing that, of a Python literal. Raises `ValueError` for anything else."""
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes, which datasets have
            return ast.literal_eval(parse_expression(_LONG_INTEGER.sub(_in_hexadecimal, text.strip())))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}"[:200]) from None


def _in_hexadecimal(found: re.Match[str]) -> str:
    """What Python reads without a limit."""
    return hex(integer(found["digits"])) if found["digits"] else found[0]


def _natural(digits: str) -> int:
    if len(digits) <= _PIECE:
        return int(digits)
    half = len(digits) // 2
    return int(_natural(digits[:-half]) * 10**half + _natural(digits[-half:]))


def _digits(value: int) -> str:
    if value.bit_length() < 3 * _PIECE:
        return str(value)
    half = value.bit_length() * 3 // 20  # about half of its digits
    high, low = divmod(value, 10**half)
    return _digits(high) + _digits(low).zfill(half)
