"""How the programs of each data set of cases are graded: as that data set's own grader does.

docs/grading.md has the sources, the rules in words and where we differ on purpose. Data sets whose tests are
Python (HumanEval, MBPP, KodCode, AceCode, BigCodeBench) need no profile: the test itself decides, and evalplus's
rules come with its tasks (tasks/datasets/evalplus.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.datasets import preludes
from tasks.types import OutputRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`values` and `output` name rules of tasks/json_values.py and tasks/grading/outputs.py.

    `wrapped`: an output that is a list of one may stand for its item, where all of a row's are such lists.
    `integer_keys`: an argument that is a dict with keys of digits had integers. `cpu_seconds`: what the data
    set's grader gives a Python program for a test, where that is more than our default. `prelude`: what it runs
    before a program.
    """

    values: Literal["livecodebench", "apps"] = "apps"
    output: OutputRule
    wrapped: bool = False
    integer_keys: bool = False
    cpu_seconds: float | None = None
    prelude: str = ""

    def prelude_of(self, function: str | None) -> str:
        """Before a program that defines `function`, also what LeetCode-style starter code relies on."""
        return self.prelude + preludes.PLATFORM if function else self.prelude


LIVECODEBENCH = Profile(
    values="livecodebench", output="livecodebench", cpu_seconds=6, prelude=preludes.LIVECODEBENCH
)
APPS = Profile(output="apps", wrapped=True, integer_keys=True, prelude=preludes.APPS)
TACO = APPS
CODE_CONTESTS = Profile(output="code_contests")
PRIMEINTELLECT = Profile(
    output="primeintellect", wrapped=True, integer_keys=True, cpu_seconds=10, prelude=preludes.PRIME_CODE
)
SYNTHETIC2 = Profile(output="stripped", prelude=preludes.PRIME_CODE)
OPENR1 = Profile(output="stripped", cpu_seconds=5)

# DeepCoder grades each row as the data set that it comes from, with a longer limit.
_DEEPCODER_TACO = Profile(
    output="apps", wrapped=True, integer_keys=True, cpu_seconds=12, prelude=preludes.APPS
)
DEEPCODER = {
    "lcbv5": LIVECODEBENCH,
    "taco": _DEEPCODER_TACO,
    "primeintellect": _DEEPCODER_TACO,
    "codeforces": _DEEPCODER_TACO,
}
