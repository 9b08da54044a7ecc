"""DeepCoder-Preview: four configurations in the shapes of the datasets that it was made from."""

from __future__ import annotations

from tasks.datasets.cases import PRELUDE, entry_point, from_list, from_object, prompt_with_starter
from tasks.datasets.code import unfenced
from tasks.rows import Row, Skip
from tasks.types import Task


def deepcoder(row: Row) -> Task | Skip:
    solutions = row.texts("solutions")
    code = unfenced(solutions[0]) if solutions else ""
    starter = row.optional_text("starter_code")
    cases = row.structure("tests")
    if isinstance(cases, dict):
        tests = from_object(row, "tests", cases, starter, code)
    else:
        function = row.mapping("metadata").get("func_name")
        tests = from_list(row, "tests", cases or [], starter, code, function=function)
    if not tests:
        return Skip("no tests")
    name = entry_point(tests)
    context = PRELUDE if name else ""
    return Task(
        id=row.positional_id(),
        prompt=prompt_with_starter(row.text("problem"), starter),
        tests=tests,
        entry_point=name,
        context=context,
        reference=context + code if code.strip() else None,
        source=row.dataset,
        metadata={"config": row.optional_text("_config")},
    )
