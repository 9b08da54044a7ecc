"""Rows in each data set's shape and small programs, right and wrong: the verdict is that of the data set's grader.

Where it is not, on purpose, docs/grading.md says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.protocol import Runner
from tasks.datasets import load
from tasks.extraction.extract import program_of
from tasks.grading.grader import Grader
from tests.tasks.test_corrupt_rows import GOOD

LONG = "9" * 5000


def io(inputs: list[Any], outputs: list[Any], function: str | None = None) -> str:
    names = {"fn_name": function} if function else {}
    return json.dumps({"inputs": inputs, "outputs": outputs, **names})


def calls(*pairs: tuple[str, str]) -> str:
    return json.dumps(
        [{"input": given, "output": wanted, "testtype": "functional"} for given, wanted in pairs]
    )


def stdin(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"input": given, "output": wanted, "testtype": "stdin"} for given, wanted in pairs])


def info(*cases: dict[str, Any]) -> str:
    return json.dumps({"language": "python", "test_cases": cases})


def method(body: str, parameters: str = "x") -> str:
    return f"class Solution:\n    def f(self, {parameters}):\n        {body}\n"


def function(body: str, parameters: str = "x") -> str:
    return f"def f({parameters}):\n    {body}\n"


DIGITS = "return {c: s.count(c) for c in s}"
INTEGERS = "return {int(c): s.count(c) for c in s}"
COUNTS = {"fn_name": "f", "input": ["112"], "output": {"1": 2, "2": 1}, "type": "function_call"}

# (data set, the row's fields that matter, program, whether it is right)
CASES: list[tuple[str, dict[str, Any], str, bool]] = [
    # LiveCodeBench: calls
    ("livecodebench", {"public_test_cases": calls(("1", "[1]"))}, method("return [x]"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "[1]"))}, method("return x"), False),
    ("livecodebench", {"public_test_cases": calls(("1", "[1]"))}, method("return (x,)"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "[[1]]"))}, method("return [[x]]"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "[[1]]"))}, method("return [x]"), False),
    ("livecodebench", {"public_test_cases": calls(("1", "[[1]]"))}, method("return [(x,)]"), False),
    ("livecodebench", {"public_test_cases": calls(("1", "1"))}, function("return x"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "1"))}, function("return str(x)"), False),
    ("livecodebench", {"public_test_cases": calls(("1", "1.0"))}, function("return x"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "0.3"))}, function("return 0.1 + 0.2"), False),
    ("livecodebench", {"public_test_cases": calls(("1", "true"))}, function("return x == 1"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "null"))}, function("pass"), True),
    ("livecodebench", {"public_test_cases": calls(("1", '"1"'))}, function("return x"), False),
    ("livecodebench", {"public_test_cases": calls(('"112"', '{"1": 2, "2": 1}'))}, method(DIGITS, "s"), True),
    ("livecodebench", {"public_test_cases": calls(('"112"', '{"1": 2, "2": 1}'))}, method(INTEGERS, "s"), False),
    ("livecodebench", {"public_test_cases": calls(('{"1": 5}\n"1"', "5"))}, method("return d[k]", "d, k"), True),
    ("livecodebench", {"public_test_cases": calls(("5000", LONG))}, method("return 10**x - 1"), True),
    ("livecodebench", {"public_test_cases": calls(("5000", LONG))}, method("return 10**x - 2"), False),
    ("livecodebench", {"public_test_cases": calls((LONG, "5000"))}, method("return len(hex(x)) // 2 and 5000"), True),
    ("livecodebench", {"public_test_cases": calls(("1", "[1, 2]"))}, method("return {1, 2}"), False),
    # LiveCodeBench: standard input
    ("livecodebench", {"public_test_cases": stdin(("3\n", "1 2\n3"))}, "print(' 1 2 ')\nprint(' 3')", True),
    ("livecodebench", {"public_test_cases": stdin(("3\n", "1 2\n3"))}, "print('1  2')\nprint(3)", False),
    ("livecodebench", {"public_test_cases": stdin(("3\n", "1 2\n3"))}, "print('1 2 3')", False),
    ("livecodebench", {"public_test_cases": stdin(("3\n", "3 2.5"))}, "print('3.0 2.50')", True),
    ("livecodebench", {"public_test_cases": stdin(("3\n", "2.5"))}, "print(2.500000001)", False),
    ("livecodebench", {"public_test_cases": stdin(("3\n", "YES"))}, "print('Yes')", False),
    # APPS and TACO: calls
    ("apps", {"input_output": io([[1]], [[1]], "f")}, function("return x"), True),
    ("apps", {"input_output": io([[1]], [[1]], "f")}, method("return [x]"), True),
    ("apps", {"input_output": io([[1]], [[1]], "f")}, method("return [[x]]"), False),
    ("apps", {"input_output": io([[1]], [1], "f")}, method("return [x]"), False),
    ("apps", {"input_output": io([[1], [2]], [[1], [2, 2]], "f")}, function("return [x] * x"), True),
    ("apps", {"input_output": io([[1], [2]], [[1], [2, 2]], "f")}, function("return x"), False),
    ("apps", {"input_output": io([[1]], [[[[1, 2], [3]]]], "f")}, function("return [(1, 2), (3,)]"), True),
    ("apps", {"input_output": io([[1]], [[{"1": {"2": 3}}]], "f")}, function("return {1: {2: 3}}"), True),
    ("apps", {"input_output": io([[1]], [[{"1": {"2": 3}}]], "f")}, function("return {1: {2: 4}}"), False),
    ("apps", {"input_output": io([[1]], [[[{"1": 2}]]], "f")}, function("return [{x: 2}]"), True),
    ("apps", {"input_output": io([[{"1": 2}]], [[3]], "f")}, function("return x[1] + 1"), True),
    ("apps", {"input_output": io([[0.1, 0.2]], [[0.3]], "f")}, function("return a + b", "a, b"), True),
    ("apps", {"input_output": io([[0.1, 0.2]], [[0.3]], "f")}, function("return a + b + 1e-6", "a, b"), False),
    ("apps", {"input_output": io([[1]], [[3]], "f")}, function("return 3.0000000001"), False),
    ("apps", {"input_output": io([["7"]], [["8"]], "f")}, function("return int(x) + 1"), False),
    ("apps", {"input_output": io([[[1, 2]]], [[[1, 2]]], "f")}, function("return set(x)"), False),
    ("apps", {"input_output": io(["abc", "12"], ["cba", "21"], "f")}, function("return x[::-1]"), True),
    ("apps", {"input_output": io(["[1, 2]\n3", "[4]\n5"], ["6", "9"], "f")}, function("return sum(a) + b", "a, b"), True),
    ("apps", {"input_output": io([[5000]], [[0]], "f").replace("[0]", f"[{LONG}]")}, function("return 10**x - 1"), True),
    ("taco", {"input_output": io([[2]], [[4]], "f")}, method("return x * x"), True),
    ("taco", {"input_output": io([[2]], [[4]], "f")}, function("return x + 1"), False),
    ("taco", {"input_output": io([[2]], [[4]], "f")}, "def g(x): return 4\n", False),
    # APPS and TACO: standard input
    ("apps", {"input_output": io(["1\n"], ["1 2\n3\n"])}, "print('1   2 ')\nprint()\nprint(3)", True),
    ("apps", {"input_output": io(["1\n"], ["1 2\n3\n"])}, "print(1, 2, 3)", False),
    ("apps", {"input_output": io(["1\n"], ["1 2\n"])}, "print(2, 1)", False),
    ("apps", {"input_output": io(["1\n"], ["0.333333\n"])}, "print(1 / 3)", True),
    ("apps", {"input_output": io(["1\n"], ["0.333333\n"])}, "print(0.34)", False),
    ("apps", {"input_output": io(["1\n"], ["3\n"])}, "print(3.0)", True),
    ("apps", {"input_output": io(["1\n"], ["3\n"])}, "print('03')", False),
    ("apps", {"input_output": io([["1", "2"]], [["1", "2"]])}, "print(input())\nprint(input())", True),
    ("taco", {"input_output": io(["1\n"], [3])}, "print(3)", True),
    ("taco", {"input_output": io(["1\n"], ["YES\n"])}, "print('yes')", False),
    # CodeContests
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": ["YES 2.0\n"]}}, "print('yes')\nprint(2)", True),
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": ["YES\n"]}}, "print('NO')", False),
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": ["0.5\n"]}}, "print(0.500009)", True),
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": ["0.5\n"]}}, "print(0.50002)", False),
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": ["1 2\n"]}}, "print(2, 1)", False),
    ("code_contests", {"public_tests": {"input": ["1\n"], "output": [f"{10**18}\n"]}}, "print(10**18 + 1)", False),
    # PrimeIntellect, SYNTHETIC-2, open-r1
    ("primeintellect", {"verification_info": info(COUNTS)}, function(DIGITS, "s"), True),
    ("primeintellect", {"verification_info": info(COUNTS)}, method(INTEGERS, "s"), True),
    ("primeintellect", {"verification_info": info({"input": "1\n", "output": "3 3\n1\n"})}, "print('3.0000001 2.9999')\nprint(1)", True),
    ("primeintellect", {"verification_info": info({"input": "1\n", "output": "3 3\n1\n"})}, "print('3.01 3')\nprint(1)", False),
    ("primeintellect", {"verification_info": info({"input": "1\n", "output": "a b\n"})}, "print('b a')", False),
    ("synthetic2", {"verification_info": info(COUNTS)}, method(DIGITS, "s"), True),
    ("synthetic2", {"verification_info": info({**COUNTS, "output": [3]})}, function("return [3]", "s"), True),
    ("synthetic2", {"verification_info": info({**COUNTS, "output": [3]})}, function("return 3", "s"), False),
    ("synthetic2", {"verification_info": info({**COUNTS, "output": "12"})}, function("return 12", "s"), False),
    ("synthetic2", {"verification_info": info({"input": "1\n", "output": " 1\n2 "})}, "print('1 ')\nprint(' 2')", True),
    ("synthetic2", {"verification_info": info({"input": "1\n", "output": "1\n2"})}, "print(1)\nprint()\nprint(2)", False),
    ("openr1", {"verification_info": info({"input": "2\n", "output": "\n 1\n 2\n"})}, "print(1)\nprint(2)", True),
    ("openr1", {"verification_info": info({"input": "2\n", "output": "1\n2\n"})}, "print(1)", False),
    ("openr1", {"verification_info": info({"input": "2\n", "output": "1\n2\n"})}, "print(1, 2)", False),
    ("openr1", {"verification_info": info({"input": "2\n", "output": "1\n2\n"})}, "print(1)\nprint(2)\nprint(3)", False),
    # DeepCoder: each row by the rule of the data set that it comes from
    ("deepcoder", {"_config": "lcbv5", "metadata": {"func_name": "f"}, "tests": calls(("1", "[1]"))}, method("return x"), False),
    ("deepcoder", {"_config": "lcbv5", "metadata": {"func_name": "f"}, "tests": calls(("1", "[1]"))}, method("return [x]"), True),
    ("deepcoder", {"_config": "taco", "tests": io([[1]], [[1]], "f")}, method("return x"), True),
    ("deepcoder", {"_config": "taco", "tests": io(["1\n"], ["2.5\n"])}, "print(2.500001)", True),
    ("deepcoder", {"_config": "lcbv5", "tests": stdin(("1\n", "2.5\n"))}, "print(2.500001)", False),
    ("deepcoder", {"_config": "primeintellect", "tests": json.dumps([COUNTS])}, function(INTEGERS, "s"), True),
    ("deepcoder", {"_config": "codeforces", "tests": stdin(("1\n", "YES\nNO\n"))}, "print('YES')\nprint('YES')", False),
    ("deepcoder", {"_config": "", "tests": stdin(("1\n", "2.5\n"))}, "print(2.500001)", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "program", "right"), CASES, ids=range(len(CASES)))
def test_the_verdict_is_that_of_the_data_sets_own_grader(
    pool: Runner, tmp_path: Path, name: str, fields: dict[str, Any], program: str, right: bool
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({**GOOD[name], **fields}) + "\n")
    (task,) = load(f"{name}={tmp_path / 'rows.jsonl'}")
    (verdict,) = Grader(pool).grade(task, [program_of(program, task)])
    assert verdict.passed is right, verdict
    assert right or verdict.score == 0.0


def test_output_as_long_as_the_expected_one_is_read(pool: Runner, tmp_path: Path) -> None:
    row = {**GOOD["taco"], "input_output": io(["1\n"], ["0123456789\n" * 450_000])}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (task,) = load(f"taco={tmp_path / 'rows.jsonl'}")
    right = "for _ in range(450_000): print('0123456789')"
    endless = "while True: print('0123456789' * 1000)"
    verdicts = Grader(pool).grade(task, [right, right + "\nprint(1)", endless])
    assert [verdict.passed for verdict in verdicts] == [True, False, False]
    assert verdicts[2].status == "output_limit"
