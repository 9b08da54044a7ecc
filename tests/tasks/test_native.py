"""The native format: what is written is read back, what is malformed is named."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from coderl.cli import app
from sandbox.daemon.schema import JobModel
from sandbox.inside.candidate.languages import LANGUAGES
from sandbox.protocol import CEILING
from tasks import native
from tasks.datasets import load
from tasks.errors import TaskError
from tasks.types import (
    CallTest,
    Checker,
    Compare,
    InteractiveTest,
    JudgeTest,
    OutputRule,
    ReferenceTests,
    StdioTest,
    Task,
)

SCHEMA = json.loads((Path(native.__file__).parent / "task.schema.json").read_text())

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**64, max_value=2**200),
    st.floats(),
    st.complex_numbers(allow_nan=False),
    text,
    st.binary(max_size=9),
    st.sampled_from([int, str, ValueError, ..., range(3, 9, 2)]),
)
hashables = st.one_of(st.integers(), text, st.tuples(st.integers(), text), st.frozensets(st.integers()))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
        st.binary(max_size=5).map(bytearray),
    ),
    max_leaves=12,
)
names = st.text("abc", min_size=1, max_size=5)
compares = st.builds(
    Compare,
    kind=st.sampled_from(["equal", "close", "json", "truth", "is", "evalplus"]),
    atol=st.floats(0, 1),
    rtol=st.floats(0, 1),
    note=text,
)
call_tests = st.builds(
    CallTest,
    function=names,
    args=st.lists(values, max_size=3).map(tuple),
    kwargs=st.dictionaries(names, values, max_size=2),
    expected=values,
    compare=compares,
    name=text,
)
stdio_tests = st.builds(
    StdioTest, stdin=text, stdout=text, float_tolerance=st.none() | st.floats(0, 1), name=text
)
judge_tests = st.builds(
    JudgeTest,
    kind=st.sampled_from(["script", "check", "unittest", "pytest"]),
    source=st.text("xy\n", min_size=1),
    name=text,
)
inputs = st.lists(st.lists(values, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
tasks = st.builds(
    Task,
    id=names,
    prompt=text,
    tests=st.one_of(
        st.lists(call_tests, min_size=1, max_size=3).map(tuple),
        st.lists(stdio_tests, min_size=1, max_size=3).map(tuple),
        st.lists(judge_tests, min_size=1, max_size=2).map(tuple),
        st.builds(ReferenceTests, function=names, inputs=inputs, compare=compares),
    ),
    style=st.sampled_from(["complete", "instruct"]),
    entry_point=st.none() | names,
    context=text,
    reference=st.none() | text,
    wrong=st.lists(text, max_size=2).map(tuple),
    source=text,
    level=text,
    cpu_seconds=st.none() | st.floats(0.1, CEILING.cpu_seconds),
    memory_bytes=st.none() | st.integers(1, CEILING.memory_bytes),
    metadata=st.dictionaries(text, text, max_size=2),
).filter(lambda task: task.reference is not None or not isinstance(task.tests, ReferenceTests))


def row(**changes: object) -> dict[str, Any]:
    return {
        "id": "add",
        "prompt": "Add.",
        "entry_point": "add",
        "tests": {"call": [{"args": [1, 2], "expected": 3}]},
        **changes,
    }


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def load_one(path: Path, **changes: object) -> Task:
    (task,) = native.load(write(path / "t.jsonl", row(**changes)))
    return task


def load_value(path: Path, node: object) -> object:
    task = load_one(path, tests={"call": [{"expected": node}]})
    assert isinstance(task.tests, tuple) and isinstance(task.tests[0], CallTest)
    return task.tests[0].expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.lists(tasks, min_size=1, max_size=3, unique_by=lambda task: task.id))
def test_what_is_dumped_is_loaded(tmp_path: Path, written: list[Task]) -> None:
    path = tmp_path / "tasks.jsonl"
    native.dump(written, path)
    read = native.load(path)
    assert list(map(canonical, read)) == list(map(canonical, written))
    assert len(path.read_text().splitlines()) == len(written)


def canonical(value: object) -> object:
    """Equal for equal values of equal types (`1 == 1.0 == True`; nan is not itself; sets have no order)."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else repr(value))
    if isinstance(value, (set, frozenset)):
        return (type(value), frozenset(map(canonical, value)))
    if isinstance(value, dict):
        return ("dict", tuple((canonical(k), canonical(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value), tuple(map(canonical, value)))
    if hasattr(value, "__dataclass_fields__"):
        return (type(value), tuple(canonical(getattr(value, f)) for f in value.__dataclass_fields__))
    if isinstance(value, (bytearray, complex)):
        return (type(value), repr(value))
    return (type(value), value)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"t": [1, [2]]}, (1, [2])),
        ({"set": [1, 2]}, {1, 2}),
        ({"d": [1, "one", {"t": [2]}, "two"]}, {1: "one", (2,): "two"}),
        ({"a": 1, "b": {"t": []}}, {"a": 1, "b": ()}),
        ({"only": {"x": 1, "y": 2}}, {"only": {"x": 1, "y": 2}}),
        ({}, {}),
        ({"t": [1], "d": []}, {"t": [1], "d": []}),  # two keys: a dict, not a tag
        ({"d": ["set", 1]}, {"set": 1}),
        ({"float": "inf"}, math.inf),
        ({"complex": [0.0, 1.0]}, 1j),
        ({"bytes": "aGk="}, b"hi"),
        ({"int": "0x10000000000000000"}, 2**64),
        ({"range": [0, 5, 1]}, range(5)),
        ({"type": "int"}, int),
        ({"ellipsis": 0}, ...),
        ({"str": "7aCA"}, "\ud800"),
        ({"opaque": ["a", "b"]}, {"opaque": ["a", "b"]}),  # not a tag of this format
    ],
)
def test_values_are_json_with_tags(tmp_path: Path, node: object, value: object) -> None:
    assert canonical(load_value(tmp_path, node)) == canonical(value)


