"""Dialogues: program and interactor joined by pipes, and who is to blame for how one ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.daemon.schema import JobModel
from sandbox.job_json import job_to_json, outcome_from_json, outcome_to_json
from sandbox.pool.pool import Pool
from sandbox.protocol import Dialogues, Job, Limits, Outcome, Status
from tests.sandbox.conftest import LIMITS

GUESS = """
import sys
secret = int(open(sys.argv[1]).read())
for turn in range(12):
    line = sys.stdin.readline()
    if not line.strip().isdigit():
        print("no guess:", repr(line[:20]), file=sys.stderr)
        sys.exit(2)
    guess = int(line)
    if guess == secret:
        print("=", flush=True)
        print(f"{turn + 1} turns", file=sys.stderr)
        sys.exit(0)
    print("<" if secret < guess else ">", flush=True)
print("too many turns", file=sys.stderr)
sys.exit(1)
"""
BISECT = """
low, high = 1, 1000
while True:
    middle = (low + high) // 2
    print(middle, flush=True)
    answer = input()
    if answer == "=": break
    low, high = (low, middle - 1) if answer == "<" else (middle + 1, high)
"""
# What a program can do to get away with it: (program, the statuses that may come of it).
ATTACKS = {
    "never reads, and floods": ("while True: print('x' * 100_000, flush=True)", None),
    "never reads, and floods with guesses": ("while True: print('1\\n' * 50_000, flush=True)", None),
    "says nothing": ("import time\ntime.sleep(60)", {Status.WALL_TIMEOUT}),
    "waits for what never comes": ("input()", {Status.WALL_TIMEOUT}),
    "leaves at once": ("import os\nos._exit(0)", {Status.OK}),
    "leaves with an error": ("raise ValueError", {Status.EXCEPTION}),
    "dies of a signal": ("import os\nos.kill(os.getpid(), 9)", {Status.KILLED}),
    "spends its time": ("while True: pass", {Status.CPU_TIMEOUT, Status.WALL_TIMEOUT}),  # the latter on a busy host
    "spends its memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))", {Status.MEMORY, Status.WALL_TIMEOUT}),
    "floods stderr": ("import sys\nwhile True: sys.stderr.write('x' * 100_000)", None),
    "sends no text": ("import os\nos.write(1, b'\\xff\\xfe\\x00\\n')\ninput()", None),
    "sends an endless line": ("import sys\nwhile True: sys.stdout.write('1' * 100_000)", None),
    "closes its streams": ("import os, time\nos.close(1); os.close(0); time.sleep(60)", None),
    "reads the interactor's files": (
        "import glob\nfor name in ('input.txt', '/tmp/input.txt', *glob.glob('/proc/*/cwd/input.txt')):\n"
        "    try: print(int(open(name).read()), flush=True); input(); break\n"
        "    except OSError: pass\n",
        None,
    ),
    "keeps the pipe open in a child": ("import os, time\nif os.fork() == 0:\n    time.sleep(60)\nos._exit(0)", None),
    "answers itself": (
        "import os\nfor name in ('/proc/self/fd/0', '/proc/self/fd/1'):\n"
        "    try: open(name, 'w').write('=\\n')\n    except OSError: pass\ninput()",
        None,
    ),
    "accepts itself by frames": ("import os\nos.write(4, b'\\0\\0\\0\\x0f{\"began\": true}')\nos._exit(0)", None),
}  # fmt: skip
QUICK = replace(LIMITS, cpu_seconds=0.5, wall_seconds=3.0, total_cpu_seconds=2.0)


def run(pool: Pool, program: str, interactor: str = GUESS, *inputs: str, limits: Limits = LIMITS) -> Outcome:
    cases = tuple((given, "") for given in inputs or ("700",))
    job = Job(id="d", program=program, work=Dialogues(interactor=interactor, cases=cases), limits=limits)
    assert replace(JobModel.model_validate(job_to_json(job), strict=False).job(), id="d") == job
    outcome = pool.run(job)
    assert outcome.status is not Status.INFRA and outcome.attempts == 1, outcome
    assert outcome_from_json("d", outcome_to_json(outcome)) == outcome
    assert len(outcome.tests) == len(cases)
    return outcome


def test_they_speak_to_the_end(pool: Pool) -> None:
    outcome = run(pool, BISECT, GUESS, "1", "500", "1000")
    assert [(test.status, test.passed, test.value) for test in outcome.tests] == [(Status.OK, True, 1.0)] * 3
    assert outcome.tests[1].stderr == "1 turns" and outcome.cpu_seconds > 0


def test_what_the_interactor_says_counts(pool: Pool) -> None:
    outcome = run(
        pool,
        "for n in range(1, 1001):\n    print(n, flush=True)\n    if input() == '=': break",
        GUESS,
        "3",
        "999",
    )
    assert [test.passed for test in outcome.tests] == [True, False]
    assert outcome.tests[1].stderr == "too many turns"
    (part,) = run(
        pool, "print(1)", "import sys\ninput()\nprint('points 0.5', file=sys.stderr)\nsys.exit(7)"
    ).tests
    assert (part.passed, part.value) == (False, 0.5)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_program_gets_away_with_it(pool: Pool, name: str) -> None:
    if pool.backend == "confined" and "child" in name:
        pytest.skip("confined: a program is one process, it can make no others")
    program, statuses = ATTACKS[name]
    (test,) = run(pool, program, limits=QUICK).tests
    assert not test.passed, test  # None where it broke the interactor: then its caller asks the reference
    assert statuses is None or test.status in statuses, test


def test_a_program_may_leave_once_it_has_said_its_last(pool: Pool) -> None:
    (test,) = run(pool, "print(700, flush=True)").tests
    assert test.passed, test
    talks = "import sys\ninput()\nwhile True: print('x' * 1000, flush=True)"
    (test,) = run(pool, "print(1)", talks).tests
    assert test.passed is None and "BrokenPipe" in test.stderr


def test_a_long_dialogue_is_no_relay(pool: Pool) -> None:
    """Thousands of turns in a second or so: nobody of ours stands between the two."""
    echo = "import sys\nfor n in range(5000):\n    print(n, flush=True)\n    assert int(sys.stdin.readline()) == n\nsys.exit(0)"
    outcome = run(pool, "import sys\nfor line in sys.stdin: print(line, end='', flush=True)", echo)
    assert outcome.tests[0].passed, outcome


@pytest.mark.parametrize(
    ("interactor", "why"),
    [
        ("raise ValueError('broken')", "ValueError: broken"),
        ("import sys\nsys.exit(3)", "status 3"),
        ("import os\nos.kill(os.getpid(), 9)", "SIGKILL"),
        ("this is no Python", "SyntaxError"),
    ],
)
def test_an_interactor_that_fails_decides_nothing(pool: Pool, interactor: str, why: str) -> None:
    (test,) = run(pool, "import sys\nfor line in sys.stdin: pass", interactor).tests
    assert test.status is Status.OK and test.passed is None and why in test.stderr, test


def test_after_being_accepted_a_program_still_has_to_end_well(pool: Pool) -> None:
    (test,) = run(pool, BISECT + "raise ValueError('late')", GUESS, "500").tests
    assert test.status is Status.EXCEPTION and test.passed is False
    (test,) = run(pool, BISECT + "import time\ntime.sleep(60)", GUESS, "500", limits=QUICK).tests
    assert test.status is Status.WALL_TIMEOUT and test.passed is False


def test_a_refused_program_is_not_waited_for(pool: Pool) -> None:
    limits = replace(LIMITS, wall_seconds=20.0)
    (test,) = run(pool, "import time\nprint('x', flush=True)\ntime.sleep(60)", limits=limits).tests
    assert test.passed is False and "no guess" in test.stderr


def test_the_secret_is_not_in_the_programs_reach(pool: Pool) -> None:
    look = "import os, sys\nprint(sorted(os.listdir('.')), sorted(os.environ), file=sys.stderr)"
    (test,) = run(pool, look).tests
    assert test.stdout.startswith("[] [") and "700" not in test.stdout
