"""Judge jobs in one process: what can only be tested there passes, what fails says why, and nothing idle passes."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from sandbox.job_json import outcome_from_json, outcome_to_json
from sandbox.jobs import together_job
from sandbox.pool.pool import Pool
from sandbox.protocol import Job, Judge, Limits, Outcome, Status
from tests.sandbox.judging import LIMITS

PROGRAM = """
import random
GREETING = "hello"
def roll(): return random.randint(1, 6)
def greet(name): return f"{GREETING} {name} {roll()}"
"""

# name: (kind, test, entry point); each passes with PROGRAM in one process, and cannot apart.
ONLY_HERE = {
    "a helper is replaced": (
        "script",
        """
        GREETING = "bye"
        roll = lambda: 4
        assert greet("x") == "bye x 4"
        """,
        None,
    ),
    "its globals are read": (
        "check",
        'def check(f):\n    assert f.__globals__["GREETING"] == "hello"',
        "greet",
    ),
    "its module is patched": (
        "pytest",
        """
        from unittest.mock import patch
        import solution
        from solution import greet
        def test_greet(monkeypatch):
            monkeypatch.setattr(solution, "GREETING", "hi")
            with patch("solution.roll", return_value=5):
                assert greet("x") == "hi x 5"
        """,
        "greet",
    ),
    "its helper is patched as the main module's": (
        "unittest",
        """
        import unittest
        from unittest.mock import patch
        class TestCases(unittest.TestCase):
            @patch("__main__.roll", return_value=2)
            def test_greet(self, roll):
                self.assertEqual(greet("x"), "hello x 2")
                roll.assert_called_once()
        if __name__ == "__main__":
            unittest.main()
        """,
        "greet",
    ),
}
TEST = "assert f(1) == 2\nassert f(2) == 3"
CASES = """
import unittest
class TestCases(unittest.TestCase):
    def test_one(self): self.assertEqual(f(1), 2)
    def test_two(self): self.assertEqual(f(2), 3)
"""
FILE = "from solution import f\ndef test_one(): assert f(1) == 2\ndef test_two(): assert f(2) == 3\n"
KINDS: dict[Any, str] = {"script": TEST, "check": "def check(f):\n    assert f(1) == 2\n    assert f(2) == 3", "unittest": CASES, "pytest": FILE}  # fmt: skip


def run(
    pool: Pool,
    program: str,
    test: str,
    kind: Any = "script",
    entry_point: str | None = "f",
    limits: Limits = LIMITS,
) -> Outcome:
    work = Judge(kind=kind, test=dedent(test), entry_point=entry_point, in_process=True)
    outcome = pool.run(Job(id="job", program=dedent(program), work=work, limits=limits))
    assert outcome.status is not Status.INFRA and outcome.attempts == 1, outcome
    assert outcome_from_json("job", outcome_to_json(outcome)) == outcome
    return outcome


@pytest.mark.parametrize("name", ONLY_HERE)
def test_what_needs_the_programs_own_process_passes(pool: Pool, name: str) -> None:
    kind, test, entry_point = ONLY_HERE[name]
    outcome = run(pool, PROGRAM, test, kind, entry_point)
    assert outcome.passed and outcome.status is Status.OK, outcome
    assert outcome.tests and all(unit.passed for unit in outcome.tests)


@pytest.mark.parametrize("kind", KINDS)
def test_each_unit_has_its_credit(pool: Pool, kind: str) -> None:
    half = run(pool, "def f(x): return 2", KINDS[kind], kind)
    assert [unit.passed for unit in half.tests] == [True, False] and half.passed is False
    assert half.error is not None and half.error.phase == "wrong"
    assert run(pool, "def f(x): return x + 1", KINDS[kind], kind).passed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("program", "status", "phase"),
    [
        ("def f(x) return 1", Status.COMPILE_ERROR, "compile"),
        ("import nowhere", Status.EXCEPTION, "import"),
        ("def g(x): return x + 1", Status.EXCEPTION, "entry"),
        ("def f(x): return [][x]", Status.EXCEPTION, "call"),
        ("import os\ndef f(x): os._exit(0)", Status.KILLED, "call"),
        ("import os\nos._exit(0)", Status.KILLED, "call"),
        ("raise SystemExit(0)", Status.EXCEPTION, "import"),
        ("def f(x): raise SystemExit", Status.EXCEPTION, "call"),
    ],
)
def test_a_failure_says_what_it_was(pool: Pool, kind: str, program: str, status: Status, phase: str) -> None:
    outcome = run(pool, program, KINDS[kind], kind)
    assert not outcome.passed and outcome.error is not None, outcome
    assert (outcome.status, outcome.error.phase) == (status, phase), outcome


@pytest.mark.parametrize(
    "program",
    [
        "import os\nos.write(4, b'x' * 100)\nos._exit(0)",
        "import os\ndef f(x): os.close(4); return x + 1",
        """
        import json, os, struct
        frame = {"passed": True, "run": "0" * 32, "error": None,
                 "units": [{"name": "n", "passed": True, "error": None}]}
        body = json.dumps(frame).encode()
        os.write(4, struct.pack(">I", len(body)) + body)
        os._exit(0)
        """,
        "import sys\nsys.stdout = None\ndef f(x): sys.exit(0)",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0",
        "import unittest\nclass Mine(unittest.TestCase):\n    def test_mine(self): pass\ndef f(x): return 0",
        "def test_mine(): pass\ndef f(x): return 0",
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_ideas_of_a_forger_fail(pool: Pool, kind: str, program: str) -> None:
    outcome = run(pool, program, KINDS[kind], kind)
    assert not outcome.passed, outcome


def test_an_endless_loop_ends_and_a_test_without_an_assert_is_no_pass(pool: Pool) -> None:
    limits = Limits(cpu_seconds=0.3, total_cpu_seconds=1.0, wall_seconds=20.0, scratch_bytes=16 << 20)
    outcome = run(pool, "def f(x):\n    while True: pass", TEST, limits=limits)
    assert outcome.status is Status.CPU_TIMEOUT and not outcome.passed
    assert not run(pool, "def f(x): return 1", "for each in []: assert f(each)").passed
    assert not run(pool, "def f(x): return 1", "this is no test").passed


@pytest.mark.parametrize(
    "claim",
    [
        None,
        {},
        {"units": 3},
        {"units": [3, {"name": [], "passed": 1, "error": 5}]},
        {
            "units": [
                {"name": "n" * 10_000, "passed": True, "error": {"phase": [], "frames": 7, "type": None}}
            ]
        },
        {"units": [{}] * 100_000},
        {"units": [{"passed": True, "error": {"type": "E", "phase": "wrong", "frames": [[1, 2]]}}]},
    ],
)
def test_a_claim_is_data_whatever_it_holds(claim: dict[str, Any] | None) -> None:
    for unit in together_job._units(claim):
        assert not unit.passed and len(unit.name) <= 200