def test_arguments_keep_their_aliases(tmp_path: Path) -> None:
    shared = [1]
    task = Task(id="a", prompt="", tests=(CallTest(function="f", args=(shared, shared), expected=None),))
    native.dump([task], tmp_path / "t.jsonl")
    (read,) = native.load(tmp_path / "t.jsonl")
    assert isinstance(read.tests, tuple) and isinstance(read.tests[0], CallTest)
    assert read.tests[0].args[0] is read.tests[0].args[1]


def test_the_language_survives(tmp_path: Path) -> None:
    task = Task(id="a", prompt="", tests=(StdioTest(stdin="", stdout=""),), language="cpp")
    native.dump([task], tmp_path / "t.jsonl")
    assert native.load(tmp_path / "t.jsonl") == [task]


def test_the_entry_point_is_the_function_by_default(tmp_path: Path) -> None:
    tests = load_one(tmp_path).tests
    assert isinstance(tests, tuple) and tests == (CallTest(function="add", args=(1, 2), expected=3),)
    reference = load_one(tmp_path, tests={"reference": {"inputs": [[1]]}}, reference="add = max").tests
    assert reference == ReferenceTests(function="add", inputs=((1,),))


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"id": 7}, "id", "not of type 'string'"),
        ({"id": ""}, "id", "non-empty"),
        ({"promt": "x"}, "promt", "unknown; did you mean 'prompt'"),
        ({"colour": "x"}, "colour", "unknown; known are id, prompt, style"),
        ({"tests": ["assert add(1, 2) == 3", "assert add("]}, "tests[1]", "not Python"),
        ({"tests": []}, "tests", "non-empty|too short"),
        ({"tests": ["assert True", 3]}, "tests[1]", "not of type 'string'"),
        ({"tests": {}}, "tests", "enough properties|non-empty"),
        ({"tests": {"call": []}}, "tests.call", "non-empty|too short"),
        ({"tests": {"calls": [1]}}, "tests.calls", "unknown; did you mean 'call'"),
        ({"tests": {"call": [{"args": []}]}}, "tests.call[0]", "'expected' is a required property"),
        ({"tests": {"stdio": [{"stdin": ""}]}}, "tests.stdio[0]", "'stdout' is a required property"),
        ({"tests": {"judge": [{"kind": "x", "source": "y"}]}}, "tests.judge[0].kind", "not one of"),
        ({"tests": {"judge": [{"kind": "pytst", "source": "y"}]}}, "tests.judge[0].kind", "mean 'pytest'"),
        ({"cpu_seconds": 0}, "cpu_seconds", "exclusive minimum|less than or equal"),
        ({"metadata": {"a": 1}}, "metadata.a", "not of type 'string'"),
        ({"tests": {"call": [{"expected": {"set": [[]]}}]}}, "tests.call[0].expected", "not a value"),
        ({"tests": {"call": [{"expected": {"t": 1}}]}}, "tests.call[0].expected", "not a value"),
        ({"tests": {"call": [{"args": [{"ref": 5}], "expected": 1}]}}, "tests.call[0].args", "not a value"),
        (
            {"tests": {"reference": {"inputs": [[1], [{"float": "x"}]]}}},
            "tests.reference.inputs[1]",
            "not a value",
        ),
        ({"language": "cobol"}, "language", "not one of"),
        ({"language": "cpp"}, "language", "stdio tests only"),
        ({"entry_point": None}, "tests.call[0].function", "the task has no entry_point"),
        ({"entry_point": "add two"}, "tests.call[0].function", "no name that a program could define"),
        ({"entry_point": "Solution.class"}, "tests.call[0].function", "no name that a program could define"),
        ({"tests": {"reference": {"inputs": [[1]]}}, "reference": None}, "reference", "missing"),
    ],
)
def test_a_malformed_row_is_left_out_and_named_by_file_line_and_field(
    tmp_path: Path, changes: dict[str, object], field: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "t.jsonl", row(), row(**{"id": "b", **changes}), row(id="c"))
    assert [task.id for task in native.load(path)] == ["add", "c"]
    printed = capsys.readouterr().err
    assert "left out 1 row: cannot be read" in printed
    assert f"{path}, line 2: field {field!r}: " in printed and re.search(problem, printed)


