"""Test cases of the competition datasets: standard input and output, or calls of a function.

The same cases come in many spellings: one object of `inputs` and `outputs` (APPS), a list of cases
(LiveCodeBench, PrimeIntellect), text as one string or as a list of lines, values as JSON text, as a Python
literal or already parsed. All of them end here as `StdioTest`s or `CallTest`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.rows import Row, literal
from tasks.types import CallTest, Compare, StdioTest

Cases = tuple[StdioTest, ...] | tuple[CallTest, ...]

# What LeetCode-style platforms import before a solution; their starter code relies on it. Not `math`'s `pow`,
# which would hide the builtin one and its third argument.
PRELUDE = (
    "import collections\nimport functools\nimport heapq\nimport itertools\nimport math\n"
    "from bisect import *\nfrom collections import *\nfrom functools import *\nfrom heapq import *\n"
    "from itertools import *\nfrom math import ceil, floor, gcd, inf, sqrt\nfrom typing import *\n"
)


def stdio(row: Row, field: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[StdioTest, ...]:
    """One test for each input; text may be a string, or a list of lines."""
    _same_length(row, field, inputs, outputs)
    return tuple(
        StdioTest(stdin=_text(row, field, given), stdout=_text(row, field, wanted))
        for given, wanted in zip(inputs, outputs, strict=True)
    )


def calls(
    row: Row, field: str, function: str, inputs: Sequence[Any], outputs: Sequence[Any]
) -> tuple[CallTest, ...]:
    """One test for each input: a list of arguments, or text with one argument a line.

    Where the input is text, so is the output. Many rows wrap each output in a list of one; where all of
    a row's are wrapped, the wrapper goes.
    """
    _same_length(row, field, inputs, outputs)
    expected = [
        _value(wanted) if isinstance(given, str) and isinstance(wanted, str) else wanted
        for given, wanted in zip(inputs, outputs, strict=True)
    ]
    if all(isinstance(value, list) and len(value) == 1 for value in expected):
        expected = [value[0] for value in expected]
    return tuple(
        CallTest(
            function=function,
            args=tuple(_int_keys(value) for value in _arguments(row, field, given)),
            expected=_int_keys(wanted),
            compare=Compare(kind="json"),
        )
        for given, wanted in zip(inputs, expected, strict=True)
    )


def from_object(row: Row, field: str, data: dict[str, Any], *codes: str) -> Cases:
    """Tests of an object of `inputs`, `outputs` and, for calls, `fn_name`; empty where it has none.

    `codes` (starter code, a solution) tell whether the function is a method of `Solution`.
    """
    inputs, outputs = data.get("inputs") or [], data.get("outputs") or []
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        row.fail(field, "`inputs` and `outputs` must be lists")
    if name := data.get("fn_name"):
        return calls(row, field, qualified(str(name), *codes), inputs, outputs)
    return stdio(row, field, inputs, outputs)


def from_list(row: Row, field: str, cases: object, *codes: str, function: str | None = None) -> Cases:
    """Tests of a list of cases with `input`, `output` and, for calls, `fn_name` (or `function` for all)."""
    if not isinstance(cases, list) or not all(
        isinstance(case, dict) and "input" in case and "output" in case for case in cases
    ):
        row.fail(field, "expected a list of objects with `input` and `output`")
    inputs = [case["input"] for case in cases]
    outputs = [case["output"] for case in cases]
    names = {str(case.get("fn_name") or "") for case in cases}
    is_call = [
        bool(case.get("fn_name"))
        or (case.get("testtype") or case.get("type")) in ("functional", "function_call")
        for case in cases
    ]
    if not any(is_call):
        return stdio(row, field, inputs, outputs)
    name = function or next(iter(sorted(names, reverse=True)))
    if not all(is_call) or len(names) > 1:
        row.fail(field, "mixes standard input with calls, or names several functions")
    if not name:
        row.fail(field, "has calls, but the row names no function")
    return calls(row, field, qualified(name, *codes), inputs, outputs)


def qualified(function: str, *codes: str) -> str:
    """`Solution.function` where the starter code, or else the solution, defines `class Solution`."""
    code = next((code for code in codes if code.strip()), "")
    return f"Solution.{function}" if "class Solution" in code else function


def entry_point(tests: Cases) -> str | None:
    """The function that call tests name."""
    return tests[0].function if tests and isinstance(tests[0], CallTest) else None


def prompt_with_starter(question: str, starter: str) -> str:
    """The question, followed by the starter code where there is some: it names what tests call."""
    if not starter.strip():
        return question
    return f"{question.rstrip()}\n\nUse this starter code:\n```python\n{starter.rstrip()}\n```\n"


def _same_length(row: Row, field: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    if len(inputs) != len(outputs):
        row.fail(field, f"{len(inputs)} inputs, but {len(outputs)} outputs")


def _text(row: Row, field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_text(row, field, line) for line in value)
    if isinstance(value, (int, float)):
        return str(value)
    row.fail(field, f"expected text or a list of lines, got {type(value).__name__}")


def _arguments(row: Row, field: str, value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [_value(line) for line in value.split("\n") if line.strip()]
    row.fail(field, f"expected a list of arguments or text with one a line, got {type(value).__name__}")


def _value(text: str) -> Any:
    """A value written as JSON or as a Python literal; other text is itself a string."""
    try:
        return literal(text)
    except ValueError:
        return text


def _int_keys(value: Any) -> Any:
    """JSON turns a dict's int keys to text; this turns them back, as APPS's own grader does."""
    if isinstance(value, dict) and value and all(_is_int(key) for key in value):
        return {int(key): item for key, item in value.items()}
    return value


def _is_int(key: object) -> bool:
    return isinstance(key, str) and key.removeprefix("-").isdecimal() and key.isascii()
