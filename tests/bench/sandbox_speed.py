"""Programs a second, beside what one would do without this sandbox, in turns in one run.

    python -m tests.bench.sandbox_speed [--rounds 3] [--slots 2] [--evalplus PYTHON] [--only CONTEST...]

The programs are HumanEval's references with all their tests; ours are graded by `Grader` on docker cells, every verdict
isolated and passed. `call`: the tasks whose asserts compile to calls; `judge`: all tasks, each through a judge; `whole`: all
tasks as grading does them; `stdio`: references of 40 tasks as scripts, 8 inputs each, an input a run. A pass runs its
programs three times over on both sides, as one of them (HumanEval/75) alone takes as long as a hundred others. The sides
go first in turns.

The alternatives: `plain` is `python -I` in a subprocess for each program (for `stdio`: each input), two at once, without limits
or seccomp, in a container of the very image that our programs run in, so with the same interpreter and files; `evalplus` is
its `untrusted_check` on two processes (of the interpreter given); `exec` and `run` are the `docker` command's, two at once.

Rates depend on what else the machine does. CPU seconds (all processes on both sides, except docker's) do so much less.
Ends with one JSON line: medians over the rounds, of ratios too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import sandbox
from sandbox import image
from sandbox.backends.docker import OWNER_LABEL
from sandbox.backends.engine import connect
from sandbox.protocol import Calls, Job, Judge, Runner
from tasks.datasets import load
from tasks.grading.grader import Grader, works_of
from tasks.types import JudgeTest, StdioTest, Task
from tests.conformance.grade_references import DATA

HERE = Path(__file__).parent
STDIO_TASKS, STDIO_INPUTS = 40, 8
REPEATS = 3  # of the programs in a pass
EXEC_PROGRAMS, RUN_PROGRAMS = 30, 10
SETTLE_SECONDS = (
    3  # in which the engine clears away what it was asked for, which no other pass should pay for
)
Contest = tuple[str, Callable[[], "Timing"], Callable[[], "Timing"]]  # target, ours, the alternative


class Timing(NamedTuple):
    programs: int
    seconds: float
    cpu_seconds: float | None  # None: Docker's, which cannot be told apart


def stdio_tasks(tasks: Sequence[Task]) -> list[Task]:
    """Scripts that read the arguments of one call from standard input."""
    made = []
    for task in tasks:
        (work,) = works_of(task)
        if not isinstance(work, Calls) or any(call.kwargs for call in work.calls):
            continue
        calls = (work.calls * STDIO_INPUTS)[:STDIO_INPUTS]
        script = f"{task.reference}\nprint(len(repr({calls[0].function}(*eval(input())))) > 0)\n"
        tests = tuple(StdioTest(stdin=f"{call.args!r}\n", stdout="True\n") for call in calls)
        made.append(Task(id=task.id, prompt="", tests=tests, reference=script))
    return made[:STDIO_TASKS]


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def graded(grader: Grader, tasks: Sequence[Task]) -> Timing:
    started, cpu = time.perf_counter(), cpu_seconds()
    verdicts = [future.result() for future in [grader.submit(task, task.reference) for task in tasks]]
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    assert all(verdict.passed and verdict.trust == "isolated" for verdict in verdicts)
    runs = sum(len(task.tests) for task in tasks) if isinstance(tasks[0].tests[0], StdioTest) else len(tasks)  # type: ignore[index, arg-type, misc]
    return Timing(runs, seconds, cpu + sum(verdict.cpu_seconds for verdict in verdicts))


def judged(runner: Runner, tasks: Sequence[Task]) -> Timing:
    jobs = []
    for task in tasks:
        (test,) = task.tests  # type: ignore[misc]
        assert isinstance(test, JudgeTest)
        work = Judge(kind=test.kind, test=test.source, entry_point=task.entry_point, prompt=task.context)
        jobs.append(Job(id=task.id, program=task.reference or "", work=work))
    started, cpu = time.perf_counter(), cpu_seconds()
    outcomes = [future.result() for future in [runner.submit(job) for job in jobs]]
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    assert all(outcome.passed for outcome in outcomes)
    return Timing(len(jobs), seconds, cpu + sum(outcome.cpu_seconds for outcome in outcomes))


class Passes:
    """A process that makes one pass over its programs for each line that it is sent."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name: str, programs: int) -> Timing:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Timing(programs, answer["seconds"], answer["cpu_seconds"])

    def close(self) -> None:
        self._process.communicate()


