"""Solutions to learn from, as rows of tokens by task id: a data set's references, a model's own samples that pass."""

from __future__ import annotations

from collections.abc import Iterable

from coderl.model.packing import TokenRow
from coderl.model.policy import Policy
from coderl.rollouts.batch import Batch
from tasks.types import Task

Solutions = dict[str, list[TokenRow]]
MOST_SAMPLES = 4  # of a task that are kept: easy tasks would drown out the others


def references(policy: Policy, tasks: Iterable[Task]) -> Solutions:
    """Each task's reference as `policy` would write it; tasks without one that fits are not in the result."""
    rows = {t.id: policy.solution(t, t.reference) for t in tasks if t.reference is not None}
    return {name: [row] for name, row in rows.items() if row is not None}


def passing(batch: Batch) -> Solutions:
    """Up to MOST_SAMPLES distinct programs of each task that pass, as they were sampled (arXiv 2308.01825).

    Completions that `sampler.max_tokens` cut are left out: they do not end.
    """
    kept: Solutions = {}
    for group in batch.groups:
        distinct = {r.program: r for r in group.rollouts if r.passed and not r.truncated}
        if rollouts := list(distinct.values())[:MOST_SAMPLES]:
            kept[group.task.id] = [TokenRow(r.prompt_tokens, r.tokens) for r in rollouts]
    return kept


def within(solutions: Solutions, tokens: int) -> Solutions:
    """Those rows that hold at most so many tokens."""
    short = {name: [row for row in rows if len(row) <= tokens] for name, rows in solutions.items()}
    return {name: rows for name, rows in short.items() if rows}
