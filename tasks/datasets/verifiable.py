"""PrimeIntellect's and open-r1's verifiable-coding problems, and SYNTHETIC-2.

All three keep their cases in `verification_info`.
"""

from __future__ import annotations

from tasks.datasets.cases import entry_point, from_list
from tasks.datasets.code import unfenced
from tasks.datasets.limits import bytes_of, floored, python_seconds, seconds_of
from tasks.datasets.profiles import OPENR1, PRIMEINTELLECT, SYNTHETIC2, Profile
from tasks.rows import Row, Skip
from tasks.types import Task


def primeintellect(row: Row) -> Task | Skip:
    return _parse(row, PRIMEINTELLECT, row.text("prompt"), row.optional_text("gold_standard_solution"))


def openr1(row: Row) -> Task | Skip:
    return _parse(row, OPENR1, row.text("problem_statement"), row.optional_text("gold_standard_solution"))


def synthetic2(row: Row) -> Task | Skip:
    return _parse(row, SYNTHETIC2, row.text("prompt"), _best_response(row))


def _parse(row: Row, profile: Profile, prompt: str, solution: str) -> Task | Skip:
    info = row.mapping("verification_info")
    if not info.get("test_cases"):
        return Skip("no tests")
    if info.get("language", "python") != "python":
        return Skip("not in Python")
    code = unfenced(solution)
    tests = from_list(row, "verification_info", profile, info["test_cases"])
    function = entry_point(tests)
    limits = row.mapping("metadata")
    return Task(
        id=row.identity("problem_id"),
        prompt=prompt,
        tests=tests,
        entry_point=function,
        prelude=profile.prelude_of(function),
        reference=code if code.strip() else None,
        source=row.dataset,
        level=str(limits.get("difficulty") or ""),
        cpu_seconds=python_seconds(seconds_of(limits.get("time_limit")), profile.cpu_seconds),
        memory_bytes=floored(limits.get("memory_limit_bytes") or bytes_of(limits.get("memory_limit"))),
    )


def _best_response(row: Row) -> str:
    """A model's response that always passed; empty where there is none."""
    for field, reward in row.data.items():
        model = field.removesuffix("_avg_reward")
        if model != field and reward == 1.0 and (responses := row.texts(f"{model}_responses")):
            return responses[0]
    return ""
