"""coderl's own format: one problem a line, as documented in docs/native-format.md and `task.schema.json`.

Values of call tests and reference inputs are JSON. What JSON cannot express is an object of one key, a tag
of the sandbox's codec: `{"t": [1, 2]}` is a tuple. Any other object is a dict with string keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from keyword import iskeyword
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

from sandbox.inside.values.codec import CodecError, Decoder, Encoder
from sandbox.parsing import parse as parse_module
from sandbox.protocol import CEILING
from tasks.errors import TaskError
from tasks.rows import Row, collect, read_rows
from tasks.types import (
    CallTest,
    Checker,
    Compare,
    InteractiveTest,
    JudgeTest,
    ReferenceTests,
    StdioTest,
    Task,
    Tests,
)

TAGS = frozenset("t d set frozenset int float complex str bytes bytearray range ellipsis type ref".split())
MOST_TOLD = 5  # errors of a row
_PLAIN_FIELDS = (
    "style",
    "entry_point",
    "context",
    "prelude",
    "language",
    "reference",
    "source",
    "level",
    "cpu_seconds",
    "memory_bytes",
)
# What decides in the place of a comparison, and of which kinds of tests.
_DECIDERS = {"checker": {"stdio", "call"}, "interactor": {"interactive"}}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)".*$', re.MULTILINE)
_DEFAULTS = {field.name: field.default for field in fields(Task)}


def load(path: str | PathLike[str], *, limit: int | None = None, strict: bool = False) -> list[Task]:
    """The problems of a file in this format, at most `limit`.

    Raises `TaskError`: the file cannot be read, no row of it can be; with `strict`, any cannot, or repeats an id.
    """
    return collect(str(path), read_rows(Path(path), "native"), parse, limit, strict=strict)


def dump(tasks: Iterable[Task], path: str | PathLike[str]) -> None:
    """Write `tasks` to `path`, so that `load` gives the same ones. Raises `TaskError` for odd values."""
    with Path(path).open("w", encoding="ascii") as file:
        for task in tasks:
            file.write(json.dumps(to_row(task)) + "\n")


def parse(row: Row) -> Task:
    """The task of one row. Raises `TaskError`, with all that the schema finds wrong in it."""
    problems = sorted(_validator().iter_errors(row.data), key=lambda problem: problem.json_path)
    if told := list(dict.fromkeys(text for problem in problems for text in _told(problem))):
        more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        raise TaskError(f"{row.where}: {'; '.join(told[:MOST_TOLD])}{more}. See docs/native-format.md.")
    data = row.data
    if isinstance(data["tests"], list):
        data["tests"] = {"judge": [{"kind": "script", "source": _asserts(row, data["tests"])}]}
    if data.get("entry_point"):
        data["entry_point"] = _named(data["entry_point"])
    kinds = sorted(set(data["tests"]) - set(_DECIDERS))
    if len(kinds) != 1:
        row.fail("tests", f"has {' and '.join(kinds) or 'no tests'}", "Give one kind of tests.")
    if data.get("language", "python") != "python" and not {"stdio", "interactive"} & set(data["tests"]):
        row.fail("language", f"{data['language']} programs have stdio tests only", "Give `tests.stdio`.")
    for field in ("cpu_seconds", "memory_bytes"):
        if (data.get(field) or 0) > (most := getattr(CEILING, field)):
            row.fail(field, f"{data[field]} is above {most:.0f}, the most that programs get", "Give less.")
    return Task(
        id=data["id"],
        prompt=data["prompt"],
        tests=_tests(row),
        checker=_checker(row),
        wrong=tuple(data.get("wrong", ())),
        metadata=data.get("metadata", {}),
        **{field: data[field] for field in _PLAIN_FIELDS if field in data},
    )


def _told(problem: Any) -> Iterator[str]:
    """One of jsonschema's errors as sentences, one for each field in error."""
    field = problem.json_path.removeprefix("$").removeprefix(".")
    if problem.validator == "additionalProperties":
        known = problem.schema["properties"]
        for name in sorted(set(problem.instance) - set(known)):
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            yield f"field {f'{field}.{name}'.removeprefix('.')!r}: unknown; {hint}"
        return
    hint = ""
    if problem.validator == "enum":
        near = get_close_matches(str(problem.instance), problem.validator_value, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
    yield f"field {field or '(row)'!r}: {problem.message[:300]}{hint}"


def _asserts(row: Row, lines: list[str]) -> str:
    for number, line in enumerate(lines):
        try:
            parse_module(line)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            row.fail(f"tests[{number}]", f"not Python ({error})", "Give lines such as `assert f(1) == 2`.")
    return "\n".join(lines) + "\n"


def to_row(task: Task) -> dict[str, Any]:
    """The row of `task`; fields that hold their default are left out."""
    row: dict[str, Any] = {"id": task.id, "prompt": task.prompt}
    for field in _PLAIN_FIELDS:
        if (value := getattr(task, field)) != _DEFAULTS[field]:
            row[field] = value
    if task.wrong:
        row["wrong"] = list(task.wrong)
    if task.metadata:
        row["metadata"] = dict(task.metadata)
    try:
        row["tests"] = _tests_json(task.tests)
        if task.checker is not None:
            row["tests"] |= _checker_json(task)
    except CodecError as error:
        raise TaskError(f"task {task.id!r}: a test's value cannot be written: {error}.") from None
    return row


def _tests(row: Row) -> Tests:
    ((kind, tests),) = ((name, each) for name, each in row.data["tests"].items() if name not in _DECIDERS)
    match kind:
        case "interactive":
            return tuple(InteractiveTest(**test) for test in tests)
        case "call":
            return tuple(_call(row, test, f"tests.call[{number}]") for number, test in enumerate(tests))
        case "stdio":
            return tuple(StdioTest(**test) for test in tests)
        case "judge":
            return tuple(JudgeTest(**test) for test in tests)
        case _:
            found = ReferenceTests(
                function=_function(row, tests, "tests.reference"),
                inputs=tuple(
                    tuple(_decode(row, args, f"tests.reference.inputs[{number}]"))
                    for number, args in enumerate(tests["inputs"])
                ),
                compare=Compare(**tests.get("compare", {})),
            )
            if row.data.get("reference") is None:
                row.fail(
                    "reference", "missing, and tests.reference takes what it returns as right", "Give it."
                )
            return found


def _checker(row: Row) -> Checker | None:
    """The task's checker, or its interactor. Files that it includes become part of its source."""
    for kind, wanted in _DECIDERS.items():
        fields = row.data["tests"].get(kind)
        if fields is None:
            if kind == "interactor" and "interactive" in row.data["tests"]:
                row.fail(
                    "tests.interactor", "missing, and dialogues need one", "Give the interactor's source."
                )
            continue
        if not wanted & set(row.data["tests"]):
            row.fail(f"tests.{kind}", f"goes with {' or '.join(sorted(wanted))} tests only")
        language = fields.get("language", "python")
        usual = "function" if language == "python" and kind == "checker" else "testlib"
        style = fields.get("style", usual)
        if style == "function" and usual != "function":
            row.fail(f"tests.{kind}.style", "a function can be a checker in Python only", "Use testlib.")
        if "call" in row.data["tests"] and style != "function":
            row.fail("tests.checker.style", "values can be given to a function only", "Use style function.")
        return Checker(source=_included(row, kind, fields), language=language, style=style)
    return None


def _included(row: Row, kind: str, fields: Mapping[str, Any]) -> str:
    """The source, with the text of `files` in the place of the lines that include them."""
    files, seen = fields.get("files", {}), set()

    def text(found: re.Match[str]) -> str:
        name = found[1]
        if name not in files:
            remedy = f"Give its text in `tests.{kind}.files`, an object of names and texts; it is not part of coderl."
            row.fail(f"tests.{kind}.source", f"includes {name!r}, which is not given", remedy)
        if name in seen:
            return ""
        seen.add(name)
        return _INCLUDE.sub(text, str(files[name]))

    return _INCLUDE.sub(text, fields["source"]) if fields.get("language") == "cpp" else str(fields["source"])


def _checker_json(task: Task) -> dict[str, Any]:
    assert task.checker is not None
    kind = (
        "interactor"
        if isinstance(task.tests, tuple) and isinstance(task.tests[0], InteractiveTest)
        else "checker"
    )
    fields = asdict(task.checker)
    if kind == "interactor":
        del fields["style"]
    return {kind: fields}


def _call(row: Row, test: dict[str, Any], field: str) -> CallTest:
    args, kwargs = test.get("args", []), test.get("kwargs", {})
    values = _decode(row, [*args, *kwargs.values()], f"{field}.args")
    (expected,) = _decode(row, [test["expected"]], f"{field}.expected")
    return CallTest(
        function=_function(row, test, field),
        args=tuple(values[: len(args)]),
        kwargs=dict(zip(kwargs, values[len(args) :], strict=True)),
        expected=expected,
        compare=Compare(**test.get("compare", {})),
        name=test.get("name", ""),
    )


def _function(row: Row, tests: Mapping[str, Any], field: str) -> str:
    """The function under test: the test's own, else the task's entry point."""
    function = tests.get("function") or row.data.get("entry_point")
    if not function:
        row.fail(
            f"{field}.function", "missing, and the task has no entry_point", "Name the function to call."
        )
    named = _named(str(function))
    if not all(part.isidentifier() and not iskeyword(part) for part in named.split(".")):
        row.fail(
            f"{field}.function", f"{named!r} is no name that a program could define", "Name the function."
        )
    return named


def _named(function: str) -> str:
    """LeetCodeDataset writes `Solution().f` for what is `Solution.f` here: each call gets a fresh `Solution()`."""
    owner, _, method = function.rpartition(".")
    return f"{owner.removesuffix('()')}.{method}" if owner else function


def _decode(row: Row, nodes: list[Any], field: str) -> list[Any]:
    decoder = Decoder()
    try:
        return [decoder.value(_tagged(node)) for node in nodes]
    except (CodecError, RecursionError) as error:
        row.fail(field, f"not a value ({error})", "See the tags of values in docs/native-format.md.")


def _tagged(node: Any) -> Any:
    """The codec's form of a JSON value: plain objects become tagged dicts."""
    if isinstance(node, list):
        return [_tagged(item) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and TAGS.issuperset(node):
        return {tag: _tagged(content) for tag, content in node.items()}
    return {"d": [item for key, value in node.items() for item in (key, _tagged(value))]}


def _tests_json(tests: Tests) -> dict[str, Any]:
    if isinstance(tests, ReferenceTests):
        inputs = [_encode(args) for args in tests.inputs]
        return {"reference": {"function": tests.function, "inputs": inputs, **_compare_json(tests.compare)}}
    kinds = {CallTest: "call", StdioTest: "stdio", JudgeTest: "judge", InteractiveTest: "interactive"}
    return {kinds[type(tests[0])]: [_test_json(test) for test in tests]}


def _test_json(test: CallTest | StdioTest | JudgeTest | InteractiveTest) -> dict[str, Any]:
    if not isinstance(test, CallTest):
        return {name: value for name, value in asdict(test).items() if not _is_unset(name, value)}
    values = _encode([*test.args, *test.kwargs.values()])
    row: dict[str, Any] = {"function": test.function, "args": values[: len(test.args)]}
    if test.kwargs:
        row["kwargs"] = dict(zip(test.kwargs, values[len(test.args) :], strict=True))
    (row["expected"],) = _encode([test.expected])
    return {**row, **_compare_json(test.compare), **({"name": test.name} if test.name else {})}


def _is_unset(name: str, value: object) -> bool:
    return (name, value) in (("name", ""), ("rule", "lines"), ("float_tolerance", None))


def _compare_json(compare: Compare) -> dict[str, Any]:
    changed = {field.name: getattr(compare, field.name) for field in fields(Compare)}
    changed = {name: value for name, value in changed.items() if value != getattr(Compare(), name)}
    return {"compare": changed} if changed else {}


def _encode(values: Iterable[object]) -> list[Any]:
    encoder = Encoder(foreign=_refuse)
    return [encoder.node(value) for value in values]


def _refuse(encoder: Encoder, value: object, depth: int) -> NoReturn:
    raise CodecError(f"a {type(value).__name__} is not a plain value")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((files("tasks") / "task.schema.json").read_text("utf-8")))
