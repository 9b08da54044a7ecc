"""What a cell imports ahead: only what is named in an import, only of a fixed list, and to no visible effect."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.supervisor import modules
from sandbox.pool.pool import Pool
from tests.sandbox.conftest import run_calls


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("import random\n", ["random"]),
        ("def f():\n    from datetime import date", ["datetime"]),
        ("import os, statistics , csv as c", ["csv", "statistics"]),
        ("import os.path, numpy\nfrom . import uuid", []),
        ("random = 1  # from hashlib import md5\nx = 'import csv'", []),
    ],
)
def test_what_a_program_names(source: str, named: list[str]) -> None:
    assert modules.named_by_program(source) == named


def test_only_a_test_may_name_what_is_large() -> None:
    assert modules.named_by_program("import numpy, pytest, unittest") == ["unittest"]
    assert modules.named_by_test("import numpy, pytest, unittest") == ["numpy", "pytest", "unittest"]


@given(st.text(alphabet=st.sampled_from("import from ,random.csv\n\t_x1")))
def test_any_text_names_only_modules_of_the_standard_library(source: str) -> None:
    assert set(modules.named_by_program(source)) <= sys.stdlib_module_names


def test_a_program_that_names_a_module_changes_nothing_for_the_next(pool: Pool) -> None:
    first = "import random, threading\nrandom.seed(5)\nrandom.choice = None\ndef f(x): return threading.active_count()"
    again = (
        "import random\ndef f(x): return [random.choice([1]), random.random() == random.Random(5).random()]"
    )
    assert run_calls(pool, first, 0).tests[0].value == 1
    assert run_calls(pool, again, 0).tests[0].value == [1, False]


def test_no_process_counts_references_to_what_its_supervisor_imported(pool: Pool) -> None:
    program = (
        "import json, random, sys, typing\n"
        "class Own: pass\n"
        "def f(x):\n"
        "    theirs = [json.dumps, json.dumps.__code__.co_consts, random, typing.List, vars(sys)]\n"
        "    return sys.version_info < (3, 12), sys.getrefcount(Own), [sys.getrefcount(each) for each in theirs]\n"
    )
    for _ in range(2):  # `random` is imported later than the others
        found: Any = run_calls(pool, program, 0).tests[0].value
        before_they_were, own, counts = found
        assert own < 100
        assert before_they_were or min(counts) > 2**29, counts


def test_a_program_that_forks_still_gets_what_modules_do_after_a_fork(pool: Pool) -> None:
    program = (
        "import os, random, threading\n"
        "def f(x):\n"
        "    reader, writer = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        os.write(writer, repr(random.random()).encode()); os._exit(0)\n"
        "    os.wait()\n"
        "    return float(os.read(reader, 99)) == random.random()\n"
    )
    assert run_calls(pool, program, 0).tests[0].value is False  # `random` seeds itself anew in a child