def commands(lines: Sequence[list[str]]) -> Timing:
    def run(line: list[str]) -> None:
        subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, lines))
    seconds = time.perf_counter() - started
    time.sleep(SETTLE_SECONDS)
    return Timing(len(lines), seconds, None)


def cold_start_seconds(slots: int) -> float:
    started = time.perf_counter()
    with sandbox.open_pool(slots, "docker"):
        return time.perf_counter() - started


def supervisors_mib() -> dict[str, float]:
    """Resident memory of the largest supervisor of each image."""
    client, found = connect(), dict[str, float]()
    roles = {identity: role for role, identity in (image.find(client) or {}).items()}
    for container in client.containers.list(filters={"label": OWNER_LABEL}):
        if not container.labels[OWNER_LABEL].startswith(f"{os.getpid()}:"):
            continue
        status = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text()
        role = roles[container.attrs["Image"]]
        found[role] = max(found.get(role, 0.0), int(status.split("VmRSS:")[1].split()[0]) / 1024)
    client.close()
    return found


def write_programs(
    folder: Path, tasks: Sequence[Task], call: Sequence[Task], scripts: Sequence[Task]
) -> None:
    """What `plain_programs.py` runs: each program with its test appended, or with its inputs."""
    sets: dict[str, list[tuple[str, str | None]]] = {"call": [], "whole": [], "stdio": []}
    for number, task in enumerate(tasks):
        (test,) = task.tests  # type: ignore[misc]
        source = f"{task.reference}\n{test.source}\ncheck({task.entry_point})\n"  # type: ignore[union-attr]
        (folder / f"{number}.py").write_text(source)
        sets["whole"].append((f"/bench/{number}.py", None))
        if task in call:
            sets["call"].append((f"/bench/{number}.py", None))
    sets = {name: programs * REPEATS for name, programs in sets.items()}
    for number, task in enumerate(scripts):
        (folder / f"script{number}.py").write_text(task.reference or "")
        sets["stdio"] += [(f"/bench/script{number}.py", test.stdin) for test in task.tests] * REPEATS  # type: ignore[union-attr]
    (folder / "programs.json").write_text(json.dumps(sets))
    (folder / "plain_programs.py").write_text((HERE / "plain_programs.py").read_text())
    folder.chmod(0o755)


