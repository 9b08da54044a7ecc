"""Labels and clusters: rules by example, and scored on HumanEvalPack's labelled bugs."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.mistakes.clusters import cluster
from analysis.mistakes.fingerprint import Fingerprint
from analysis.mistakes.labels import label, logic_label
from analysis.reading.rows import Row

DATA = Path(os.environ.get("CODERL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
ROW = Row(source="train", step=1, sample=0, task_id="t", passed=False, phase="call")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"error_type": "NameError"}, "naming"),
        ({"phase": "import", "error_type": "ModuleNotFoundError"}, "naming"),
        ({"phase": "entry"}, "naming"),
        ({"error_type": "IndexError"}, "mapping"),
        ({"error_type": "RecursionError"}, "resource"),
        ({"phase": "memory"}, "resource"),
        ({"phase": "timeout"}, "timeout"),
        ({"phase": "compile", "error_type": "SyntaxError"}, "format"),
        ({"phase": "compile", "error_type": "SyntaxError", "truncated": True}, "truncated"),
        ({"phase": "wrong"}, "logic"),
        ({"phase": "passed", "passed": True}, ""),
        ({"phase": "infra", "passed": None}, ""),
    ],
)
def test_labels_follow_phase_and_exception(changes: dict[str, object], expected: str) -> None:
    assert label(replace(ROW, **changes)) == expected  # type: ignore[arg-type]


PASSING = "def f(xs):\n    total = 0\n    for x in xs:\n        total += x * 2\n    return total\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("x * 2", "x - 2", "operator misuse"),
        ("x * 2", "x * 3", "value misuse"),
        ("return total", "return total + 1", "value misuse"),
        ("return total", "return x", "variable misuse"),
        ("return total", "return abs(max(total, 0))", "excess logic"),
        ("    for x in xs:\n        total += x * 2\n", "", "missing logic"),
    ],
)
def test_wrong_answers_are_labelled_by_their_difference(old: str, new: str, expected: str) -> None:
    far = "import re\n\ndef f(xs):\n    return 2 * sum(map(int, re.findall('[0-9]+', str(xs))))\n"
    assert logic_label(PASSING.replace(old, new), [far, PASSING]) == expected


def test_what_cannot_be_compared_gets_no_label() -> None:
    assert logic_label("def f(:", [PASSING]) == ""
    assert logic_label(PASSING, []) == ""
    assert logic_label(PASSING, ["def g(:"]) == ""
    assert logic_label("print('a completely different thing')", [PASSING]) == "other approach"


def test_deep_and_long_programs_are_survived() -> None:
    assert logic_label("(" * 5000 + ")" * 5000, [PASSING]) == ""
    assert logic_label("x = " + "+".join("1" * 20_000), [PASSING]) in ("", "other approach")


def test_bugs_of_humanevalpack_are_mostly_named_right() -> None:
    file = DATA / "humanevalpack_python" / "humanevalpack.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is absent: labels cannot be scored (set CODERL_DATA)")
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for bug in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        reference = bug["prompt"] + bug["canonical_solution"]
        total[bug["bug_type"]] += 1
        found = logic_label(bug["prompt"] + bug["buggy_solution"], [reference])
        right[bug["bug_type"]] += found == bug["bug_type"]
    assert total.total() == 164
    assert right.total() >= 125, right  # the most common type alone would get 44
    assert all(right[kind] / total[kind] > 0.6 for kind in total), right


def mark(l0: str, template: str, source: str) -> Fingerprint:
    text = f"{l0}|{template}|{source}"
    return Fingerprint(l0, text, text, template, source)


def test_near_errors_of_one_kind_are_clustered_whatever_their_order() -> None:
    marks = [
        mark("call:TypeError", "unsupported operand type(s) for +: 'int' and 'str'", "return total + name"),
        mark("call:TypeError", "unsupported operand type(s) for +: 'int' and 'str'", "return total + names"),
        mark("call:TypeError", "'NoneType' object is not iterable", "for x in sort(y) :"),
        mark("call:ValueError", "unsupported operand type(s) for +: 'int' and 'str'", "return total + name"),
    ]
    assert cluster(marks) == [0, 0, 1, 2]
    assert cluster([]) == []
    draw = random.Random(3)
    for _ in range(5):
        order = draw.sample(range(4), 4)
        found = cluster([marks[i] for i in order])
        assert (found[order.index(0)] == found[order.index(1)]) and len(set(found)) == 3
