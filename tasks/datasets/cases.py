"""Test cases of the competition datasets: standard input and output, or calls of a function.

The same cases come in many spellings: one object of `inputs` and `outputs` (APPS), a list of cases
(LiveCodeBench, PrimeIntellect), text as one string or as a list of lines, values as JSON text, as a Python
literal or already parsed. All of them end here as `StdioTest`s or `CallTest`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.datasets.profiles import Profile
from tasks.json_values import digits_only, integer_keys
from tasks.parsing import decimal, literal
from tasks.rows import Row
from tasks.types import CallTest, Compare, StdioTest

Cases = tuple[StdioTest, ...] | tuple[CallTest, ...]


def stdio(
    row: Row, field: str, profile: Profile, inputs: Sequence[Any], outputs: Sequence[Any]
) -> tuple[StdioTest, ...]:
    """One test for each input; text may be a string, or a list of lines."""
    _same_length(row, field, inputs, outputs)
    return tuple(
        StdioTest(stdin=_text(row, field, given), stdout=_text(row, field, wanted), rule=profile.output)
        for given, wanted in zip(inputs, outputs, strict=True)
    )


def calls(
    row: Row, field: str, profile: Profile, function: str, inputs: Sequence[Any], outputs: Sequence[Any]
) -> tuple[CallTest, ...]:
    """One test for each input: a list of arguments, or text with one argument a line.

    Where the inputs are text, so are the outputs. Whether the function is a method of `Solution` is the
    program's to choose: prompts seldom say, and the data sets' graders take either.
    """
    _same_length(row, field, inputs, outputs)
    if all(isinstance(value, str) for value in (*inputs, *outputs)):
        inputs, outputs = _values_by_line(inputs), _values(outputs)
    wrapped = profile.wrapped and all(isinstance(value, list) and len(value) == 1 for value in outputs)
    compare = Compare(kind=profile.values, note="wrapped" if wrapped else "")
    return tuple(
        CallTest(
            function=f"Solution.{function}",
            args=tuple(_argument(value, profile) for value in _arguments(row, field, given)),
            expected=wanted,
            compare=compare,
        )
        for given, wanted in zip(inputs, outputs, strict=True)
    )


def from_object(row: Row, field: str, profile: Profile, data: dict[str, Any]) -> Cases:
    """Tests of an object of `inputs`, `outputs` and, for calls, `fn_name`; empty where it has none."""
    inputs, outputs = data.get("inputs") or [], data.get("outputs") or []
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        row.fail(field, "`inputs` and `outputs` must be lists")
    if name := data.get("fn_name"):
        return calls(row, field, profile, str(name), inputs, outputs)
    return stdio(row, field, profile, inputs, outputs)


def from_list(row: Row, field: str, profile: Profile, cases: object, *, function: str | None = None) -> Cases:
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
        return stdio(row, field, profile, inputs, outputs)
    name = function or next(iter(sorted(names, reverse=True)))
    if not all(is_call) or len(names) > 1:
        row.fail(field, "mixes standard input with calls, or names several functions")
    if not name:
        row.fail(field, "has calls, but the row names no function")
    return calls(row, field, profile, name, inputs, outputs)


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
    if isinstance(value, int) and not isinstance(value, bool):
        return decimal(value)
    if isinstance(value, (bool, float)):
        return str(value)
    row.fail(field, f"expected text or a list of lines, got {type(value).__name__}")


def _arguments(row: Row, field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        row.fail(field, f"expected a list of arguments or text with one a line, got {type(value).__name__}")
    return value


def _argument(value: Any, profile: Profile) -> Any:
    return integer_keys(value) if profile.integer_keys and digits_only(value) else value


def _values_by_line(texts: Sequence[str]) -> list[list[Any]]:
    """The arguments that each text writes, one a line; the same argument of all calls is written in one way."""
    lines = [[line for line in text.split("\n") if line.strip()] for text in texts]
    if len(set(map(len, lines))) != 1:
        return [[value for line in call for value in _values([line])] for call in lines]
    columns = [_values(column) for column in zip(*lines, strict=True)]
    return [list(call) for call in zip(*columns, strict=True)] if columns else [[] for _ in lines]


def _values(texts: Sequence[str]) -> list[Any]:
    """The values of JSON texts or Python literals; where one of them is neither, all are plain strings."""
    try:
        return [literal(text) for text in texts]
    except ValueError:
        return list(texts)