def test_a_deep_value_is_a_task_error_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    line = json.dumps(row(id="deep")).replace("[1, 2]", "[" * 900 + "]" * 900)
    path.write_text(line + "\n")
    with pytest.raises(TaskError, match=r"line 1: "):
        native.load(path)


def test_what_is_not_plain_is_not_dumped(tmp_path: Path) -> None:
    task = Task(id="a", prompt="", tests=(CallTest(function="f", args=(object(),), expected=None),))
    with pytest.raises(TaskError, match="task 'a': .*a object is not a plain value"):
        native.dump([task], tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("humanevl=x.jsonl", "unknown dataset 'humanevl'"),
        ("humaneval=", "names no file"),
        ("x.jsonl", "no such file"),
    ],
)
def test_a_spec_that_names_nothing_says_what_is_wrong(spec: str, problem: str) -> None:
    with pytest.raises(TaskError, match=problem):
        load(spec)


def test_load_by_spec_and_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", row(), row(id="b"))
    assert load(str(path), split="train") == native.load(path)
    assert [task.id for task in load(str(path), limit=1)] == ["add"]


CPP = '#include <cstdio>\n#  include "testlib.h"\nint main() { return ok; }'


def test_checkers_and_interactors_are_read_and_written(tmp_path: Path) -> None:
    stdio, source = [{"stdin": "1", "stdout": "2"}], "def check(i, o, a): return True"
    library = {"testlib.h": '#include "other.h"\n#include "testlib.h"\nint ok;', "other.h": "// other"}
    rows = [
        row(tests={"stdio": stdio, "checker": {"source": source}}),
        row(id="b", tests={"call": [{"expected": 1}], "checker": {"source": source}}),
        row(id="c", tests={"stdio": stdio, "checker": {"source": CPP, "language": "cpp", "files": library}}),
        row(id="d", tests={"stdio": stdio, "checker": {"source": "exit(0)", "style": "printed"}}),
        row(id="e", tests={"interactive": [{"input": "7"}], "interactor": {"source": "input()"}}),
    ]
    tasks = native.load(write(tmp_path / "t.jsonl", *rows))
    assert [task.checker and (task.checker.language, task.checker.style) for task in tasks] == [
        *(("python", "function"), ("python", "function"), ("cpp", "testlib")),
        *(("python", "printed"), ("python", "testlib")),
    ]
    assert tasks[2].checker is not None
    assert tasks[2].checker.source == "#include <cstdio>\n// other\n\nint ok;\nint main() { return ok; }"
    assert tasks[2].languages == {"python", "cpp"} and tasks[4].tests == (InteractiveTest(input="7"),)
    native.dump(tasks, tmp_path / "again.jsonl")
    assert native.load(tmp_path / "again.jsonl") == tasks


