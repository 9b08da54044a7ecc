"""`coderl sandbox bench`: what this machine can do, in a minute. tests/bench/ has the thorough comparisons."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import sandbox
from sandbox.protocol import Call, Calls, Job, Judge, Runner, Status, Stdio

_PROGRAM = "def f(x):\n    return sorted(str(x) * 3)\n"
_SCRIPT = "print(sum(map(int, input().split())))\n"
_TEST = "for n in range(5):\n    assert f(n) == sorted(str(n) * 3)\n"
_WORKS: dict[str, tuple[str, Calls | Judge | Stdio]] = {
    "calls": (_PROGRAM, Calls(tuple(Call("f", (n,)) for n in range(5)))),
    "judge": (_PROGRAM, Judge(kind="script", test=_TEST, entry_point="f")),
    "stdio_8": (_SCRIPT, Stdio(tuple(f"{n} 1" for n in range(8)))),
}


def measure(backend: str, slots: int, programs: int) -> None:
    """Prints a table and a JSON line: programs a second by kind of test, medians of three rounds."""
    started = time.perf_counter()
    with sandbox.open_pool(slots, backend, report=print) as pool:
        figures: dict[str, object] = {
            "backend": pool.backend,
            "slots": slots,
            "cold_start_seconds": round(time.perf_counter() - started, 2),
        }
        for name in _WORKS:
            _run(pool, name, slots)  # cells open
        rounds = [_round(pool, slots, programs) for _ in range(3)]
        for name in rounds[0]:
            figures[f"{name}_per_second"] = round(statistics.median(each[name] for each in rounds), 1)
    for name, figure in figures.items():
        print(f"{name:<28}{figure}")
    print(json.dumps(figures))


def _round(pool: Runner, slots: int, programs: int) -> dict[str, float]:
    rates = {name: _rate(partial(_run, pool, name, programs), programs) for name in _WORKS}
    return {**rates, **_plain(slots)}


def _run(pool: Runner, kind: str, count: int) -> None:
    program, work = _WORKS[kind]
    futures = [pool.submit(Job(id=f"{n}", program=program, work=work)) for n in range(count)]
    bad = [outcome for future in futures if (outcome := future.result()).status is not Status.OK]
    if bad:
        raise RuntimeError(f"a program that is right failed: {bad[0]}")


def _plain(slots: int) -> dict[str, float]:
    """The same program in fresh interpreters, unisolated, `slots` at a time."""
    count = 10 * slots
    line = [sys.executable, "-I", "-c", _PROGRAM + _TEST]

    def run() -> None:
        for _ in range(count // slots):
            for process in [subprocess.Popen(line) for _ in range(slots)]:
                process.wait()

    return {"plain_unisolated_python": _rate(run, count)}


def _rate(run: Callable[[], None], count: int) -> float:
    started = time.perf_counter()
    run()
    return count / (time.perf_counter() - started)
