"""JSON and Python literals with integers of any length."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.parsing import MAX_DIGITS, decimal, integer, json_value, literal

LONG = "7" * 5000
LIMIT = sys.get_int_max_str_digits()


@given(st.integers(), st.integers(min_value=0, max_value=2500))
def test_integers_are_read_and_written_as_python_does(value: int, zeros: int) -> None:
    value *= 10**zeros
    assert integer(str(value)) == value and decimal(value) == str(value)


@pytest.mark.parametrize("digits", [600, 601, LIMIT, LIMIT + 1, 9131, 20_000])
def test_long_integers_are_read_and_written(digits: int) -> None:
    assert integer("9" * digits) == 10**digits - 1 and integer("-1" + "0" * digits) == -(10**digits)
    assert decimal(10**digits - 1) == "9" * digits and decimal(-(10**digits)) == "-1" + "0" * digits
    assert sys.get_int_max_str_digits() == LIMIT


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"-{LONG}",
        f'{{"a": [{LONG}, "{LONG}", 1.5]}}',
        f"{{'a': ({LONG}, '{LONG}', -{LONG}), {LONG}: '\\'{LONG}'}}",
        f'["{LONG}e", {LONG}.5]',
    ],
)
def test_long_integers_stand_in_json_and_in_literals(text: str) -> None:
    sys.set_int_max_str_digits(0)
    try:
        expected = eval(text)  # our own text
    finally:
        sys.set_int_max_str_digits(LIMIT)
    assert literal(text) == expected


def test_what_is_too_long_is_a_value_error() -> None:
    for text in ("1" * (MAX_DIGITS + 1), f"[{'1' * (MAX_DIGITS + 1)}]", f"('x', {'1' * (MAX_DIGITS + 1)})"):
        with pytest.raises(ValueError):
            literal(text)
    with pytest.raises(ValueError):
        json_value("1" * (MAX_DIGITS + 1))
    with pytest.raises(json.JSONDecodeError):
        json_value("{")


@pytest.mark.parametrize("text", ["", "x", "[", "open('x')", "1 2", "'", "[" * 100_000, "\0", "--"])
def test_other_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        literal(text)