@pytest.mark.parametrize(
    ("tests", "field", "problem"),
    [
        ({"stdio": [{"stdin": "", "stdout": ""}], "call": [{"expected": 1}]}, "tests", "call and stdio"),
        ({"checker": {"source": "x"}}, "tests", "no tests"),
        (
            {"judge": [{"kind": "script", "source": "x"}], "checker": {"source": "x"}},
            "tests.checker",
            "goes with",
        ),
        ({"interactive": [{"input": ""}]}, "tests.interactor", "dialogues need one"),
        (
            {"call": [{"expected": 1}], "checker": {"source": "x", "style": "testlib"}},
            "tests.checker.style",
            "func",
        ),
        (
            {"stdio": [{"stdin": "", "stdout": ""}], "checker": {"source": CPP, "language": "cpp"}},
            "tests.checker.source",
            "'testlib.h', which is not given. Give its text in `tests.checker.files`",
        ),
    ],
)
def test_a_decider_that_cannot_be_is_refused(
    tmp_path: Path, tests: dict[str, Any], field: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    native.load(write(tmp_path / "t.jsonl", row(), row(id="b", tests=tests)))
    said = capsys.readouterr().err
    assert f"field {field!r}: " in said and problem in said


def test_the_schema_follows_the_types() -> None:
    def fields(kind: type) -> set[str]:
        return set(kind.__dataclass_fields__)  # type: ignore[attr-defined]

    defs = SCHEMA["$defs"]
    assert set(SCHEMA["properties"]) == fields(Task) - {
        "checker",
        "trust",
    }  # among the tests; found, not stated
    assert set(defs["checker"]["properties"]) == fields(Checker) | {"files"}
    assert set(defs["interactor"]["properties"]) == fields(Checker) - {"style"} | {"files"}
    kinds = {"call": CallTest, "stdio": StdioTest, "judge": JudgeTest, "interactive": InteractiveTest}
    for name, kind in kinds.items():
        assert set(defs[name]["properties"]) == fields(kind)
    assert set(defs["reference"]["properties"]) == fields(ReferenceTests)
    assert set(defs["compare"]["properties"]) == fields(Compare)
    assert set(defs["compare"]["properties"]["kind"]["enum"]) == set(
        get_args(get_type_hints(Compare)["kind"])
    )
    assert set(defs["stdio"]["properties"]["rule"]["enum"]) == set(get_args(OutputRule))
    languages = set(SCHEMA["properties"]["language"]["enum"])
    assert languages == set(get_args(get_type_hints(Task)["language"])) == {"python", *LANGUAGES}
    assert languages == set(get_args(get_type_hints(JobModel)["language"]))
    assert set(defs["judge"]["properties"]["kind"]["enum"]) == set(
        get_args(get_type_hints(JudgeTest)["kind"])
    )
    Draft202012Validator.check_schema(SCHEMA)


EXAMPLES_FILE = Path(native.__file__).parent / "examples.jsonl"
EXAMPLES = [json.loads(line) for line in EXAMPLES_FILE.read_text().splitlines()]
PAGE = (Path(__file__).parents[2] / "docs" / "native-format.md").read_text()


def test_the_page_shows_every_example_and_these_every_kind_of_test() -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)]
    found = {each["id"] for block in shown for each in EXAMPLES if block.items() <= each.items()}
    assert found == {each["id"] for each in EXAMPLES} and len(shown) == len(EXAMPLES)
    tests = [each["tests"] for each in EXAMPLES if isinstance(each["tests"], dict)]
    assert {kind for each in tests for kind in each} == set(SCHEMA["properties"]["tests"]["properties"])
    judged = [test["kind"] for each in tests for test in each.get("judge", [])]
    assert sorted(judged) == sorted(SCHEMA["$defs"]["judge"]["properties"]["kind"]["enum"])