def measure(contests: dict[str, Contest], rounds: int) -> dict[str, Any]:
    """Medians, by the contest's name (ours-alternative), of rates and ratios."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in contests}
    for number in range(rounds):
        for name, (_, ours, theirs) in contests.items():
            mine, other = (ours(), theirs()) if number % 2 == 0 else (theirs(), ours())[::-1]
            row = compared(mine, other)
            rows[name].append(row)
            print(f"round {number + 1} {name}: {line(row)}", flush=True)
    figures: dict[str, Any] = {}
    for name, (target, _, _) in contests.items():
        figures[name] = {
            key: round(statistics.median(row[key] for row in rows[name]), 3) for key in rows[name][0]
        }
        print(f"{name} (target {target}): {line(figures[name])}")
    return figures


def compared(ours: Timing, theirs: Timing) -> dict[str, float]:
    rates = [timing.programs / timing.seconds for timing in (ours, theirs)]
    row = {"ours_per_second": rates[0], "theirs_per_second": rates[1], "ratio": rates[0] / rates[1]}
    if ours.cpu_seconds is None or theirs.cpu_seconds is None:
        return row
    cpu = [1e3 * ours.cpu_seconds / ours.programs, 1e3 * theirs.cpu_seconds / theirs.programs]
    return row | {"cpu_ms": cpu[0], "their_cpu_ms": cpu[1], "cpu_ratio": cpu[1] / cpu[0]}


def line(row: dict[str, float]) -> str:
    text = f"{row['ours_per_second']:.1f}/s, {row['theirs_per_second']:.1f}/s, ratio {row['ratio']:.2f}"
    if "cpu_ms" in row:
        text += f"; CPU {row['cpu_ms']:.2f} ms, {row['their_cpu_ms']:.2f} ms, ratio {row['cpu_ratio']:.2f}"
    return text


def contests_of(
    tasks: Sequence[Task], pool: Runner, tag: str, evalplus: str | None, open_now: ExitStack
) -> dict[str, Contest]:
    """Starts the alternatives, which `open_now` stops."""
    call = [task for task in tasks if isinstance(works_of(task)[0], Calls)]
    scripts = stdio_tasks(tasks)
    folder = open_now.enter_context(tempfile.TemporaryDirectory())
    write_programs(Path(folder), tasks, call, scripts)
    flags = f"--rm --network none --security-opt seccomp=unconfined --volume {folder}:/bench:ro".split()
    all_at_once = ["python3", "-I", "/bench/plain_programs.py", "/bench"]
    plain = open_now.enter_context(
        closing(Passes(["docker", "run", "--interactive", *flags, tag, *all_at_once]))
    )
    idle = subprocess.check_output(
        ["docker", "run", "--detach", *flags, tag, "sleep", "infinity"], text=True
    ).strip()
    open_now.callback(
        subprocess.run, ["docker", "rm", "--force", idle], stdout=subprocess.DEVNULL, check=True
    )
    one = [["python3", "-I", f"/bench/{number}.py"] for number in range(EXEC_PROGRAMS)]
    executed = [["docker", "exec", idle, *command] for command in one]
    started = [["docker", "run", *flags, tag, *command] for command in one[:RUN_PROGRAMS]]
    tasks, call, scripts = list(tasks) * REPEATS, call * REPEATS, scripts * REPEATS
    grader, inputs = Grader(pool), len(scripts) * STDIO_INPUTS

    def whole() -> Timing:
        return graded(grader, tasks)

    contests: dict[str, Contest] = {
        "call-plain": ("3", lambda: graded(grader, call), lambda: plain.run("call", len(call))),
        "judge-plain": ("1.5", lambda: judged(pool, tasks), lambda: plain.run("whole", len(tasks))),
        "stdio-plain": ("2.5", lambda: graded(grader, scripts), lambda: plain.run("stdio", inputs)),
        "whole-plain": ("none", whole, lambda: plain.run("whole", len(tasks))),
        "whole-exec": ("10", whole, lambda: commands(executed)),
        "whole-run": ("40", whole, lambda: commands(started)),
    }
    if evalplus:
        file = DATA / "humanevalplus" / "HumanEvalPlus.jsonl.gz"
        command = [evalplus, str(HERE / "evalplus_programs.py"), str(file), str(REPEATS)]
        theirs = open_now.enter_context(closing(Passes(command)))
        contests["whole-evalplus"] = ("1.8", whole, lambda: theirs.run("pass", len(tasks)))
    return contests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument(
        "--evalplus", metavar="PYTHON", help="an interpreter with evalplus; without, that contest is left out"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="CONTEST", help="such as call-plain; without, all of them"
    )
    options = parser.parse_args()
    tasks = load(f"humaneval={DATA / 'humaneval' / 'HumanEval.jsonl'}")
    with closing(connect()) as client:
        tag = image.ensure(client)["program"]
    cold = statistics.median(cold_start_seconds(options.slots) for _ in range(3))
    with sandbox.open_pool(options.slots, "docker") as pool, ExitStack() as open_now:
        contests = contests_of(tasks, pool, tag, options.evalplus, open_now)
        contests = {name: contests[name] for name in options.only or contests}
        judged(pool, tasks)  # cells open, caches fill
        gc.collect()
        gc.freeze()  # as the daemon does once it has started
        figures = measure(contests, options.rounds)
        memory = supervisors_mib()
    print(
        f"cold start of {options.slots} slots {cold:.2f} s (target 3); supervisors {memory} MiB (target 25)"
    )
    start = {"slots": options.slots, "cold_start_seconds": round(cold, 2), "supervisor_mib": memory}
    print(json.dumps(start | figures))


if __name__ == "__main__":
    main()
