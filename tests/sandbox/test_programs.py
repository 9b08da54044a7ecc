"""A program runs as Python would run it, on every backend: styles of reading, writing and ending; recursion; a prelude."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest

from sandbox.pool.pool import Pool
from sandbox.pool.prelude import needed
from sandbox.protocol import MIB, Call, Calls, Job, Judge, Outcome, Status, Stdio
from tests.sandbox import programs
from tests.sandbox.conftest import LIMITS, run_calls, run_stdio

DEEP = replace(LIMITS, cpu_seconds=20.0, total_cpu_seconds=60.0, wall_seconds=60.0, memory_bytes=512 * MIB)


def outputs(pool: Pool, sources: dict[str, str], stdin: str, **fields: object) -> dict[str, str]:
    """What the programs print, or how they fail."""
    futures: dict[str, Future[Outcome]] = {
        name: pool.submit(Job(id=name, program=source, work=Stdio((stdin,)), **fields))  # type: ignore[arg-type]
        for name, source in sources.items()
    }
    found = {}
    for name, future in futures.items():
        (test,) = future.result().tests
        found[name] = test.stdout.strip() if test.status is Status.OK else f"{test.status}: {test.error}"
    return found


@pytest.mark.parametrize("kind", ["READING", "WRITING", "ENDING", "SOURCE", "CHILDREN"])
def test_honest_programs_print_what_they_print_under_python(pool: Pool, kind: str) -> None:
    if kind == "CHILDREN" and pool.backend == "confined":
        pytest.skip("confined: a program is one process, it can make no others")
    sources = getattr(programs, kind)
    found = outputs(pool, sources, programs.INPUT, limits=LIMITS)
    assert {name: text for name, text in found.items() if text != programs.OUTPUT} == {}


def test_recursion_through_c_goes_as_deep_as_the_limit_says(pool: Pool) -> None:
    ask = "import sys\nsys.setrecursionlimit(10**6)\n{}\nprint(f(int(input())))\n"
    sources = {name: ask.format(f) for name, f in programs.RECURSION.items()}
    found = outputs(pool, sources, "30000\n", limits=DEEP)
    assert {name: text for name, text in found.items() if text != "30000"} == {}
    (test,) = run_stdio(pool, sources["cache"], "100000\n", limits=DEEP).tests
    assert test.stdout == "100000\n", test


def test_recursion_in_threads_goes_as_deep_as_their_stack(pool: Pool) -> None:
    template = (
        "import sys, threading\nsys.setrecursionlimit(10**6)\n{}\n{}\n"
        "def main(): print(f(int(input())))\nt = threading.Thread(target=main)\nt.start()\nt.join()\n"
    )
    stack = "threading.stack_size(2**27)"
    sources = {name: template.format(stack, f) for name, f in programs.RECURSION.items()}
    found = outputs(pool, sources, "20000\n", limits=DEEP)
    assert {name: text for name, text in found.items() if text != "20000"} == {}
    usual = {"usual": template.format("", programs.RECURSION["cache"])}
    assert outputs(pool, usual, "15000\n", limits=DEEP) == {"usual": "15000"}


def test_recursion_in_calls_and_under_a_judge_is_as_deep(pool: Pool) -> None:
    program = f"import sys\nsys.setrecursionlimit(10**6)\n{programs.RECURSION['cache']}"
    called = run_calls(pool, program, 30_000, limits=DEEP)
    assert called.tests[0].value == 30_000, called
    work = Judge(kind="script", test="g = f\nassert g(30_000) == 30_000\n", entry_point="f")
    judged = pool.run(Job(id="deep", program=program, work=work, limits=DEEP))
    assert judged.passed, judged


ENDLESS = {
    "plain": "def f(n): return f(n)\nf(1)",
    "cache": "from functools import cache\n@cache\ndef f(n): return f(n + 1)\nf(1)",
    "sum of map": "def f(n): return sum(map(f, (n,)))\nf(1)",
    "repr": "a = []\nfor _ in range(10**5): a = [a]\nrepr(a)",
    "equality": "a, b = [], []\na.append(b)\nb.append(a)\na == b",
    "json": "import json\njson.loads('[' * 10**5)",
    "in a thread": "import threading\nfailed = []\nthreading.excepthook = lambda a: failed.append(a.exc_type)\ndef f(n): return sum(map(f, (n,)))\nt = threading.Thread(target=f, args=(1,))\nt.start()\nt.join()\nraise failed[0]",
}


def test_endless_recursion_is_the_programs_exception(pool: Pool) -> None:
    for name, source in ENDLESS.items():
        (test,) = run_stdio(pool, source, "").tests
        assert test.status is Status.EXCEPTION and test.error is not None, (name, test)
        assert test.error.type == "RecursionError", (name, test)


def test_endless_recursion_without_a_limit_takes_no_more_than_its_memory(pool: Pool) -> None:
    endless = "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(n): return sum(map(f, (n,)))\nf(1)\n"
    outcome = run_stdio(pool, endless, "")
    assert outcome.status in (Status.MEMORY, Status.KILLED), outcome


def test_exit_messages_and_statuses_are_pythons(pool: Pool) -> None:
    (test,) = run_stdio(pool, "import sys\nprint(1)\nsys.exit('no way')\n", "").tests
    assert (test.status, test.stdout) == (Status.EXCEPTION, "1\n") and "no way" in test.stderr
    (test,) = run_stdio(pool, "import os\nos.close(1)\nprint(1)\n", "").tests
    assert test.status is Status.KILLED and "status 120" in test.error.message  # type: ignore[union-attr]


PRELUDE = "import sys\nsys.setrecursionlimit(50_000)\nfrom math import *\nfrom collections import *\nimport numpy as np\n"


@pytest.mark.parametrize("kind", ["calls", "stdio", "judge"])
def test_a_prelude_runs_before_the_program_and_moves_none_of_its_lines(pool: Pool, kind: str) -> None:
    program = (
        "'''Its docstring.'''\nfrom __future__ import annotations\nd = defaultdict(list)\n"
        "def f(n: Missing): return gcd(n, 4) if n < 9 else g(n)\ndef g(n): return 0 if n == 9 else 1 + g(n - 1)\n"
        "if __name__ == '__main__': print(f(6), f(10_009))\n"
    )
    if kind == "stdio":
        outcome = pool.run(Job(id="p", program=program, work=Stdio(("",)), prelude=PRELUDE, limits=DEEP))
        assert outcome.tests[0].stdout == "2 10000\n", outcome
    elif kind == "calls":
        work = Calls((Call("f", (6,)), Call("f", (10_009,)), Call("f", ("x",))))
        outcome = pool.run(Job(id="p", program=program, work=work, prelude=PRELUDE, limits=DEEP))
        assert [test.value for test in outcome.tests] == [2, 10_000, None]
        assert outcome.error is not None and outcome.error.frames[-1].line == 4
    else:
        test = Judge(kind="script", test="assert f(6) == 2\nassert f(10_009) == 10_000\n", entry_point="f")
        outcome = pool.run(Job(id="p", program=program, work=test, prelude=PRELUDE, limits=DEEP))
        assert outcome.passed, outcome


def test_of_a_prelude_only_what_a_program_can_tell_is_run() -> None:
    assert needed(PRELUDE, "print(1)") == "import sys\nsys.setrecursionlimit(50000)"
    assert needed(PRELUDE, "d = deque()").endswith("from collections import *")
    assert needed(PRELUDE, "np.array([1])").endswith("import numpy as np")
    assert needed("from nowhere import *", "x") == "from nowhere import *"  # not imported here to look
    assert needed("def (", "x") == "def ("
