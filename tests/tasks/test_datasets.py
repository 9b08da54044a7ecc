"""Datasets in their own shapes: real files where they are at hand, else the shapes' rows."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.protocol import Limits
from tasks.datasets import DATASETS, describe, load
from tasks.datasets.limits import PYTHON_TIME_FACTOR
from tasks.datasets.livecodebench import pickled_string, unpack
from tasks.errors import TaskError
from tasks.grading.compare import matches
from tasks.types import CallTest, JudgeTest, ReferenceTests, StdioTest, Task

STDIO = {"inputs": ["1 2\n"], "outputs": ["3\n"]}
STARTER = "class Solution:\n    def addTwo(self, a: int, b: int) -> int:\n"


def write(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def apps_row(**changes: object) -> dict[str, object]:
    row = {"problem_id": 7, "question": "Add.", "solutions": "", "starter_code": "", "difficulty": "easy"}
    return {**row, "input_output": json.dumps(STDIO), **changes}


def lcb_row(**changes: object) -> dict[str, object]:
    row = {"question_id": "q", "question_content": "Add.", "starter_code": "", "metadata": "{}"}
    cases = json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}])
    return {**row, "public_test_cases": cases, "private_test_cases": "[]", **changes}


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def calls(task: Task) -> list[tuple[str, tuple[object, ...], object]]:
    assert isinstance(task.tests, tuple)
    return [(t.function, t.args, t.expected) for t in task.tests if isinstance(t, CallTest)]


def stdins(task: Task) -> list[str]:
    assert isinstance(task.tests, tuple)
    return [t.stdin for t in task.tests if isinstance(t, StdioTest)]


# Real files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "count", "tests"),
    [
        ("humaneval", "humaneval/HumanEval.jsonl", 164, 164),
        ("humanevalpack", "humanevalpack_python/humanevalpack.jsonl", 164, 164),
        ("humanevalplus", "humanevalplus/HumanEvalPlus.jsonl.gz", 164, 124_253),
        ("humanevalplus", "humanevalplus/HumanEvalPlus-Mini.jsonl.gz", 164, 2_677),
        ("mbpp", "mbpp/mbpp.jsonl", 974, 974),
        ("mbpp", "mbpp/sanitized-mbpp.json", 427, 427),
        ("mbppplus", "mbppplus/MbppPlus.jsonl.gz", 378, 41_015),
        ("code_contests", "codecontests_test/code_contests_test165.json", 165, 1_837),
    ],
)
def test_real_files_give_all_their_tests(data: Path, name: str, file: str, count: int, tests: int) -> None:
    tasks = load(f"{name}={data / file}")
    found = [t.tests.inputs if isinstance(t.tests, ReferenceTests) else t.tests for t in tasks]
    assert (len(tasks), sum(map(len, found))) == (count, tests)
    assert len({task.id for task in tasks}) == count
    if name != "code_contests":
        assert all(task.entry_point and task.reference for task in tasks)


def test_mbpp_splits_follow_its_task_ids(data: Path) -> None:
    spec = f"mbpp={data}/mbpp/mbpp.jsonl"
    sizes = {split: len(load(spec, split=split)) for split in ("train", "held-out", "validation", "prompt")}
    assert sizes == {"train": 374, "held-out": 500, "validation": 90, "prompt": 10}


def test_evalplus_inputs_have_the_types_that_json_cannot_write(data: Path) -> None:
    tasks = {task.id: task for task in load(f"mbppplus={data}/mbppplus/MbppPlus.jsonl.gz")}

    def first(number: int) -> tuple[object, ...]:
        tests = tasks[f"Mbpp/{number}"].tests
        assert isinstance(tests, ReferenceTests)
        return tests.inputs[0]

    assert first(2) == ((3, 4, 5, 6), (5, 7, 4, 10))
    assert first(63) == ([(3, 5), (1, 7), (10, 3), (1, 2)],)
    assert first(106) == ([5, 6, 7], (9, 10))
    assert first(252) == (1 + 0j,) and type(first(252)[0]) is complex
    assert [type(value) for value in first(124)] == [float, complex]
    assert first(259) == (((1, 3), (4, 5), (2, 9), (1, 10)), ((6, 7), (3, 9), (1, 1), (7, 3)))
    assert first(580) == ((4, 5, (7, 6, (2, 4)), 6, 8),)


def test_evalplus_writes_an_empty_set_as_an_empty_dict(data: Path, tmp_path: Path) -> None:
    with gzip.open(data / "mbppplus/MbppPlus.jsonl.gz", "rt") as file:
        row = json.loads(next(file))
    row |= {"task_id": "Mbpp/115", "base_input": [[[[1, 2], []]]], "plus_input": {}}
    (task,) = load(f"mbppplus={write(tmp_path, row)}")
    assert isinstance(task.tests, ReferenceTests) and task.tests.inputs == (([{1, 2}, {}],),)
    with pytest.raises(TaskError, match=r"line 1: field 'plus_input': input 0 does not fit"):
        load(f"mbppplus={write(tmp_path, {**row, 'plus_input': [[3]]})}")


def test_humaneval_helpers_are_context_and_bugs_are_wrong_programs(data: Path) -> None:
    tasks = {task.id: task for task in load(f"humaneval={data}/humaneval/HumanEval.jsonl")}
    assert "def encode_cyclic" in tasks["HumanEval/38"].context
    assert "def decode_cyclic" not in tasks["HumanEval/38"].context
    assert tasks["HumanEval/0"].context == "from typing import List\n\n\n"
    pack = load(f"humanevalpack={data}/humanevalpack_python/humanevalpack.jsonl")
    assert all(task.wrong and task.wrong[0] != task.reference for task in pack)
    assert all(task.metadata["bug_type"] for task in pack)


SHAPES = {
    "acecode_87k": ("acecode", ["oss_0"]),
    "apps": ("apps", ["0", "1"]),
    "bigcodebench": ("bigcodebench", ["BigCodeBench/0"]),
    "code_contests": ("code_contests", ["1_A. Sum"]),
    "deepcoder_preview": ("deepcoder", [f"deepcoder/{n}" for n in range(4)]),
    "humanevalplus_hub": ("humanevalplus", ["HumanEval/0"]),
    "kodcode_v1": ("kodcode", ["Prefill_00000000_I"]),
    "livecodebench_lite": ("livecodebench", ["abc000_a", "0000"]),
    "mbppplus_hub": ("mbppplus", ["2"]),
    "openr1_verifiable_coding_python": ("openr1", ["vcp_0"]),
    "primeintellect_verifiable_coding": ("primeintellect", ["vcp_0", "vcp_1"]),
    "synthetic2": ("synthetic2", ["s2_0"]),
    "taco": ("taco", ["taco/0", "taco/1"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_hub_shapes_load_and_say_what_their_rows_say(data: Path, shape: str) -> None:
    name, ids = SHAPES[shape]
    tasks = load(f"{name}={data}/hub_shapes/{shape}.jsonl")
    assert [task.id for task in tasks] == ids
    for task in tasks:  # every row of these shapes asks for the sum of two integers
        if isinstance(task.tests, tuple) and isinstance(task.tests[0], StdioTest):
            pairs = [(t.stdin, t.stdout) for t in task.tests if isinstance(t, StdioTest)]
            assert all(sum(map(int, stdin.split())) == int(stdout) for stdin, stdout in pairs)
        elif isinstance(task.tests, tuple) and isinstance(task.tests[0], CallTest):
            tests = [test for test in task.tests if isinstance(test, CallTest)]
            assert all(matches(sum(t.args), t.expected, t.compare) for t in tests)  # type: ignore[arg-type]
            assert not any(matches(sum(t.args) + 1, t.expected, t.compare) for t in tests)  # type: ignore[arg-type]
        else:
            assert task.entry_point in ("add_two", "task_func")
        if task.reference:
            compile(task.reference, "reference", "exec")


def test_every_shape_of_the_hub_has_a_parser(data: Path) -> None:
    assert {path.stem for path in (data / "hub_shapes").glob("*.jsonl")} == set(SHAPES)
    whole, made = (
        {"humaneval", "mbpp", "humanevalpack"},
        {"codeforces", "leetcode"},
    )  # made: in files of their own
    assert {name for name, _ in SHAPES.values()} | whole | made == set(DATASETS)


# Spellings of tests ---------------------------------------------------------------------------------


def test_lines_text_and_literals_are_the_same_tests(tmp_path: Path) -> None:
    as_lines = {"inputs": [["1", "2"]], "outputs": [["3"]]}
    as_literal = "{'inputs': ['1\\n2'], 'outputs': ['3']}"
    rows = [
        apps_row(problem_id=n, input_output=io) for n, io in enumerate([json.dumps(as_lines), as_literal])
    ]
    first, second = load(f"apps={write(tmp_path, *rows)}")
    assert first.tests == second.tests == (StdioTest(stdin="1\n2", stdout="3", rule="apps"),)


@pytest.mark.parametrize(
    ("outputs", "right", "wrong"),
    [
        ([[3], [5]], [(3, 5), ([3], [5])], [(3, 6), ([3, 3], [5, 5]), (None, None), ([[3]], [[5]])]),
        ([3, 5], [(3, 5)], [([3], [5])]),
        ([[3, 4], [5]], [([3, 4], [5])], [([3, 4], 5), (3, 5)]),  # lists of their own
        ([[[1]], [[2]]], [([1], [2]), ([[1]], [[2]])], [(1, 2)]),
        ([[{"1": 2}], [{"-3": 4}]], [({1: 2}, {-3: 4}), ({"1": 2}, {"-3": 4})], [({1: 2}, {3: 4})]),
        ([[{"1": {"2": 3}}], [0]], [({1: {2: 3}}, 0), ({"1": {2: 3}}, 0)], [({1: {2: 4}}, 0)]),
        ([[["12"]], [["ab"]]], [(["12"], ["ab"])], [([12], ["ab"]), ("12", "ab")]),
        ([["12"], ["ab"]], [("12", "ab")], [(12, "ab")]),  # strings of JSON stay strings
    ],
)
def test_outputs_of_apps_may_be_wrapped_and_have_int_keys(
    tmp_path: Path, outputs: object, right: list[tuple[object, object]], wrong: list[tuple[object, object]]
) -> None:
    io = {"fn_name": "g", "inputs": [[1], [2]], "outputs": outputs}
    (task,) = load(f"apps={write(tmp_path, apps_row(input_output=json.dumps(io)))}")

    def passes(values: tuple[object, object]) -> bool:
        assert isinstance(task.tests, tuple)
        pairs = zip(values, task.tests, strict=True)
        return all(isinstance(t, CallTest) and matches(v, t.expected, t.compare) for v, t in pairs)

    assert all(map(passes, right)) and not any(map(passes, wrong))


def test_a_returned_tuple_equals_the_list_that_json_has(tmp_path: Path) -> None:
    io = {"fn_name": "g", "inputs": [[1], [2]], "outputs": [[[1, [2, {"a": [3]}]]], [[1, []]]]}
    (task,) = load(f"apps={write(tmp_path, apps_row(input_output=json.dumps(io)))}")
    assert isinstance(task.tests, tuple) and isinstance(task.tests[0], CallTest)
    test = task.tests[0]
    for right in ([1, [2, {"a": [3]}]], (1, (2, {"a": (3,)})), [True, (2.0, {"a": [3]})]):
        assert matches(right, test.expected, test.compare)
    for wrong in (
        [1, [2, {"a": [4]}]],
        (1, (2, {"b": [3]})),
        (1,),
        {1},
        "x",
        None,
        (1, (2, {"a": 3, "b": 1})),
    ):
        assert not matches(wrong, test.expected, test.compare)


@pytest.mark.parametrize("starter", ["", STARTER, "def addTwo(a, b):\n"])
def test_a_call_is_of_a_method_or_of_a_function_as_the_program_likes(tmp_path: Path, starter: str) -> None:
    io = json.dumps({"fn_name": "addTwo", "inputs": [[1, 2]], "outputs": [[3]]})
    solution = json.dumps([STARTER + "        return a + b\n"])
    (task,) = load(
        f"apps={write(tmp_path, apps_row(input_output=io, starter_code=starter, solutions=solution))}"
    )
    assert task.entry_point == "Solution.addTwo"  # or the plain function: sandbox/protocol.py, `Call`
    assert starter.rstrip() in task.prompt
    namespace: dict[str, Any] = {}
    exec(task.prelude, namespace)
    exec(task.reference or "", namespace)  # our own text
    assert namespace["Solution"]().addTwo(1, 2) == 3 and namespace["inf"] == float("inf")


def test_functional_text_cases_hold_one_argument_a_line(tmp_path: Path) -> None:
    case = {"input": '[1, 2]\n"x"\n{"a": true}', "output": "[null]", "testtype": "functional"}
    row = lcb_row(public_test_cases=json.dumps([case]), metadata='{"func_name": "g"}', starter_code=STARTER)
    (task,) = load(f"livecodebench={write(tmp_path, row)}")
    assert calls(task)[0][:2] == ("Solution.g", ([1, 2], "x", {"a": True}))


def test_limits_are_read_and_memory_is_floored(data: Path, tmp_path: Path) -> None:
    (task,) = load(f"code_contests={data}/hub_shapes/code_contests.jsonl")
    assert (task.cpu_seconds, task.memory_bytes) == (2.0 * PYTHON_TIME_FACTOR, 256 * 2**20)
    row = json.loads((data / "hub_shapes/taco.jsonl").read_text().splitlines()[0])
    rows = [
        {**row, "time_limit": "1.5 seconds", "memory_limit": "1024.0 megabytes"},
        {**row, "time_limit": None, "memory_limit": None},
        {**row, "time_limit": "0.5 seconds"},
    ]
    some, none, short = load(f"taco={write(tmp_path, *rows)}")
    assert (some.cpu_seconds, some.memory_bytes) == (1.5 * PYTHON_TIME_FACTOR, 1_024_000_000)
    assert (none.cpu_seconds, none.memory_bytes) == (None, None)
    assert short.cpu_seconds == Limits().cpu_seconds  # never below what a task without a limit has
    (lcb,) = load(f"livecodebench={write(tmp_path, lcb_row())}")
    assert lcb.cpu_seconds == 6  # stated for Python: not scaled


def test_only_python_solutions_are_references(data: Path, tmp_path: Path) -> None:
    row = json.loads((data / "hub_shapes/code_contests.jsonl").read_text())
    row["solutions"] = {"language": [2, 1], "solution": ["int main(){}", "print raw_input()"]}
    (task,) = load(f"code_contests={write(tmp_path, row)}")
    assert task.reference is None


def test_acecode_without_solution_has_asserts_all_the_same(tmp_path: Path) -> None:
    row = {"id": "x", "source": "oss", "question": "Add.", "test_cases": ["assert add(1, 2) == 3"]}
    (task,) = load(f"acecode={write(tmp_path, row)}")
    assert task.tests == (JudgeTest(kind="script", source="assert add(1, 2) == 3\n"),)
    assert task.reference is None


# LiveCodeBench's pickles ----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("text", ["", "[]", "é\n\\ud" + "x" * 300, "y" * 70_000])
def test_pickled_strings_of_every_protocol_are_read(protocol: int, text: str) -> None:
    assert pickled_string(pickle.dumps(text, protocol)) == text


class Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return sys.exit, ("unpickled!",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Evil()),
        pickle.dumps(["x"]),
        pickle.dumps(b"x"),
        pickle.dumps(("x", Evil())),
        pickle.dumps("x")[:-1],
        pickle.dumps("x")[:-1] + pickle.dumps(Evil())[2:],
        b"",
        b".",
        b"\x80\x04\x8c\xffab.",
        b"\xff\xff",
    ],
)
def test_other_pickles_are_refused_unrun(data: bytes) -> None:
    with pytest.raises(ValueError):
        pickled_string(data)


def test_private_tests_join_the_public_ones(tmp_path: Path) -> None:
    hidden = json.dumps([{"input": "5 5\n", "output": "10\n", "testtype": "stdin"}])
    for private in (hidden, packed(pickle.dumps(hidden))):
        (task,) = load(f"livecodebench={write(tmp_path, lcb_row(private_test_cases=private))}")
        assert stdins(task) == ["1 2\n", "5 5\n"]


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.datasets.livecodebench.MAX_UNZIPPED_BYTES", 1000)
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        unpack(packed(pickle.dumps("a" * 10_000)))


# What is left out, what is refused ------------------------------------------------------------------


def test_rows_that_give_no_task_are_counted_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [apps_row(), apps_row(problem_id=8, input_output=""), apps_row(problem_id=9, input_output="")]
    assert len(load(f"apps={write(tmp_path, *rows, apps_row())}")) == 1
    printed = capsys.readouterr().err
    assert "apps: left out 2 rows: no tests" in printed
    assert "apps: left out 1 row: an earlier row has the same id" in printed


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ({"question": None}, "question", "missing"),
        ({"problem_id": None}, "problem_id", "missing"),
        ({"problem_id": True}, "problem_id", "expected a string or an int"),
        ({"input_output": "{'inputs': open('x')}"}, "input_output", "neither JSON nor a Python literal"),
        ({"input_output": "[1]"}, "input_output", "expected an object"),
        ({"input_output": '{"inputs": ["1"], "outputs": []}'}, "input_output", "1 inputs, but 0 outputs"),
        ({"input_output": '{"inputs": [{}], "outputs": [""]}'}, "input_output", "expected text or a list"),
        ({"solutions": "{}1"}, "solutions", "neither JSON nor a Python literal"),
    ],
)
def test_a_malformed_row_is_left_out_and_named_by_file_line_and_field(
    tmp_path: Path, row: dict[str, object], field: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, apps_row(), {**apps_row(problem_id=8), **row}, apps_row(problem_id=9))
    assert [task.id for task in load(f"apps={path}")] == ["7", "9"]
    printed = capsys.readouterr().err
    assert "apps: left out 1 row: cannot be read" in printed
    assert f"{path}, line 2: field {field!r}: " in printed and problem in printed
    assert "Fix or remove this row" in printed


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b"{oops\n{}\n", "line 1: not JSON"),
        ("a.jsonl", b"{}\n{oops\n", "line 1: field 'problem_id': missing"),
        ("a.jsonl", b"[1]", "item 1: expected an object, got a number"),
        ("a.jsonl", b"7\n", "line 1: expected an object"),
        ("a.json", b"[{}", "item 1: field 'problem_id': missing"),
        ("a.json", b"[{", "item 1: not JSON"),
        ("a.jsonl", b"", "no problems found"),
        ("a.jsonl", b"\xff\xfe{}", "line 1: not UTF-8 text"),
        ("a.gz", gzip.compress(b"{}" * 999, mtime=0)[:-9], "damaged or cut off"),
        ("a.jsonl", b"[" * 200_000, "item 1: not JSON"),
    ],
)
def test_a_file_without_a_row_that_can_be_read_is_a_task_error(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TaskError) as error:
        load(f"apps={path}")
    assert problem in str(error.value)


def test_gzip_json_array_and_lines_are_the_same(tmp_path: Path) -> None:
    rows = [apps_row(problem_id=n) for n in range(3)]
    array, zipped = tmp_path / "a.json", tmp_path / "a.gz"
    array.write_text(json.dumps(rows, indent=1))
    zipped.write_bytes(gzip.compress(write(tmp_path, *rows).read_bytes()))
    assert load(f"apps={array}") == load(f"apps={zipped}") == load(f"apps={tmp_path / 'rows.jsonl'}")
    assert [task.id for task in load(f"apps={array}", limit=2)] == ["0", "1"]


def test_unknown_names_suggest_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Did you mean 'humaneval'"):
        load("humanevl")
    with pytest.raises(TaskError, match="no such file"):
        load(str(tmp_path / "none.jsonl"))
    with pytest.raises(TaskError, match="no such file"):
        load(f"apps={tmp_path / 'none.jsonl'}")
    with pytest.raises(TaskError, match="known: builtin:"):
        load("builtin:nonsense")
    with pytest.raises(TaskError, match="has no split 'test'"):
        load(f"apps={write(tmp_path, apps_row())}", split="test")


# The hub --------------------------------------------------------------------------------------------


def fake_hub(monkeypatch: pytest.MonkeyPatch, load_dataset: Callable[..., object]) -> None:
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))


def test_hub_rows_take_the_path_of_local_ones(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    asked: list[object] = []

    def load_dataset(repo: str, config: str | None, *, split: str) -> list[dict[str, object]]:
        asked.append((repo, config, split))
        return [json.loads((data / "hub_shapes/humanevalplus_hub.jsonl").read_text())]

    fake_hub(monkeypatch, load_dataset)
    assert load("humanevalplus") == load(f"humanevalplus={data}/hub_shapes/humanevalplus_hub.jsonl")
    assert asked == [("evalplus/humanevalplus", None, "test")]


def test_configurations_without_the_split_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(repo: str, config: str, *, split: str) -> list[dict[str, object]]:
        if (
            config
            not in {"train": ("primeintellect", "taco", "lcbv5"), "test": ("lcbv5", "codeforces")}[split]
        ):
            raise ValueError("Unknown split")
        return [{"problem": config, "tests": json.dumps(STDIO), "solutions": None}]

    fake_hub(monkeypatch, load_dataset)
    held_out = load("deepcoder", split="held-out")
    assert [(task.id, task.metadata["config"]) for task in held_out] == [
        ("deepcoder/0", "lcbv5"),
        ("deepcoder/1", "codeforces"),
    ]
    assert len(load("deepcoder")) == 3


def test_without_the_hub_the_error_names_the_local_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> object:
        raise ConnectionError("no route")

    fake_hub(monkeypatch, unreachable)
    with pytest.raises(TaskError, match=r"ConnectionError: no route.*kodcode=FILE"):
        load("kodcode")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskError, match=r"`datasets` is not installed.*kodcode=FILE"):
        load("kodcode")


def test_what_is_known_by_name_is_described() -> None:
    assert [d.name for d in describe()] == ["builtin:LEVEL", *DATASETS]
    readme = (Path(__file__).parents[2] / "tasks/README.md").read_text()
    for entry in describe()[1:]:
        assert f"| {entry.name} | {entry.hub}" in readme
