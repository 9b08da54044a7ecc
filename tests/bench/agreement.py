"""How far our verdicts agree with each data set's own grader: over pairs, and over programs that are run.

    python -m tests.bench.agreement [--backend NAME] [--cases FOLDER] [--show]

Pairs of an output (or a returned value) and the expected one, chosen to be hard, are held against each other by our
rule and by the grader's, restated in tests/bench/graders.py. Programs are those of FOLDER (`NAME.tasks.jsonl` and
`NAME.completions.jsonl` with a `manifest.json`): each runs in the sandbox once, and what came out of each test is
judged twice. `--show` prints every difference; docs/grading.md says which are on purpose.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sandbox
from sandbox.protocol import Job, Outcome, Runner, Status
from tasks.datasets import load
from tasks.datasets.profiles import (
    APPS,
    CODE_CONTESTS,
    DEEPCODER,
    LIVECODEBENCH,
    OPENR1,
    PRIMEINTELLECT,
    SYNTHETIC2,
    TACO,
    Profile,
)
from tasks.extraction.extract import extract
from tasks.grading.compare import matches, same_output
from tasks.grading.grader import Grader
from tasks.types import CallTest, Compare, StdioTest, Task
from tests.bench.graders import ORACLES
from tests.tasks.test_outputs import CASES as OUTPUTS

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("CODERL_DATA", ROOT.parent / "shared" / "data")).parent / "cases" / "grading"
PROFILES: dict[str, Profile] = {
    "livecodebench": LIVECODEBENCH,
    "apps": APPS,
    "taco": TACO,
    "code_contests": CODE_CONTESTS,
    "deepcoder": DEEPCODER["taco"],
    "primeintellect": PRIMEINTELLECT,
    "synthetic2": SYNTHETIC2,
    "openr1": OPENR1,
}
VALUES: list[tuple[Any, Any]] = [
    *[(actual, expected) for actual in (3, [3], [[3]], (3,), "3", 3.0, None, True) for expected in (3, [3], [[3]])],
    *[(actual, [[1, 2]]) for actual in ([1, 2], (1, 2), [[1, 2]], [(1, 2)], ((1, 2),), {1, 2}, [2, 1])],
    *[(actual, {"1": 2}) for actual in ({"1": 2}, {1: 2}, {"1": 3}, [("1", 2)], {})],
    *[(actual, [{"1": {"2": 3}}]) for actual in ({1: {2: 3}}, {1: {"2": 3}}, {"1": {"2": 3}}, {1: {2: 4}})],
    *[(actual, [[{"1": 2}, {"3": 4}]]) for actual in ([{1: 2}, {3: 4}], [{"1": 2}, {"3": 4}], [{1: 2}])],
    *[(actual, 0.3) for actual in (0.3, 0.1 + 0.2, 0.30001, "0.3")],
    *[(actual, [[[1, 2], [3]]]) for actual in ([(1, 2), (3,)], [[1, 2], [3]], ((1, 2), (3,)), [[1, 2], (3,)])],
    *[(actual, [1, 2]) for actual in ([1, 2], 1, [1], (1, 2), [1, 2, 3])],
    ("12", 12), (12, "12"), ("a", "a"), ("a", ["a"]), (["a"], ["a"]), (True, True), (1, True), ("True", True), (None, None),
    (10**5000, 10**5000), (10**18 + 1, 10**18), (float(10**18), 10**18), ([], []), ((), []), ([], [[]]), ("", ""),
]  # fmt: skip


@dataclass
class Tally:
    both: int = 0
    neither: int = 0
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)

    def add(self, ours: bool, theirs: bool, what: str) -> None:
        if ours is theirs:
            self.both, self.neither = self.both + ours, self.neither + (not ours)
        else:
            (self.ours if ours else self.theirs).append(what)

    def row(self, name: str, kind: str) -> str:
        total = self.both + self.neither + len(self.ours) + len(self.theirs)
        same = self.both + self.neither
        return (
            f"{name:<15} {kind:<9} {total:>5} {self.both:>6} {self.neither:>7} {len(self.ours):>6} {len(self.theirs):>7} "
            f"{same / total if total else 1:>6.1%}"
        )


class Recording:
    """A runner that keeps the last outcome."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.last: Outcome | None = None

    @property
    def backend(self) -> str:
        return self._runner.backend

    def submit(self, job: Job) -> Future[Outcome]:
        self.last = self.run(job)
        future: Future[Outcome] = Future()
        future.set_result(self.last)
        return future

    def run(self, job: Job) -> Outcome:
        return self._runner.run(job)

    def close(self) -> None:
        self._runner.close()


