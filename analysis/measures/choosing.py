"""What training knew of its tasks' pass rates (`data.choice = "posterior"`), from the run folder's `posterior/`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from analysis.inert import one_line
from analysis.measures.cohorts import Source
from analysis.measures.numbers import finite
from analysis.reading.reader import Run
from coderl.runfolder.layout import POSTERIOR

# Kinds of tasks, each with its largest posterior mean. A task without evidence is of none of them.
KINDS = {"hopeless": 0.1, "hard": 0.35, "about half": 0.65, "easy": 0.9, "retired": 1.0}
UNKNOWN = "unknown"
TASKS_SHOWN = 200


def choosing(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """For each run that chose its tasks so: kinds of tasks at each checkpoint, and the extreme ones at the last."""
    return [section for source in sources if (section := _section(source))]


def _section(source: Source) -> dict[str, Any] | None:
    run = source.run
    files = sorted((run.path / POSTERIOR).glob("step-*.json")) if run.is_folder else []
    kinds = {int(file.stem[5:]): _kinds(run, file) for file in files if file.stem[5:].isdigit()}
    found = {step: tasks for step, tasks in kinds.items() if tasks}
    if not found:
        return None
    counts = {step: Counter(tasks.values()) for step, tasks in found.items()}
    last = found[max(found)]
    extreme = {
        kind: sorted(task for task, own in last.items() if own == kind) for kind in ("hopeless", "retired")
    }
    return {
        "run": one_line(run.name),
        "kinds": [UNKNOWN, *KINDS],
        "rows": [
            {"step": step, "tasks": [count[kind] for kind in (UNKNOWN, *KINDS)]}
            for step, count in counts.items()
        ],
        "signal_rate": _mean(run, "signal_rate"),
        "expected": _mean(run, "known_pass_rate_expected"),
        "observed": _mean(run, "known_pass_rate"),
        "extreme": {
            kind: [one_line(task) for task in tasks[:TASKS_SHOWN]] for kind, tasks in extreme.items()
        },
    }


def _kinds(run: Run, file: Path) -> dict[str, str]:
    """Each task's kind; empty, with a note, where the file cannot be read."""
    try:
        evidence = json.loads(file.read_text())
        return {
            str(task): _kind(float(passes), float(failures)) for task, (passes, failures) in evidence.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        run.note(f"{POSTERIOR}/{file.name}: not read ({type(error).__name__}).")
        return {}


def _kind(passes: float, failures: float) -> str:
    if not passes + failures > 0:
        return UNKNOWN
    mean = (1 + passes) / (2 + passes + failures)
    return next(kind for kind, largest in KINDS.items() if mean <= largest or largest == 1)


def _mean(run: Run, key: str) -> float | None:
    values = [value for step in run.steps if (value := finite(step.get(key))) is not None]
    return fmean(values) if values else None
