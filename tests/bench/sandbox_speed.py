"""Programs a second, beside what one would do without this sandbox, in turns in one run.

    python -m tests.bench.sandbox_speed [--rounds 3] [--slots 2] [--evalplus PYTHON]

The programs are HumanEval's references with all their tests; ours are graded by `Grader` on docker cells, every verdict
isolated and passed. `call`: the tasks whose asserts compile to calls; `judge`: all tasks, each through a judge; `whole`: all
tasks as grading does them; `stdio`: references of 40 tasks as scripts, 8 inputs each, an input a run.

The alternatives: `plain` is `python -I` in a subprocess for each program (for `stdio`: each input), two at once, without limits
or seccomp, in a container of the very image that our programs run in, so with the same interpreter and files; `evalplus` is
its `untrusted_check` on two processes (of the interpreter given); `exec` and `run` are the `docker` command's, two at once.

Rates depend on what else the machine does. CPU seconds (all processes on both sides, except docker's) do so much less.
Ends with one JSON line: medians over the rounds, of ratios too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sandbox
from sandbox import image
from sandbox.backends.docker import OWNER_LABEL, connect
from sandbox.protocol import Calls, Job, Judge, Runner
from tasks.datasets import load
from tasks.grade import Grader, works_of
from tasks.types import JudgeTest, StdioTest, Task
from tests.conformance.grade_references import DATA

HERE = Path(__file__).parent
STDIO_TASKS, STDIO_INPUTS = 40, 8
EXEC_PROGRAMS, RUN_PROGRAMS = 30, 10
Timing = tuple[int, float, float]  # programs, seconds, CPU seconds


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
    return runs, seconds, cpu + sum(verdict.cpu_seconds for verdict in verdicts)


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
    return len(jobs), seconds, cpu + sum(outcome.cpu_seconds for outcome in outcomes)


class Passes:
    """A process that makes one pass over its programs for each line that it is sent."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, name: str, programs: int) -> Timing:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return programs, answer["seconds"], answer["cpu_seconds"]

    def close(self) -> None:
        self._process.communicate()


def commands(lines: Sequence[list[str]]) -> Timing:
    def run(line: list[str]) -> None:
        subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, lines))
    return len(lines), time.perf_counter() - started, 0.0


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
    for number, task in enumerate(scripts):
        (folder / f"script{number}.py").write_text(task.reference or "")
        sets["stdio"] += [(f"/bench/script{number}.py", test.stdin) for test in task.tests]  # type: ignore[union-attr]
    (folder / "programs.json").write_text(json.dumps(sets))
    (folder / "plain_programs.py").write_text((HERE / "plain_programs.py").read_text())
    folder.chmod(0o755)


def measure(
    contests: dict[str, tuple[str, Callable[[], Timing], Callable[[], Timing]]], rounds: int
) -> dict[str, Any]:
    """Medians, by the contest's name (ours-alternative), of rates and ratios."""
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in contests}
    for number in range(rounds):
        for name, (_, ours, theirs) in contests.items():
            (n, seconds, cpu), (m, their_seconds, their_cpu) = ours(), theirs()
            cpu_ratio = their_cpu / m / (cpu / n)
            rows[name].append(
                (n / seconds, m / their_seconds, n / seconds / (m / their_seconds), 1e3 * cpu / n, cpu_ratio)
            )
            print(
                f"round {number + 1} {name}: {n / seconds:.1f}/s, {m / their_seconds:.1f}/s, ratio {rows[name][-1][2]:.2f}; "
                f"CPU {1e3 * cpu / n:.2f} ms, {1e3 * their_cpu / m:.2f} ms, ratio {cpu_ratio:.2f}",
                flush=True,
            )
    figures: dict[str, Any] = {}
    for name, (target, _, _) in contests.items():
        medians = [round(statistics.median(column), 3) for column in zip(*rows[name], strict=True)]
        figures[name] = dict(
            zip(
                ("ours_per_second", "theirs_per_second", "ratio", "cpu_ms", "cpu_ratio"), medians, strict=True
            )
        )
        print(f"{name}: ratio {medians[2]:.2f} (target {target}), by CPU time {medians[4]:.2f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument(
        "--evalplus", metavar="PYTHON", help="an interpreter with evalplus; without, that contest is left out"
    )
    options = parser.parse_args()
    tasks = load(f"humaneval={DATA / 'humaneval' / 'HumanEval.jsonl'}")
    call = [task for task in tasks if isinstance(works_of(task)[0], Calls)]
    scripts = stdio_tasks(tasks)
    inputs = len(scripts) * STDIO_INPUTS
    client = connect()
    tag = image.ensure(client)["program"]
    client.close()
    cold = statistics.median(cold_start_seconds(options.slots) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder, sandbox.open_pool(options.slots, "docker") as pool:
        write_programs(Path(folder), tasks, call, scripts)
        grader = Grader(pool)
        container = [
            "--rm",
            "--network",
            "none",
            "--security-opt",
            "seccomp=unconfined",
            "--volume",
            f"{folder}:/bench:ro",
        ]
        plain = Passes(
            [
                "docker",
                "run",
                "--interactive",
                *container,
                tag,
                "python3",
                "-I",
                "/bench/plain_programs.py",
                "/bench",
            ]
        )
        idle = subprocess.check_output(
            ["docker", "run", "--detach", *container, tag, "sleep", "infinity"], text=True
        ).strip()
        executed = [["docker", "exec", idle, "python3", "-I", f"/bench/{n}.py"] for n in range(EXEC_PROGRAMS)]
        started = [
            ["docker", "run", *container, tag, "python3", "-I", f"/bench/{n}.py"] for n in range(RUN_PROGRAMS)
        ]
        whole = lambda: graded(grader, tasks)  # noqa: E731
        contests = {
            "call-plain": ("3", lambda: graded(grader, call), lambda: plain.run("call", len(call))),
            "judge-plain": ("1.5", lambda: judged(pool, tasks), lambda: plain.run("whole", len(tasks))),
            "stdio-plain": ("2.5", lambda: graded(grader, scripts), lambda: plain.run("stdio", inputs)),
            "whole-plain": ("none", whole, lambda: plain.run("whole", len(tasks))),
        }
        evalplus = None
        if options.evalplus:
            file = DATA / "humanevalplus" / "HumanEvalPlus.jsonl.gz"
            evalplus = Passes([options.evalplus, str(HERE / "evalplus_programs.py"), str(file)])
            contests["whole-evalplus"] = ("1.8", whole, lambda: evalplus.run("pass", len(tasks)))
        contests["whole-exec"] = ("10", whole, lambda: commands(executed))
        contests["whole-run"] = ("40", whole, lambda: commands(started))
        try:
            judged(pool, tasks)  # cells open, caches fill
            figures = measure(contests, options.rounds)
            memory = supervisors_mib()
        finally:
            plain.close()
            if evalplus:
                evalplus.close()
            subprocess.run(["docker", "rm", "--force", idle], stdout=subprocess.DEVNULL, check=True)
    print(
        f"cold start of {options.slots} slots {cold:.2f} s (target 3); supervisors {memory} MiB (target 25)"
    )
    print(
        json.dumps(
            {
                "slots": options.slots,
                "cold_start_seconds": round(cold, 2),
                "supervisor_mib": memory,
                **figures,
            }
        )
    )


if __name__ == "__main__":
    main()
