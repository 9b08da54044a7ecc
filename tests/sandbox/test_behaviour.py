"""What a well-meaning program sees and gives, the same on every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.inside.values.codec import Opaque
from sandbox.pool.pool import Pool
from sandbox.protocol import Call, Calls, Frame, Job, Status
from tests.sandbox.conftest import LIMITS, run_calls, run_stdio


def test_values_come_back_in_order_with_what_was_printed(pool: Pool) -> None:
    outcome = run_calls(pool, "def f(x):\n    print('got', x)\n    return {'x': (x, [x])}\n", 1, "a", None)
    assert outcome.status is Status.OK
    assert [test.value for test in outcome.tests] == [{"x": (v, [v])} for v in (1, "a", None)]
    assert [test.stdout for test in outcome.tests] == ["got 1\n", "got a\n", "got None\n"]
    assert outcome.backend == pool.backend
    assert outcome.image
    assert 0 < outcome.cpu_seconds < 1
    assert outcome.peak_memory_bytes > 1 << 20


def test_arguments_are_fresh_for_each_call_and_aliasing_is_kept(pool: Pool) -> None:
    shared = [0]
    program = "def f(a, b):\n    a.append(1)\n    return a, b, a is b\n"
    calls = (Call("f", (shared, shared)),) * 2
    outcome = pool.run(Job(id="t", program=program, work=Calls(calls), limits=LIMITS))
    assert [test.value for test in outcome.tests] == [([0, 1], [0, 1], True)] * 2
    assert shared == [0]


def test_methods_keywords_and_state_between_calls(pool: Pool) -> None:
    program = (
        "class A:\n    def m(self, x, y=0):\n        n.append(x)\n        return x - y, len(n)\nn = []\n"
    )
    calls = (Call("A.m", (5,), {"y": 2}), Call("A.m", (7,)))
    outcome = pool.run(Job(id="t", program=program, work=Calls(calls), limits=LIMITS))
    assert [test.value for test in outcome.tests] == [(3, 1), (7, 2)]


METHOD = "class Solution:\n    def m(self, x):\n        return 'method', x\n"
FUNCTION = "def m(x):\n    return 'function', x\n"


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (METHOD, ("method", 1)),
        (FUNCTION, ("function", 1)),
        (FUNCTION + METHOD, ("method", 1)),
        (FUNCTION + "class Solution:\n    pass\n", ("function", 1)),
        ("class Solution:\n    m = staticmethod(lambda x: ('static', x))\n", ("static", 1)),
        ("class Solution:\n    def __init__(self):\n        self.m = lambda x: ('own', x)\n", ("own", 1)),
        ("m = lambda x: ('lambda', x)\n", ("lambda", 1)),
        ("Solution = None\n" + FUNCTION, ("function", 1)),
        ("class Other:\n    def m(self, x):\n        return x\n", "NameError"),
        ("class Solution:\n    pass\n", "AttributeError"),
        (
            "class Solution:\n    def __init__(self, n):\n        pass\n    def m(self, x):\n        return x\n",
            "TypeError",
        ),
    ],
)
def test_a_method_may_be_a_plain_function(pool: Pool, program: str, value: object) -> None:
    calls = (Call("Solution.m", (1,)),)
    (test,) = pool.run(Job(id="t", program=program, work=Calls(calls), limits=LIMITS)).tests
    assert (test.error.type if test.error else test.value) == value
    assert test.error is None or test.error.phase == "entry"


def test_an_exception_is_data_with_the_programs_own_frames(pool: Pool) -> None:
    program = "def g(x):\n    return 1 // x\n\ndef f(x):\n    return g(x)\n"
    outcome = run_calls(pool, program, 1, 0, 2)
    assert [test.status for test in outcome.tests] == [Status.OK, Status.EXCEPTION, Status.OK]
    assert outcome.status is Status.EXCEPTION
    error = outcome.tests[1].error
    assert error is not None and outcome.error == error
    assert (error.type, error.message, error.phase) == (
        "ZeroDivisionError",
        "integer division or modulo by zero",
        "call",
    )
    assert error.frames == (Frame(5, "f", "return g(x)"), Frame(2, "g", "return 1 // x"))


@pytest.mark.parametrize(
    ("program", "status", "type_", "phase"),
    [
        ("def f(:\n", Status.COMPILE_ERROR, "SyntaxError", "compile"),
        ("return 1\n", Status.COMPILE_ERROR, "SyntaxError", "compile"),
        ("import nothing_of_that_name\n", Status.EXCEPTION, "ModuleNotFoundError", "import"),
        ("import sys\nsys.exit(0)\n", Status.EXCEPTION, "SystemExit", "import"),
        ("def g(x): pass\n", Status.EXCEPTION, "NameError", "entry"),
        ("def f(x):\n    raise KeyboardInterrupt\n", Status.EXCEPTION, "KeyboardInterrupt", "call"),
        ("def f(x):\n    return f(x)\n", Status.EXCEPTION, "RecursionError", "call"),
        ("import os\nos._exit(0)\n", Status.KILLED, "ProcessDied", "import"),
        ("import os\ndef f(x):\n    os._exit(0)\n", Status.KILLED, "ProcessDied", "call"),
        ("import os\ndef f(x):\n    os.abort()\n", Status.KILLED, "ProcessDied", "call"),
    ],
)
def test_where_a_program_fails(pool: Pool, program: str, status: Status, type_: str, phase: str) -> None:
    outcome = run_calls(pool, program, 1, 2)
    assert [test.status for test in outcome.tests] == [status, status], outcome
    for test in outcome.tests:
        assert test.error is not None
        assert (test.error.type, test.error.phase) == (type_, phase)
        assert test.value is None


def test_a_crash_costs_one_test(pool: Pool) -> None:
    outcome = run_calls(pool, "import os\ndef f(x):\n    return x if x else os._exit(0)\n", 1, 0, 2, 0, 3)
    assert [test.value for test in outcome.tests] == [1, None, 2, None, 3]
    assert [test.status for test in outcome.tests] == [
        *(Status.OK, Status.KILLED, Status.OK, Status.KILLED, Status.OK)
    ]


def test_values_that_are_not_plain_are_opaque_and_too_large_ones_fail(pool: Pool) -> None:
    program = (
        "class E:\n    def __eq__(self, o): return True\n"
        "def f(kind):\n"
        "    if kind == 'deep':\n        v = []\n        for _ in range(5000): v = [v]\n        return v\n"
        "    return {'object': E(), 'large': 'x' * 5_000_000, 'plain': 1}[kind]\n"
    )
    limits = replace(LIMITS, value_bytes=1 << 20)
    outcome = run_calls(pool, program, "object", "large", "deep", "plain", limits=limits)
    value = outcome.tests[0].value
    assert isinstance(value, Opaque) and value.type_name.endswith("E")
    assert [test.status for test in outcome.tests] == [
        *(Status.OK, Status.OUTPUT_LIMIT, Status.EXCEPTION, Status.OK)
    ]
    assert outcome.tests[3].value == 1


def test_hash_seed_locale_and_environment_are_fixed(pool: Pool) -> None:
    program = (
        "import os, sys, locale, time\n"
        "def f(x):\n"
        "    return hash('spam'), sys.getfilesystemencoding(), time.tzname[0], sorted(os.environ), \\\n"
        "        os.getcwd() == os.environ['TMPDIR']\n"
    )
    first, second = (run_calls(pool, program, 0).tests[0].value for _ in range(2))
    assert first == second
    assert isinstance(first, tuple)
    assert first[1:3] == ("utf-8", "UTC")
    assert first[4] is True
    assert not [name for name in first[3] if "TOKEN" in name or "KEY" in name or "CODERL" in name]


def test_a_programs_main_block_runs_as_a_script_only(pool: Pool) -> None:
    program = "def f(x):\n    return x\nif __name__ == '__main__':\n    print(f(input()))\n"
    assert run_calls(pool, program, 3).tests[0].value == 3
    assert run_stdio(pool, program, "five\n").tests[0].stdout == "five\n"


def test_each_input_gets_a_fresh_process_and_its_streams(pool: Pool) -> None:
    program = (
        "import sys, os\nprint(os.listdir('.'), sum(map(int, sys.stdin.read().split())))\n"
        "print('note', file=sys.stderr)\nopen('left', 'w').write('x')\n"
    )
    outcome = run_stdio(pool, program, "1 2", "30\n4", "")
    assert outcome.status is Status.OK
    assert [test.stdout for test in outcome.tests] == ["[] 3\n", "[] 34\n", "[] 0\n"]
    assert [test.stderr for test in outcome.tests] == ["note\n"] * 3


@pytest.mark.parametrize(
    ("program", "status", "stdout"),
    [
        ("print(1)\nraise SystemExit", Status.OK, "1\n"),
        ("import sys\nprint(1)\nsys.exit(0)", Status.OK, "1\n"),
        ("import os\nprint(1, flush=True)\nos._exit(0)", Status.OK, "1\n"),
        ("import sys\nprint(1)\nsys.exit('no')", Status.EXCEPTION, "1\n"),
        ("import sys\nprint(1)\nsys.exit(3)", Status.EXCEPTION, "1\n"),
        ("print(1)\nraise ValueError('no')", Status.EXCEPTION, "1\n"),
        ("print(1", Status.COMPILE_ERROR, ""),
        ("import atexit\natexit.register(print, 'late')", Status.OK, "late\n"),
        (
            "import threading\nthreading.Thread(target=print, args=('from a thread',)).start()",
            Status.OK,
            None,
        ),
    ],
)
def test_how_a_script_ends(pool: Pool, program: str, status: Status, stdout: str | None) -> None:
    test = run_stdio(pool, program, "").tests[0]
    assert test.status is status, test
    assert test.stdout == ("from a thread\n" if stdout is None else stdout)


def test_a_large_input_that_is_not_read_blocks_nothing(pool: Pool) -> None:
    outcome = run_stdio(pool, "print('done')", "x" * 3_000_000)
    assert outcome.tests[0].stdout == "done\n"


def test_a_large_input_that_is_read_arrives_whole(pool: Pool) -> None:
    outcome = run_stdio(pool, "import sys\nprint(len(sys.stdin.read()))", "xé\n" * 700_000)
    assert outcome.tests[0].stdout == "2100000\n"


def test_multiprocessing_and_threads_work_within_the_process_limit(pool: Pool) -> None:
    program = (
        "from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor\n"
        "def square(x): return x * x\n"
        "def f(n):\n"
        "    with ProcessPoolExecutor(2) as p, ThreadPoolExecutor(2) as t:\n"
        "        return sum(p.map(square, range(n))), sum(t.map(square, range(n)))\n"
    )
    assert run_calls(pool, program, 5).tests[0].value == (30, 30)


def test_many_inputs_of_every_size(pool: Pool) -> None:
    sizes = [0, 1, 100, 65_535, 65_536, 200_000, 1_000_000]
    outcome = run_calls(pool, "def f(x):\n    return x[::-1]\n", *("ab" * size for size in sizes))
    assert [test.value for test in outcome.tests] == ["ba" * size for size in sizes]
