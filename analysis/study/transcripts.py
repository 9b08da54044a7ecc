"""Completions of GRPO and GRPO-N side by side, chosen by a rule and not by hand."""

from __future__ import annotations

from collections import Counter

from analysis.inert import inert, one_line
from analysis.measures.tally import TaskTally
from analysis.mistakes.fingerprint import fingerprint
from analysis.reading.reader import open_run
from analysis.reading.rows import Row
from analysis.study.data import Policy, Study, recurring
from coderl.runfolder.layout import HELD_OUT, WARM

PAIR = ("grpo", "grpo_n")
SHOWN = 2
RULE = (
    "The rule: of the held-out tasks that the first seed's grpo and grpo_n policies both fail at least twice, the two "
    "whose recurrence (L2) differs most between them, in either direction; ties by task id. Of each policy the first "
    "sample of its most frequent error is shown, and the first response that corrects itself, where there is one. Last "
    "comes the task whose pass rate rose most from the warm model to grpo: the warm model's most frequent error there, "
    "and the first response that passes."
)


def transcripts(study: Study) -> str:
    if not set(PAIR) <= set(study.arms):
        return "Needs the arms grpo and grpo_n."
    policies = [study.of(arm)[0] for arm in PAIR]
    tallies = [policy.evaluations[HELD_OUT] for policy in policies]
    gaps = {
        task: abs(recurring(tallies[0][task]) - recurring(tallies[1][task]))
        for task in tallies[0].keys() & tallies[1].keys()
    }
    chosen = sorted((task for task in gaps if gaps[task] == gaps[task]), key=lambda task: (-gaps[task], task))
    if not chosen:
        return "No task that both policies fail at least twice."
    parts = [RULE]
    for task in chosen[:SHOWN]:
        for policy, tally in zip(policies, tallies, strict=True):
            parts.append(
                f"### {one_line(task)}: {policy.name}, recurrence {recurring(tally[task]):.2f}, "
                f"{tally[task].passed} of {tally[task].samples} pass"
            )
            parts += _examples(_rows(study, policy, task))
    return "\n\n".join(parts + _gained(study, policies[0]))


def _gained(study: Study, policy: Policy) -> list[str]:
    """The task whose pass rate rose most; nothing where none rose from a failure."""
    warm = study.policies[WARM]
    before, after = warm.evaluations[HELD_OUT], policy.evaluations[HELD_OUT]
    gains = {
        task: _pass_rate(after[task]) - _pass_rate(before[task]) for task in before.keys() & after.keys()
    }
    task = min(gains, key=lambda task: (-gains[task], task), default="")
    if not task or gains[task] <= 0:
        return []
    passing = next(row for row in _rows(study, policy, task) if row.passed)
    return [
        f"### {one_line(task)}: from {_pass_rate(before[task]):.0%} to {_pass_rate(after[task]):.0%} of the samples",
        *_examples(_rows(study, warm, task)),
        f"The first of {policy.name} that passes:",
        _block(passing.completion),
    ]


def _pass_rate(task: TaskTally) -> float:
    return task.passed / task.samples if task.samples else 0.0


def _rows(study: Study, policy: Policy, task: str) -> list[Row]:
    run = open_run(study.folder / "evals" / policy.name)
    return [row for row in run.rows() if row.source == HELD_OUT and row.task_id == task]


def _examples(rows: list[Row]) -> list[str]:
    marks = [(row, mark.l2) for row in rows if (mark := fingerprint(row)) is not None]
    (most, count), *_ = Counter(mark for _, mark in marks).most_common(1)
    example = next(row for row, mark in marks if mark == most)
    parts = [
        f"The most frequent error, {count} of {len(marks)} failures ({one_line(example.phase)}):",
        _block(example.completion),
    ]
    corrected = next(
        (
            row
            for row in rows
            if len(row.blocks) > 1 and row.blocks[0].passed is False and row.blocks[-1].passed
        ),
        None,
    )
    if corrected is not None:
        parts += ["A response that corrects itself:", _block(corrected.completion)]
    return parts


def _block(text: str) -> str:
    """As an indented block: no fence that the text could close."""
    return "\n".join("    " + line for line in inert(text, 2000).split("\n"))
