"""Completions of GRPO and GRPO-N side by side, chosen by a rule and not by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from analysis.inert import inert, one_line
from analysis.mistakes.fingerprint import fingerprint
from analysis.reading.reader import open_run
from analysis.reading.rows import Row
from analysis.study.data import Study, recurring
from coderl.runfolder.layout import HELD_OUT

PAIR = ("grpo", "grpo_n")
SHOWN = 2
RULE = (
    "The rule: of the held-out tasks that the first seed's grpo and grpo_n policies both fail at least twice, the two "
    "whose recurrence (L2) differs most between them, in either direction; ties by task id. Of each policy the first "
    "sample of its most frequent error is shown, and the first response that corrects itself, where there is one."
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
            rows = _rows(study.folder / "evals" / policy.name, task)
            parts.append(
                f"### {one_line(task)}: {policy.name}, recurrence {recurring(tally[task]):.2f}, "
                f"{tally[task].passed} of {tally[task].samples} pass"
            )
            parts += _examples(rows)
    return "\n\n".join(parts)


def _rows(folder: Path, task: str) -> list[Row]:
    run = open_run(folder)
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