def test_a_file_to_begin_with_is_written_and_validates_with_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    new, again, right = (
        CliRunner().invoke(app, ["tasks", *arguments])
        for arguments in (["new", "mine.jsonl"], ["new", "mine.jsonl"], ["validate", "mine.jsonl"])
    )
    assert new.output == "mine.jsonl: change it, then coderl tasks validate mine.jsonl\n"
    assert isinstance(again.exception, TaskError) and "exists already" in str(again.exception)
    assert right.exit_code == 0, right.output
    assert f"references: {len(EXAMPLES)}/{len(EXAMPLES)} pass" in right.output
    assert "next: coderl tasks audit mine.jsonl" in right.output


def test_asserts_are_a_script(tmp_path: Path) -> None:
    task = load_one(tmp_path, tests=["xs = [1]", "assert add(xs, xs) == [1, 1]"])
    assert task.tests == (JudgeTest(kind="script", source="xs = [1]\nassert add(xs, xs) == [1, 1]\n"),)


def test_all_errors_of_a_file_are_told_at_once_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row(),
        row(id="b", promt="x", tests={"call": [{"arg": [1]}], "colour": 1}),
        {"id": "c", "entrypoint": "f"},
        row(),
    ]
    path = write(tmp_path / "t.jsonl", *rows)
    said = [
        f"{path}, line 2: field 'promt': unknown; did you mean 'prompt'?; field 'tests.colour': unknown; known are ",
        "field 'tests.call[0]': 'expected' is a required property; field 'tests.call[0].arg': unknown; did you mean 'args'?",
        f"{path}, line 3: field '(row)': 'prompt' is a required property; field '(row)': 'tests' is a required",
        "field 'entrypoint': unknown; did you mean 'entry_point'?",
        f"{path}, line 4: the id 'add' is that of {path}, line 1",
    ]
    assert [task.id for task in native.load(path)] == ["add"]
    printed = capsys.readouterr().err
    with pytest.raises(TaskError) as strict:
        native.load(path, strict=True)
    for part in said:
        assert part in printed and part in str(strict.value)
    assert "3 rows in error" in str(strict.value)


def test_real_tasks_survive(tmp_path: Path, data: Path) -> None:
    for spec in (f"mbpp={data}/mbpp/mbpp.jsonl", f"mbppplus={data}/mbppplus/MbppPlus.jsonl.gz"):
        written = load(spec)
        native.dump(written, tmp_path / "t.jsonl")
        assert native.load(tmp_path / "t.jsonl") == written


def test_an_entry_point_as_leetcode_writes_it(tmp_path: Path) -> None:
    test = {"kind": "check", "source": "def check(candidate):\n    assert candidate(1) == 2\n"}
    (task,) = native.load(
        write(tmp_path / "t.jsonl", row(entry_point="Solution().f", tests={"judge": [test]}))
    )
    assert task.entry_point == "Solution.f"
