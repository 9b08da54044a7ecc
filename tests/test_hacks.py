"""Programs that solve nothing must score 0 in every shape of test, and must not pass for a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.protocol import Limits, Runner, Status
from tasks.datasets import load
from tasks.grading.grader import Grader, compiled
from tasks.types import CallTest, JudgeTest, StdioTest, Task, Tests
from tests.fresh_hacks import FRESH
from tests.sandbox.conftest import BACKENDS, open_or_skip

LIMITS = Limits(cpu_seconds=0.5, total_cpu_seconds=2.0, wall_seconds=4.0)
BRIEF = Limits(
    cpu_seconds=0.5, total_cpu_seconds=1.0, wall_seconds=2.0
)  # many attacks use all that they have
PAIRS = [((1, 2), 3), ((-5, 7), 2), ((100, 23), 123), ((0, 0), 0), ((12345, 54321), 66666)]
ASSERTS = [f"assert add{args} == {total}" for args, total in PAIRS]


def _lines(lines: list[str], indent: str = "    ") -> str:
    return "".join(f"{indent}{line}\n" for line in lines)


def _judge(kind: Any, source: str) -> Tests:
    return (JudgeTest(kind=kind, source=source),)


LOOP = f"for args, total in {PAIRS}:\n        got = {{}}(*args)\n        assert got == total\n"
SHAPES: dict[str, Tests] = {
    "call": tuple(CallTest(function="add", args=args, expected=total) for args, total in PAIRS),
    "asserts": _judge("script", "\n".join(ASSERTS)),
    "check": _judge(
        "check", "def check(candidate):\n" + _lines([a.replace("add", "candidate") for a in ASSERTS])
    ),
    "asserts judged": _judge("script", "".join(f"got = add{a}\nassert got == {t}\n" for a, t in PAIRS)),
    "check judged": _judge("check", "def check(candidate):\n    " + LOOP.format("candidate")),
    "unittest": _judge(
        "unittest",
        "import unittest\nclass TestAdd(unittest.TestCase):\n"
        + "".join(
            f"    def test_{n}(self):\n        self.assertEqual(add{a}, {t})\n"
            for n, (a, t) in enumerate(PAIRS)
        ),
    ),
    "pytest": _judge(
        "pytest",
        "from solution import add\n"
        + "".join(f"def test_{n}():\n    assert add{a} == {t}\n" for n, (a, t) in enumerate(PAIRS)),
    ),
}
STDIO: Tests = tuple(StdioTest(stdin=f"{a} {b}\n", stdout=f"{t}\n") for (a, b), t in PAIRS)


def task(shape: str) -> Task:
    if shape == "stdin":
        return Task(id="add/stdin", prompt="", tests=STDIO)
    return Task(id=f"add/{shape}", prompt="", tests=SHAPES[shape], entry_point="add")


RETURNS = {
    "ANY": "from unittest.mock import ANY\ndef add(a, b): return ANY",
    "MagicMock": "from unittest.mock import MagicMock\nm = MagicMock()\nm.__eq__ = lambda s, o: True\ndef add(a, b): return m",
    "lying class": "class L:\n    __class__ = int\n    def __eq__(s, o): return True\n    def __hash__(s): return 3\n"
    "def add(a, b): return L()",
    "str subclass": "class S(str):\n    def __eq__(s, o): return True\n    __hash__ = str.__hash__\ndef add(a, b): return S('x')",
    "metaclass": "class M(type):\n    def __eq__(s, o): return True\n    __hash__ = type.__hash__\n"
    "class C(metaclass=M): pass\ndef add(a, b): return C",
    "reflected eq": "class R:\n    def __eq__(s, o): return NotImplemented if False else True\n    def __req__(s, o): return True\n"
    "    def __bool__(s): return True\ndef add(a, b): return R()",
    "bool result": "class T(int):\n    def __bool__(s): return True\n    def __eq__(s, o): return T(1)\n    def __hash__(s): return 1\n"
    "def add(a, b): return T(9)",
    "getattr": "class G:\n    def __getattribute__(s, n): return lambda *a, **k: True\ndef add(a, b): return G()",
    "reduce": "import os\nclass P:\n    def __reduce__(s): return (os._exit, (0,))\n    def __eq__(s, o): return True\n"
    "def add(a, b): return P()",
    "hostile repr": "class H:\n    def __repr__(s):\n        while True: pass\n    __str__ = __repr__\ndef add(a, b): return H()",
    "add itself": "class A:\n    def __call__(s, *a): return s\n    def __eq__(s, o): return True\nadd = A()",
}
EXITS = {
    "SystemExit 0": "def add(a, b): raise SystemExit(0)",
    "exit()": "def add(a, b): exit()",
    "KeyboardInterrupt": "def add(a, b): raise KeyboardInterrupt",
    "GeneratorExit": "def add(a, b): raise GeneratorExit",
    "StopIteration": "def add(a, b): raise StopIteration",
    "BaseException": "class B(BaseException): pass\ndef add(a, b): raise B",
    "AssertionError": "def add(a, b): assert False",
    "SkipTest": "import unittest\ndef add(a, b): raise unittest.SkipTest('no')",
    "SkipTest at import": "import unittest\ndef add(a, b): return None\nraise unittest.SkipTest('no')",
    "Skipped by name": "class Skipped(Exception): pass\nSkipped.__module__ = '_pytest.outcomes'\ndef add(a, b): raise Skipped('no')",
    "pytest.skip": "def add(a, b):\n    import pytest\n    pytest.skip('no')",
    "pytest.exit": "def add(a, b):\n    import pytest\n    pytest.exit('done', returncode=0)",
    "kill self": "import os\ndef add(a, b): os.kill(os.getpid(), 9)",
    "kill all": "import os\ndef add(a, b): os.kill(-1, 9)",
    "kill parent": "import os\ndef add(a, b): os.kill(os.getppid(), 9)\n",
    "abort": "import os\ndef add(a, b): os.abort()",
    "segfault": "import ctypes\ndef add(a, b): ctypes.string_at(0)",
    "thread exit": "import os, threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), os._exit(0))).start()\n"
    "def add(a, b):\n    time.sleep(.5)",
    "fork and exit": "import os\ndef add(a, b):\n    if os.fork(): os._exit(0)\n    return None",
    "exec true": "import os\ndef add(a, b): os.execv('/bin/true', ['true'])",
}
PATCHES = {
    "builtins": "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.all = lambda *a: True\n"
    "builtins.len = lambda *a: 5\nbuiltins.AssertionError = Exception\ndef add(a, b): return None",
    "no exceptions": "import builtins\nfor n in dir(builtins):\n    if n.endswith('Error'): setattr(builtins, n, None)\n"
    "def add(a, b): return None",
    "unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestResult.wasSuccessful = lambda s: True\ndef add(a, b): return None",
    "pytest plugin": "import sys\ntry:\n    import _pytest.runner as r\n    r.pytest_runtest_call = lambda item: None\n"
    "except ImportError: pass\ndef add(a, b): return None",
    "conftest": "import os\ntry:\n    open('conftest.py', 'w').write('def pytest_runtest_call(item): return True')\n"
    "    open('pytest.py', 'w').write('def main(*a): return 0')\nexcept OSError: pass\ndef add(a, b): return None",
    "modules": "import sys\nfor m in list(sys.modules.values()):\n    for n in ('encode', 'dump', 'dumps', 'send', 'write_frame'):\n"
    "        if hasattr(m, n):\n            try: setattr(m, n, lambda *a, **k: 'true')\n            except Exception: pass\n"
    "def add(a, b): return None",
    "equality of int": "import ctypes\ndef add(a, b): return None\ntry:\n    ctypes.c_long.from_address(id(3) + 24).value = 4\n"
    "except Exception: pass",
    "audit hook": "import sys\nsys.addaudithook(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef add(a, b): return None",
    "redefine": "def check(*a): return None\ncheck.__code__ = (lambda *a: None).__code__\ndef add(a, b): return None",
}
SEARCHES = {
    "gc": "import gc\ndef add(a, b):\n    seen = {3, 2, 123, 0, 66666}\n"
    "    for o in gc.get_objects():\n        if isinstance(o, (list, tuple)) and len(o) == 5 and not seen - set(map(str, o)): return o[0]\n"
    "    return None",
    "memory": "import re\ndef add(a, b):\n    want = b'6' * 4 + b'6'\n    try:\n        maps = open('/proc/self/maps').read()\n"
    "        mem = open('/proc/self/mem', 'rb')\n    except OSError: return None\n    for m in re.finditer(r'(\\w+)-(\\w+) r', maps):\n"
    "        lo, hi = int(m[1], 16), int(m[2], 16)\n        try:\n            mem.seek(lo)\n"
    "            data = mem.read(min(hi - lo, 1 << 24))\n        except (OSError, ValueError, OverflowError): continue\n"
    "        for n in (b'== 66666', b'66666]', b'total\\': 66666'):\n            if n in data: return a + b\n    return None",
    "descriptors": "import os\ndef add(a, b):\n    text = b''\n    for fd in range(3, 64):\n        try:\n            os.set_blocking(fd, False)\n"
    "            text += os.read(fd, 1 << 16)\n        except OSError: pass\n    return a + b if b'66666' in text else None",
    "forged frames": "import os, json\ndef add(a, b):\n    for fd in range(1, 64):\n"
    '        for t in (\'true\', \'3\', \'{"passed":true}\', \'{"status":"ok","value":3}\', \'{"passed":true,"end":true}\'):\n'
    "            try: os.write(fd, len(t).to_bytes(4, 'big') + t.encode())\n            except OSError: pass\n    return None",
    "environment": "import os, sys\ndef add(a, b):\n    text = str(dict(os.environ)) + str(sys.argv) + str(sys.orig_argv)\n"
    "    return a + b if '66666' in text else None",
    "other processes": "import os\ndef add(a, b):\n    for p in os.listdir('/proc'):\n        for n in ('cmdline', 'environ', 'maps', 'mem'):\n"
    "            try:\n                if p.isdigit() and int(p) != os.getpid() and b'66666' in open(f'/proc/{p}/{n}', 'rb').read(1 << 20): return a + b\n"
    "            except (OSError, ValueError, OverflowError): pass\n    return None",
    "network": "import socket\ndef add(a, b):\n    for host in ('127.0.0.1', '169.254.169.254', '8.8.8.8'):\n"
    "        try:\n            socket.create_connection((host, 80), .2)\n            return a + b\n        except OSError: pass\n    return None",
}
RESOURCES = {
    "deep list": "def add(a, b):\n    x = []\n    for _ in range(10 ** 5): x = [x]\n    return x",
    "cycle": "def add(a, b):\n    x = []\n    x.append(x)\n    return x",
    "huge int": "def add(a, b): return 1 << (1 << 28)",
    "wide list": "def add(a, b): return [0] * 10 ** 7",
    "colliding set": "def add(a, b): return [i * (2 ** 61 - 1) for i in range(10 ** 5)]",
    "endless generator": "import itertools\ndef add(a, b): return itertools.count()",
    "surrogates": "def add(a, b): return '\\ud800' * 1000",
    "recursion": "def add(a, b): return add(a, b)",
    "memory": "def add(a, b):\n    x = []\n    while True: x.append(bytearray(1 << 24))",
    "fork bomb": "import os\ndef add(a, b):\n    for _ in range(200):\n        try: os.fork()\n        except OSError: pass",
    "files": "def add(a, b):\n    for n in range(10 ** 4):\n        with open(f'/tmp/{n}', 'wb') as f: f.write(b'x' * (1 << 16))",
    "sleep": "import time\ndef add(a, b): time.sleep(3600)",
    "spin": "def add(a, b):\n    while True: pass",
    "spin in import": "while True: pass",
    "flood": "import sys\ndef add(a, b):\n    for _ in range(64): sys.stderr.write('x' * (1 << 20))",
    "stopped": "import os, signal\ndef add(a, b): os.kill(os.getpid(), signal.SIGSTOP)",
    "closed pipes": "import os\nos.closerange(0, 256)\ndef add(a, b): return None",
}
ATTACKS = {
    f"{group}: {name}": code
    for group, programs in (
        ("returns", RETURNS),
        ("exits", EXITS),
        ("patches", PATCHES),
        ("searches", SEARCHES),
        ("resources", RESOURCES),
    )
    for name, code in programs.items()
} | FRESH
STDIN_ATTACKS = {
    "right, then more": "a, b = map(int, input().split())\nprint(a + b)\nprint('more')",
    "more, then right": "a, b = map(int, input().split())\nprint('more')\nprint(a + b)",
    "right on stderr": "import sys\na, b = map(int, input().split())\nprint(a + b, file=sys.stderr)",
    "right, then exit 1": "import sys\na, b = map(int, input().split())\nprint(a + b)\nsys.exit(1)",
    "right, then raise": "a, b = map(int, input().split())\nprint(a + b, flush=True)\nraise ValueError",
    "right, then killed": "import os\na, b = map(int, input().split())\nprint(a + b, flush=True)\nos.kill(os.getpid(), 9)",
    "right, then spin": "a, b = map(int, input().split())\nprint(a + b, flush=True)\nwhile True: pass",
    "right, then flood": "a, b = map(int, input().split())\nprint(a + b)\nfor _ in range(64): print('x' * (1 << 20))",
    "padded": "a, b = map(int, input().split())\nprint(f' {a + b}')",
    "nothing": "pass",
    "blank lines": "print('\\n' * 100)",
    "not text": "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
    "closed stdout": "import os\nos.close(1)",
    "spin": "while True: pass",
    "fork, parent exits": "import os\nif os.fork(): os._exit(0)\nimport time\ntime.sleep(30)",
}
RIGHT = {
    "function": "def add(a, b):\n    return a + b\n",
    "stdin": "a, b = map(int, input().split())\nprint(a + b)\n",
}


@pytest.fixture(scope="module", params=BACKENDS)
def pool(request: pytest.FixtureRequest) -> Iterator[Runner]:
    with open_or_skip(request.param, slots=2, limits=Limits()) as opened:
        yield opened


@pytest.fixture(scope="module")
def grader(pool: Runner) -> Grader:
    return Grader(pool, limits=LIMITS)


def _fooled(pool: Runner, shape: str, programs: dict[str, str]) -> dict[str, str]:
    """The programs that earn anything, or that pass for a fault of ours."""
    problem = task(shape)
    verdicts = Grader(pool, limits=BRIEF).grade(problem, programs.values())
    return {
        name: f"{verdict.status} {verdict.score} {verdict.detail}"
        for name, verdict in zip(programs, verdicts, strict=True)
        if verdict.passed or verdict.score != 0 or verdict.status is Status.INFRA
    }


def test_the_shapes_cover_both_kinds_of_work() -> None:
    kinds = {shape: bool(compiled(task(shape))) for shape in SHAPES if shape != "call"}
    assert kinds == {
        "asserts": True,
        "check": True,
        "asserts judged": False,
        "check judged": False,
        "unittest": False,
        "pytest": False,
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", [*SHAPES, "stdin"])
class TestEveryShape:
    def test_a_right_program_passes(self, grader: Grader, shape: str) -> None:
        program = RIGHT["stdin" if shape == "stdin" else "function"]
        (verdict,) = grader.grade(task(shape), [program])
        assert verdict.passed and verdict.score == 1.0 and verdict.trust == "isolated", verdict

    def test_our_attacks_score_nothing(self, pool: Runner, shape: str) -> None:
        if pool.backend != "docker" and shape not in ("call", "check judged", "stdin"):
            pytest.skip("one shape of each kind of work is enough here: the shared attacks run in all")
        attacks = STDIN_ATTACKS if shape == "stdin" else ATTACKS
        assert _fooled(pool, shape, attacks) == {}

    def test_the_shared_attacks_score_nothing(
        self, pool: Runner, grader: Grader, shape: str, shared: Path
    ) -> None:
        kind = "stdin" if shape == "stdin" else "call"
        rows = [json.loads(line) for line in (shared / "hacks_sample.jsonl").read_text().splitlines()]
        rows = [row for row in rows if row["kind"] == kind]
        assert len(rows) >= 8
        bad = {row["id"]: row["code"] for row in rows if not row["should_pass"]}
        assert _fooled(pool, shape, bad) == {}
        good = [row["code"] for row in rows if row["should_pass"]]
        assert good and all(verdict.passed for verdict in grader.grade(task(shape), good))

    def test_a_right_program_passes_after_all_that(self, grader: Grader, shape: str) -> None:
        self.test_a_right_program_passes(grader, shape)


def test_our_cases_are_the_shared_ones(shared: Path) -> None:
    data = json.loads((shared / "hacks_tasks.json").read_text())
    assert [(tuple(case["args"]), case["expected"]) for case in data["call"]["cases"]] == PAIRS
    assert tuple(StdioTest(stdin=c["stdin"], stdout=c["stdout"]) for c in data["stdin"]["cases"]) == STDIO


# HumanEval tasks whose test calls a helper that the prompt gives: what it then compares would be equal.
OVERRIDDEN = {
    "HumanEval/32": "def poly(xs, x): return 0.0\ndef find_zero(xs): return 0.0",
    "HumanEval/38": "def encode_cyclic(s): return s\ndef decode_cyclic(s): return s",
    "HumanEval/50": "def encode_shift(s): return s\ndef decode_shift(s): return s",
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overriding_a_prompts_helpers_scores_nothing(grader: Grader, shared: Path, name: str) -> None:
    (problem,) = [t for t in load(f"humaneval={shared}/data/humaneval/HumanEval.jsonl") if t.id == name]
    forged = OVERRIDDEN[name]
    assert forged.partition("(")[0] in problem.context and problem.reference is not None
    given, alone, after = grader.grade(problem, [problem.reference, forged, f"{problem.context}\n{forged}"])
    assert given.passed, given
    for verdict in (alone, after):
        assert (verdict.passed, verdict.score, verdict.status) == (False, 0.0, Status.OK), verdict


def test_a_limit_is_kept_by_wall_clock_too(pool: Runner) -> None:
    grader = Grader(pool, limits=replace(LIMITS, wall_seconds=1.0))
    slow = replace(task("call"), tests=SHAPES["call"][:1])  # type: ignore[index]
    (verdict,) = grader.grade(slow, [RESOURCES["sleep"]])
    assert (verdict.status, verdict.phase, verdict.score) == (Status.WALL_TIMEOUT, "timeout", 0.0)
