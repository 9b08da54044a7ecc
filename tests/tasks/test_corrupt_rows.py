"""A row that cannot be read is left out, counted and named; it takes no other row along."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tasks.datasets import load
from tasks.errors import TaskError
from tasks.rows import MAX_NAMED
from tasks.types import StdioTest

REFERENCE = {"prompt": "def f(x):\n", "entry_point": "f", "canonical_solution": "    return x\n", "atol": 0}
CASE = {"input": "1\n", "output": "1\n"}
GOOD: dict[str, dict[str, Any]] = {
    "humaneval": {
        "task_id": "1",
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "canonical_solution": "    return x\n",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    },
    "humanevalpack": {
        "task_id": "1",
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "canonical_solution": "    return x\n",
        "buggy_solution": "    return 0\n",
        "test": "assert f(1) == 1\n",
    },
    "humanevalplus": {"task_id": "1", **REFERENCE, "base_input": [[1]], "plus_input": [[2]]},
    "mbpp": {"task_id": 1, "text": "q", "code": "def f(x): return x\n", "test_list": ["assert f(1) == 1"]},
    "mbppplus": {"task_id": "Mbpp/1", **REFERENCE, "base_input": [[1]], "plus_input": [[2]]},
    "apps": {
        "problem_id": 1,
        "question": "q",
        "solutions": "[]",
        "starter_code": "",
        "difficulty": "x",
        "input_output": json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]}),
    },
    "taco": {
        "question": "q",
        "solutions": "[]",
        "starter_code": "",
        "difficulty": "x",
        "time_limit": "1.0 seconds",
        "memory_limit": "256.0 megabytes",
        "input_output": json.dumps({"inputs": [[1]], "outputs": [[1]], "fn_name": "f"}),
    },
    "code_contests": {
        "name": "1_A",
        "description": "q",
        "public_tests": {"input": ["1\n"], "output": ["1\n"]},
        "private_tests": {"input": [], "output": []},
        "generated_tests": {"input": [], "output": []},
        "solutions": {"language": [3], "solution": ["print(1)"]},
        "time_limit": {"seconds": 1, "nanos": 0},
        "memory_limit_bytes": 1,
        "input_file": "",
        "output_file": "",
    },
    "codeforces": {
        "id": "1/A",
        "title": "t",
        "rating": 800,
        "time_limit": 1.0,
        "memory_limit": 256.0,
        "description": "q",
        "input_format": "i",
        "output_format": "o",
        "note": None,
        "interaction_format": None,
        "input_mode": "stdio",
        "executable": True,
        "examples": [CASE],
        "official_tests": [CASE],
        "official_tests_complete": True,
        "generated_checker": "print(1)",
    },
    "livecodebench": {
        "question_id": "1",
        "question_content": "q",
        "starter_code": "",
        "difficulty": "easy",
        "metadata": json.dumps({"func_name": "f"}),
        "public_test_cases": json.dumps([{"input": "1", "output": "1", "testtype": "functional"}]),
        "private_test_cases": "[]",
    },
    "deepcoder": {
        "problem": "q",
        "tests": json.dumps([{**CASE, "type": "stdin_stdout"}]),
        "solutions": ["print(1)"],
        "starter_code": "",
        "metadata": {},
        "_config": "primeintellect",
    },
    "kodcode": {
        "question_id": "1",
        "question": "q",
        "solution": "def f(x): return x\n",
        "test": "from solution import f\ndef test(): assert f(1) == 1\n",
        "test_info": [{"function_name": "f", "function_declaration": "def f(x):"}],
        "gpt_difficulty": "easy",
    },
    "primeintellect": {
        "problem_id": "1",
        "prompt": "q",
        "gold_standard_solution": "",
        "verification_info": {"language": "python", "test_cases": [{**CASE, "type": "stdin_stdout"}]},
        "metadata": {"time_limit": None},
    },
    "openr1": {
        "problem_id": "1",
        "problem_statement": "q",
        "gold_standard_solution": "",
        "verification_info": {"language": "python", "test_cases": [{**CASE, "type": "stdin_stdout"}]},
        "metadata": {"time_limit": 1.0, "memory_limit": "256 megabytes"},
    },
    "synthetic2": {
        "problem_id": "1",
        "prompt": "q",
        "verification_info": json.dumps({"language": "python", "test_cases": [CASE]}),
        "m_responses": ["print(1)"],
        "m_avg_reward": 1.0,
    },
    "acecode": {
        "id": "1",
        "question": "q",
        "source": "oss",
        "test_cases": ["assert f(1) == 1"],
        "inferences": [{"completion": "def f(x): return x", "pass_rate": 1.0}],
    },
    "leetcode": {
        "task_id": "1",
        "query": "q",
        "prompt": "from typing import *\n",
        "entry_point": "Solution().f",
        "completion": "class Solution:\n    def f(self, x): return x\n",
        "test": "def check(candidate):\n    assert candidate(x=1) == 1\n",
        "difficulty": "Easy",
    },
    "bigcodebench": {
        "task_id": "1",
        "instruct_prompt": "q",
        "code_prompt": "def f(x):\n",
        "complete_prompt": "def f(x):\n",
        "canonical_solution": "    return x\n",
        "entry_point": "f",
        "test": "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(1), 1)\n",
        "libs": "[]",
    },
}
LONG = "9" * 5000
JUNK: list[Any] = [
    None, True, 0, -1.5, float("nan"), "", "x", "[", "{}", "[1]", "[[[1]]]", '{"a": 1}', [], [None], [[]], {}, {"a": None},
    [{"input": None, "output": None}], {"inputs": None, "outputs": 3}, {"inputs": [{}], "outputs": [[]], "fn_name": {}},
    {"test_cases": [{"input": {}, "output": 1, "fn_name": "f"}]}, {"seconds": "x"}, "9" * 5000, int("9" * 4000), "\ud800",
    json.dumps([{"input": 5, "output": {}, "testtype": "functional"}]), "eJxrYJlqzwABPdbR", "1e999 seconds", {"input": 3, "output": 4},
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_no_value_of_any_field_takes_the_other_rows_along(name: str, tmp_path: Path) -> None:
    good = GOOD[name]
    ids = ("task_id", "problem_id", "question_id", "name", "id")
    identity: str = next((key for key in ids if key in good), "")
    before = {**good, identity: "2"} if identity else good
    if name == "mbppplus":
        before = {**good, identity: "Mbpp/2"}
    for field in good:
        rows = [good, *({**before, field: junk} for junk in JUNK), {**before, identity: "Mbpp/3"}]
        rows += [{key: value for key, value in before.items() if key != field}]
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        tasks = load(f"{name}={path}")
        assert tasks[0].id == (good[identity] if identity == "name" else str(good.get(identity, f"{name}/0")))
        assert identity == "" or any(task.id == "Mbpp/3" for task in tasks)


BROKEN = {
    "cut off": b'{"id": "b", "prompt": "q", "tes',
    "not JSON": b"oops",
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"id": "b\xff"}',
    "too deep": b"[" * 100_000,
    "deep in a field": b'{"id": "b", "prompt": ' + b"[" * 100_000,
    "an endless integer": b'{"id": "b", "prompt": ' + b"9" * 200_000 + b"}",
    "two rows on a line": b'{"id": "b"} {"id": "c"}',
    "a control character": b'{"id": "\x01"}',
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", GOOD)
def test_a_broken_line_is_left_out_and_named(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.dumps(GOOD[name]).encode()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([good, BROKEN[kind], b""]))
    assert len(load(f"{name}={path}")) == 1
    printed = capsys.readouterr().err
    assert f"{name}: left out 1 row: cannot be read" in printed and f"{path}, line 2: " in printed
    path.write_bytes(b"\n".join([BROKEN[kind], good]))
    assert len(load(f"{name}={path}")) == 1
    path.write_bytes(BROKEN[kind])
    with pytest.raises(TaskError, match="no problems found"):
        load(f"{name}={path}")


@pytest.mark.parametrize(
    "kind", ["cut off", "not JSON", "not UTF-8", "an endless integer", "a number", "too deep"]
)
@pytest.mark.parametrize("indent", ["", "  "])
@pytest.mark.parametrize("first", [False, True])
def test_a_broken_item_of_an_array_with_a_row_a_line(
    kind: str, indent: str, first: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [json.dumps({**GOOD["apps"], "problem_id": n}).encode() for n in range(3)]
    items = [good[0], BROKEN[kind], *good[1:]] if not first else [b'{"cut', *good]
    path = tmp_path / "rows.json"
    path.write_bytes(b"[\n" + b",\n".join(indent.encode() + item for item in items) + b"\n]\n")
    assert [task.id for task in load(f"apps={path}")] == ["0", "1", "2"]
    assert f"{path}, item {1 if first else 2}: " in capsys.readouterr().err


def test_a_list_as_the_first_line_makes_no_array_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("[1, 2]\n" + json.dumps(GOOD["apps"]) + "\n")
    assert len(load(f"apps={path}")) == 1


def test_only_the_first_are_named_and_all_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.gz"
    lines = [*["oops"] * (3 * MAX_NAMED), json.dumps(GOOD["taco"])]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    (task,) = load(f"taco={path}")
    assert task.id == f"taco/{3 * MAX_NAMED}"  # its place in the file
    printed = capsys.readouterr().err.splitlines()
    assert (
        printed[0] == f"taco: left out {3 * MAX_NAMED} rows: cannot be read" and len(printed) == 1 + MAX_NAMED
    )


@pytest.mark.parametrize("name", ["apps", "taco"])
@pytest.mark.parametrize("spelling", [json.dumps, repr])
def test_long_integers_are_read_wherever_they_stand(name: str, spelling: Any, tmp_path: Path) -> None:
    big = "@"
    io = {"fn_name": "f", "inputs": [[big], [[big, 1]]], "outputs": [[big], [{"a": big}]]}
    text = spelling(io).replace("'@'", LONG).replace('"@"', LONG)
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**GOOD[name], "input_output": text}) + "\n")
    (task,) = load(f"{name}={path}")
    value = 10**5000 - 1
    assert isinstance(task.tests, tuple)
    assert [(test.args, test.expected) for test in task.tests] == [  # type: ignore[union-attr]
        ((value,), [value]),
        (([value, 1],), [{"a": value}]),
    ]
    outputs = f'{{"inputs": ["1", {LONG}], "outputs": [-{LONG}, ["1", {LONG}]]}}'
    path.write_text(json.dumps({**GOOD[name], "input_output": outputs}) + "\n")
    (task,) = load(f"{name}={path}")
    assert task.tests == (
        StdioTest(stdin="1", stdout=f"-{LONG}", rule="apps"),
        StdioTest(stdin=LONG, stdout=f"1\n{LONG}", rule="apps"),
    )


def test_long_integers_are_read_in_rows_of_json(tmp_path: Path) -> None:
    row = '{"id": "a", "prompt": "q", "tests": {"call": [{"function": "f", "args": [@], "expected": -@}]}}'
    path = tmp_path / "rows.jsonl"
    path.write_text(row.replace("@", LONG) + "\n")
    (task,) = load(str(path))
    assert isinstance(task.tests, tuple)
    assert task.tests[0].args == (10**5000 - 1,) and task.tests[0].expected == 1 - 10**5000  # type: ignore[union-attr]
