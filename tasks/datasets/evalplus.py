"""HumanEval+ and MBPP+ (arXiv 2305.01210).

The release files hold inputs: `base_input` (the original tests') and `plus_input`. Their expected
outputs come from the reference. The `test` field of HumanEval+ holds base tests only and is not used.
JSON has no tuples, sets or complex numbers: which argument of which MBPP+ task is one of these is a
fact of evalplus (0.3.1, `evalplus/data/mbpp.py`), restated below as a table of shapes.

The hub's rows have no inputs, but a test program that holds inputs and results: a judge runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tasks.datasets.code import called_function, head_before, newlines
from tasks.datasets.humaneval import humaneval
from tasks.grading.compare import evalplus_compare
from tasks.rows import Row
from tasks.types import JudgeTest, ReferenceTests, Task

Arguments = Sequence[Any]


def humanevalplus(row: Row) -> Task:
    if "base_input" not in row.data:
        return humaneval(row)
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    return Task(
        id=row.identity("task_id"),
        prompt=prompt,
        tests=ReferenceTests(
            function=entry_point,
            inputs=_inputs(row, tuple),
            compare=evalplus_compare("humaneval", entry_point, _atol(row)),
        ),
        style="complete",
        entry_point=entry_point,
        context=head_before(prompt, entry_point),
        reference=prompt + row.text("canonical_solution"),
        source=row.dataset,
    )


def mbppplus(row: Row) -> Task:
    if "base_input" not in row.data:
        return _mbppplus_hub(row)
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    identity = row.identity("task_id")
    number = identity.rpartition("/")[2]
    if not number.isdecimal():
        row.fail("task_id", f"expected 'Mbpp/NUMBER', got {identity!r}")
    return Task(
        id=identity,
        prompt=prompt,
        tests=ReferenceTests(
            function=entry_point,
            inputs=_inputs(row, _SHAPES.get(int(number), tuple)),
            compare=evalplus_compare("mbpp", entry_point, _atol(row)),
        ),
        entry_point=entry_point,
        reference=prompt + row.text("canonical_solution"),
        source=row.dataset,
    )


def _mbppplus_hub(row: Row) -> Task:
    code, question = newlines(row.text("code")), row.text("prompt")
    tests = row.texts("test_list")
    source = "\n".join([*row.texts("test_imports"), row.text("test")])
    return Task(
        id=row.identity("task_id"),
        prompt="\n".join([question, "Your code should pass these tests:", *tests]) + "\n",
        tests=(JudgeTest(kind="script", source=source),),
        entry_point=called_function(source, code),
        reference=code,
        source=row.dataset,
        metadata={"question": question, "first_test": tests[0]} if tests else {},
    )


def _atol(row: Row) -> float:
    value = row.data.get("atol")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        row.fail("atol", "expected a number")
    return float(value)


def _inputs(row: Row, shape: Callable[[Arguments], Arguments]) -> tuple[tuple[object, ...], ...]:
    inputs: list[tuple[object, ...]] = []
    for field in ("base_input", "plus_input"):
        # The release writes "no inputs" as an empty object once (Mbpp/793).
        calls = [] if row.data.get(field) == {} else row.items(field)
        for position, arguments in enumerate(calls):
            try:
                inputs.append(tuple(shape(arguments)))
            except (TypeError, ValueError, IndexError, AttributeError) as error:
                row.fail(field, f"input {position} does not fit this task's types ({error})")
    return tuple(inputs)


def _each(convert: Callable[[Any], Any]) -> Callable[[Arguments], list[Any]]:
    return lambda values: [convert(value) for value in values]


def _deep_tuple(value: Any) -> Any:
    return tuple(map(_deep_tuple, value)) if isinstance(value, list) else value


def _tuple_if_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _set_or_empty_dict(value: Any) -> Any:
    return set(value) if isinstance(value, list) and value else {}


_list_of_tuples = _each(tuple)

# What the arguments of a call are made of -> the MBPP+ tasks with such arguments.
_TASKS_BY_SHAPE: list[tuple[Callable[[Arguments], Arguments], list[int]]] = [
    (  # every argument is a tuple
        _each(tuple),
        [2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740]
        + [744, 809],
    ),
    (  # every argument is a list of tuples
        _each(_list_of_tuples),
        [63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780],
    ),
    # list of tuples, any
    (lambda call: [_list_of_tuples(call[0]), call[1]], [75, 413, 444, 753]),
    # any, tuple
    (lambda call: [call[0], tuple(call[1])], [106, 750]),
    # list of sets, an empty one written as {}
    (lambda call: [[_set_or_empty_dict(item) for item in call[0]]], [115]),
    # float, complex
    (lambda call: [float(call[0]), complex(call[1])], [124]),
    # tuple, any
    (lambda call: [tuple(call[0]), call[1]], [250, 405, 446, 617, 720, 763, 808]),
    # every argument is a tuple of tuples
    (_each(lambda value: tuple(map(tuple, value))), [259, 401, 445]),
    # a tuple whose lists are tuples
    (lambda call: [tuple(map(_tuple_if_list, call[0]))], [278]),
    # tuple, any, any
    (lambda call: [tuple(call[0]), call[1], call[2]], [307]),
    # dict of tuples, the rest any
    (lambda call: [{key: tuple(value) for key, value in call[0].items()}, *call[1:]], [722]),
    # complex
    (lambda call: [complex(call[0])], [252]),
    # every list, at any depth, is a tuple
    (_each(_deep_tuple), [580, 615, 791]),
]
_SHAPES = {task: shape for shape, tasks in _TASKS_BY_SHAPE for task in tasks}
