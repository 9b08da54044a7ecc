"""DeepCoder-Preview: four configurations in the shapes of the datasets that it was made from."""

from __future__ import annotations

from tasks.datasets.cases import entry_point, from_list, from_object, prompt_with_starter
from tasks.datasets.code import unfenced
from tasks.datasets.profiles import DEEPCODER, Profile
from tasks.rows import Row, Skip
from tasks.types import Task


def deepcoder(row: Row) -> Task | Skip:
    solutions = row.texts("solutions")
    code = unfenced(solutions[0]) if solutions else ""
    starter = row.optional_text("starter_code")
    cases = row.structure("tests")
    profile = _profile(row, cases)
    if isinstance(cases, dict):
        tests = from_object(row, "tests", profile, cases)
    else:
        function = row.mapping("metadata").get("func_name")
        tests = from_list(row, "tests", profile, cases or [], function=function)
    if not tests:
        return Skip("no tests")
    name = entry_point(tests)
    return Task(
        id=row.positional_id(),
        prompt=prompt_with_starter(row.text("problem"), starter),
        tests=tests,
        entry_point=name,
        prelude=profile.prelude_of(name),
        reference=code if code.strip() else None,
        source=row.dataset,
        cpu_seconds=profile.cpu_seconds,
        metadata={"config": row.optional_text("_config")},
    )


def _profile(row: Row, cases: object) -> Profile:
    """That of the row's configuration; a local file may not name it, and then its shape tells."""
    config = row.optional_text("_config")
    if config and config not in DEEPCODER:
        row.fail("_config", f"expected one of {', '.join(DEEPCODER)}, got {config!r}")
    first = cases[0] if isinstance(cases, list) and cases else None
    from_livecodebench = isinstance(first, dict) and "testtype" in first
    return DEEPCODER[config or ("lcbv5" if from_livecodebench else "taco")]