def pairs(name: str) -> tuple[Tally, Tally]:
    """Outputs and values, by our rule and by the grader's."""
    profile, (output, value) = PROFILES[name], ORACLES[name]
    outputs, values = Tally(), Tally()
    for actual, expected, _ in OUTPUTS:
        what = f"{actual[:40]!r} for {expected[:40]!r}"
        outputs.add(same_output(actual, expected, rule=profile.output), output(actual, expected), what)
    for got, want in VALUES if value else []:
        wrapped = profile.wrapped and isinstance(want, list) and len(want) == 1
        compare = Compare(kind=profile.values, note="wrapped" if wrapped else "")
        what = f"{_short(got)} for {_short(want)}"
        values.add(matches(got, want, compare), bool(value and _held(value, got, want)), what)
    return outputs, values


def _held(value: Any, got: Any, want: Any) -> bool:
    try:
        return bool(value(got, want))
    except ValueError:  # `print` of an integer over Python's limit
        return False


def _short(value: Any) -> str:
    return "an integer of 5001 digits" if isinstance(value, int) and value > 10**20 else repr(value)


def programs(folder: Path, runner: Runner) -> Iterator[tuple[str, bool, bool, str]]:
    """For each program: its data set, our verdict, the grader's on the same outcome, and which it is."""
    recording = Recording(runner)
    grader = Grader(recording)
    for entry in json.loads((folder / "manifest.json").read_text()):
        if entry["dataset"] not in ORACLES:
            continue
        spec = f"{entry['dataset']}={folder / entry['name']}.tasks.jsonl"
        known = {task.id: task for task in load(spec)}
        for line in (folder / f"{entry['name']}.completions.jsonl").read_text().splitlines():
            row = json.loads(line)
            task = known.get(str(row["task_id"]))
            program = extract(row["completion"], task).program if task else None
            if task is None or not program:
                continue
            recording.last = None
            (verdict,) = grader.grade(task, [program])
            if recording.last is not None:
                theirs = _theirs(entry["dataset"], task, recording.last)
                yield entry["dataset"], verdict.passed, theirs, f"{entry['name']} {row.get('label', '')}"


def _theirs(name: str, task: Task, outcome: Outcome) -> bool:
    output, value = ORACLES[name]
    if not isinstance(task.tests, tuple) or len(outcome.tests) != len(task.tests):
        return False
    for test, got in zip(task.tests, outcome.tests, strict=True):
        if got.status is not Status.OK:
            return False
        if isinstance(test, StdioTest) and not output(got.stdout, test.stdout):
            return False
        if isinstance(test, CallTest):
            rule = ORACLES["livecodebench"][1] if test.compare.kind == "livecodebench" else value
            if rule is None or not _held(rule, got.value, test.expected):
                return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--show", action="store_true", help="every difference")
    options = parser.parse_args()
    tallies: dict[tuple[str, str], Tally] = {}
    for name in PROFILES:
        tallies[name, "outputs"], tallies[name, "values"] = pairs(name)
    if (options.cases / "manifest.json").is_file():
        with sandbox.open_pool(1, options.backend) as pool:
            for name, ours, theirs, what in programs(options.cases, pool):
                tallies.setdefault((name, "programs"), Tally()).add(ours, theirs, what)
    else:
        print(f"no programs: {options.cases} has no manifest.json (--cases)")
    print(
        f"{'profile':<15} {'over':<9} {'all':>5} {'accept':>6} {'refuse':>7} {'ours':>6} {'theirs':>7} {'same':>6}"
    )
    for (name, kind), tally in sorted(tallies.items()):
        if tally != Tally():
            print(tally.row(name, kind))
        for side, found in (("only ours accepts", tally.ours), ("only theirs accepts", tally.theirs)):
            for what in found if options.show else []:
                print(f"    {side}: {what}")


if __name__ == "__main__":
    main()
