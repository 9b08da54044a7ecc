"""Programs that solve nothing are found where tests let them pass, for each kind of program and of test."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from sandbox.protocol import Runner
from tasks.types import CallTest, JudgeTest, ReferenceTests, StdioTest, Task, Tests
from tasks.validation.audit import AuditReport, audit
from tasks.validation.surface import Class, Function, definitions, surface_of
from tasks.validation.trivial import literal, trivial_programs

PYTEST = "import pytest\nfrom solution import f\n"
UNITTEST = (
    "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n    def test_a(self):\n        "
)


def task(name: str, tests: Tests, entry_point: str | None = "f", **fields: Any) -> Task:
    return Task(id=name, prompt="", tests=tests, entry_point=entry_point, **fields)


def judged(name: str, source: str, kind: Any = "script", **fields: Any) -> Task:
    return task(name, (JudgeTest(kind=kind, source=source),), **fields)


def calls(*pairs: tuple[Any, Any]) -> tuple[CallTest, ...]:
    return tuple(CallTest(function="f", args=(x,), expected=y) for x, y in pairs)


def prints(*pairs: tuple[str, str]) -> tuple[StdioTest, ...]:
    return tuple(StdioTest(stdin=x, stdout=y) for x, y in pairs)


# A task whose tests are weak, and a program among those that show it.
WEAK = [
    (task("call constant", calls((1, 7), (2, 7))), "constant: returns 7"),
    (task("call nan", (CallTest(function="f", args=(), expected=[1.5, {"a": 2}]),)), "constant: returns [1.5, {'a': 2}]"),
    (task("call echo", calls((1, 1), (2, 2))), "echo: returns argument 1"),
    (task("call sort", calls(([2, 1], [1, 2]), ([3, 1, 2], [1, 2, 3]))), "arguments: sorts its arguments, returns argument 1"),
    (task("inputs", ReferenceTests(function="f", inputs=((1,), (2,))), reference="def f(x): return x > 0\n"), "constant: returns True"),
    (task("method", (CallTest(function="Solution.f", args=(3, 4), expected=4),), None), "echo: returns argument 2"),
    (task("stdio constant", prints(("1", "YES"), ("2", "YES")), None), "constant: prints YES"),
    (task("stdio first", prints(("1\n", "out of nowhere"),), None), "constant: prints out of nowhere"),
    (task("stdio echo", prints(("1 2\n3", "1 2\n3\n"),), None), "echo: prints its input"),
    (task("stdio line", prints(("7\n1 2", "7"), ("8\n3", "8")), None), "echo: prints the first line of its input"),
    (task("stdio nothing", prints(("7", ""),), None), "nothing: prints nothing"),
    (judged("predicate", "for x in range(4):\n    assert f(x)\nassert f(str(9))\n"), "constant: returns True"),
    (judged("no loop", "assert all(x % 3 == 0 for x in f(3))\n"), "constant: returns []"),
    (judged("cleared", "a = [3, 1]\nassert f(a) == sorted(a)\n"), "arguments: clears its arguments, returns argument 1"),
    (judged("cleared loop", "xs = [5, 6]\nfor i, x in enumerate(xs):\n    assert f(xs, x) == i\n"), "arguments: clears its arguments, returns 0"),
    (judged("alias", "assert f('1') == 1\ntry:\n    f('bad')\n    assert False\nexcept Bad:\n    pass\n"), "raises: Bad is Exception; returns 1"),
    (judged("raises", PYTEST + "def test_a():\n    with pytest.raises(KeyError):\n        f(1)\n", "pytest"), "raises: raises KeyError"),
    (judged("pytest", PYTEST + "def test_a():\n    assert isinstance(f(1), dict)\n", "pytest"), "constant: returns {}"),
    (judged("unittest", UNITTEST + "self.assertEqual(len(f('abc')), 3)\n", "unittest"), "echo: returns argument 1"),
    (judged("check", "def check(candidate):\n    r = candidate([4, 2])\n    assert r[0] == 4\n", "check"), "echo: returns argument 1"),
    (judged("class", "s = Stack(3)\ns.push(1)\nassert s.peek() is None\n", entry_point="Stack"), "constant: returns None"),
    (judged("own", "b = Box(1)\nassert b.put(2).put(3) is b\n", entry_point="Box", reference="class Box:\n    def __init__(self, x):\n        self.x = x\n    def put(self, x):\n        self.x = x\n        return self\n"), "nothing: methods return self"),
    (judged("keeps", "p = Point(1, 2)\nassert (p.x, p.y) == (1, 2)\n", entry_point="Point", reference="class Point:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n"), "echo: a class that keeps its arguments"),
    (task("known", calls((2, 4)), reference="def f(x): return x * 2\n", wrong=("def f(x): return x ** 2\n",)), "wrong: known wrong program 1"),
]  # fmt: skip

DOUBLE = "def f(x):\n    return x * 2\n"
RIGHT = {
    "call": (task("call", calls((1, 2), (5, 10), (-3, -6)))),
    "inputs": task("inputs", ReferenceTests(function="f", inputs=((1,), (5,), (-3,))), reference=DOUBLE),
    "stdio": task("stdio", prints(("1", "2"), ("5", "10"), ("-3", "-6")), None),
    "script": judged("script", "for x in (1, 5, -3):\n    r = f(x)\n    assert type(r) is int and r == x + x\n"),
    "pytest": judged("pytest", PYTEST + "def test_a():\n    assert [f(x) for x in (1, 5)] == [2, 10]\n    with pytest.raises(TypeError):\n        f(None)\n", "pytest", reference=DOUBLE),
    "unittest": judged("unittest", UNITTEST + "self.assertEqual([f(1), f(5), f('ab')], [2, 10, 'abab'])\n", "unittest"),
    "check": judged("check", "def check(candidate):\n    r = candidate(4)\n    assert r == 8\n    assert candidate(r) == 16\n", "check"),
    "class": judged("class", "s = Stack()\ns.push(1)\ns.push(5)\nassert (s.pop(), s.pop(), s.size()) == (5, 1, 0)\n", entry_point="Stack"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(pool: Runner) -> dict[str, Any]:
    report = audit([one for one, _ in WEAK], pool, mutants=0)
    assert report.infra == 0 and report.programs > 500
    return {one.task.id: one for one in report.tasks}


@pytest.mark.parametrize(("weak", "hole"), WEAK, ids=[one.id for one, _ in WEAK])
def test_a_weak_test_is_found_with_the_program_that_shows_it(
    found: dict[str, Any], weak: Task, hole: str
) -> None:
    audited = found[weak.id]
    assert audited.weak
    assert hole in [f"{one.kind}: {one.name}" for one in audited.holes]


def test_strong_tests_have_no_hole(pool: Runner) -> None:
    report = audit(list(RIGHT.values()), pool, mutants=0)
    assert {one.task.id: [hole.name for hole in one.holes] for one in report.tasks} == {
        name: [] for name in RIGHT
    }
    assert report.sound == list(RIGHT.values()) and not report.weak and report.infra == 0


def test_surviving_mutants_are_listed_and_make_no_task_weak(pool: Runner) -> None:
    reference = "def f(x):\n    return x + 0 if x > 2 else 2 * x\n"
    inputs = ReferenceTests(function="f", inputs=((1,), (3,), (0,)))
    seen: list[str] = []
    report = audit(
        [task("m", inputs, reference=reference)],
        pool,
        mutants=9,
        progress=lambda what, done, total: seen.append(what),
    )
    (audited,) = report.tasks
    assert [hole.name for hole in audited.holes] == ["Add to Sub, line 2"]
    assert {hole.kind for hole in audited.holes} == {"mutant"} and not audited.weak
    assert report.tasks_by_kind() == {"mutant": 1}
    assert {"trivial programs", "mutants"} <= set(seen)


def test_a_task_whose_reference_fails_is_not_audited_but_said(pool: Runner) -> None:
    broken = judged("broken", PYTEST + "def test_a():\n    assert f(1) == 3\n", "pytest", reference=DOUBLE)
    report = audit([broken, RIGHT["call"]], pool, mutants=0)
    assert "reference fails" in report.tasks[0].left_out and not report.tasks[1].left_out
    assert report.infra == 0


def test_programs_are_whole_and_each_is_made_once() -> None:
    for one in [*RIGHT.values(), *(one for one, _ in WEAK)]:
        made = trivial_programs(one)
        assert len({program.program for program in made}) == len(made) > 10
        for program in made:
            ast.parse(program.program)


def test_programs_in_another_language_are_in_it(pool: Runner) -> None:
    echo = task(
        "cpp",
        prints(
            ("7", "7"),
        ),
        None,
        language="cpp",
    )
    assert all("int main()" in program.program for program in trivial_programs(echo))


@pytest.mark.parametrize(
    "value", [1, "a", [1.5, {"k": (1,)}], {1, 2}, set(), float("inf"), [float("nan")], b"x", 2 + 3j]
)
def test_plain_values_have_a_text(value: object) -> None:
    text = literal(value)
    assert text is not None and repr(eval(text)) == repr(value)  # our own values


def test_other_values_have_none() -> None:
    assert literal(object()) is None and literal(10**5000) is None and literal("x" * 30_000) is None


def test_what_a_program_must_define_is_read_off_reference_prompt_and_tests() -> None:
    text = (
        "Write this:\n```python\nclass Box(Base):\n    @property\n    def size(self) -> int: ...\n    def put(self, x=Other()):\n"
        "        def inner(y): ...\n```\nand `def add(a: List[int], *b, c={}) -> int:`\ndef add(a: Dict[str, Tuple[int, ...]],\n"
        "        *b, c={}) -> int:\n"
    )
    assert definitions(text) == {
        "Box": Class("Box", (Function("size", "self", "@property"), Function("put", "self, x=None"))),
        "add": Function("add", "a, *b, c={}"),
    }
    source = "from solution import g\nimport os\ntry:\n    g(h(1, k=2), os.sep)\nexcept (Bad, ValueError):\n    v = Thing()\n"
    surface = surface_of(judged("t", source, context="def helper(): ...\n"))
    assert [one.name for one in surface.functions] == ["f", "g", "h"]
    assert surface.functions[1].parameters == "x1=None, x2=None"
    assert surface.functions[2].parameters == "x1=None, k=None"
    assert (surface.classes, surface.exceptions) == ((Class("Thing"),), ("Bad",))
    assert surface.caught == ("Bad", "ValueError")


def test_a_report_counts_tasks_not_programs() -> None:
    empty = AuditReport(tasks=(), programs=0)
    assert empty.tasks_by_kind() == {} and empty.infra == 0 and empty.sound == []
