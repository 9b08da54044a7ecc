"""The list of errors: one entry an L1 fingerprint, the most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from analysis.inert import one_line
from analysis.measures.cohorts import Column, Source
from analysis.measures.tally import Issue
from analysis.mistakes.clusters import cluster
from analysis.reading.rows import TRAINING

LONGEST_LIST = 300
TREND_BUCKETS = 32
VARIANTS = 12

_TITLES = {
    "wrong": "Wrong answer, no exception",
    "no_code": "No code in the completion",
    "timeout": "Out of time",
    "memory": "Out of memory",
    "entry": "Entry point missing",
    "compile": "Does not compile",
}


def issue_list(sources: Sequence[Source], columns: Sequence[Column]) -> tuple[list[dict[str, Any]], int]:
    """The most frequent issues over all sources, and how many more there are."""
    totals: Counter[str] = Counter()
    for source in sources:
        totals.update({mark: issue.count for mark, issue in source.tally.issues.items()})
    # Ties by fingerprint, so that the list repeats.
    ordered = sorted(totals, key=lambda mark: (-totals[mark], mark))
    issues = [_entry(mark, totals[mark], sources, columns) for mark in ordered[:LONGEST_LIST]]
    marks = [_found(mark, sources)[0].fingerprint for mark in ordered[:LONGEST_LIST]]
    for issue, number in zip(issues, cluster(marks), strict=True):
        issue["cluster"] = number
    return issues, len(ordered) - len(issues)


def _entry(mark: str, count: int, sources: Sequence[Source], columns: Sequence[Column]) -> dict[str, Any]:
    found = _found(mark, sources)
    labels = sum((issue.labels for issue in found), Counter[str]())
    return {
        "id": mark,
        "l0": one_line(found[0].fingerprint.l0, 60),
        "title": _title(found[0]),
        "source": one_line(found[0].example_source),
        "count": count,
        "tasks": len(set().union(*(issue.tasks for issue in found))),
        "columns": [column.group.by_l1[mark] for column in columns],
        "trend": _trend(mark, sources[0]) if len(sources) == 1 else [],
        "label": labels.most_common(1)[0][0],
        "variants": _variants(mark, columns),
    }


def _found(mark: str, sources: Sequence[Source]) -> list[Issue]:
    return [source.tally.issues[mark] for source in sources if mark in source.tally.issues]


def _title(issue: Issue) -> str:
    mark = issue.fingerprint
    if ":" not in mark.l0:
        return _TITLES.get(mark.l0, mark.l0.replace("_", " ").capitalize())
    kind = mark.l0.split(":", 1)[1]
    return one_line(f"{kind}: {mark.template}" if mark.template else kind)


def _trend(mark: str, source: Source) -> list[float]:
    """Share of the training completions with this error, over the run's steps in at most 32 buckets."""
    steps = sorted(key for key in source.tally.groups if key.source == TRAINING)
    if len(steps) < 2:
        return []
    buckets = min(TREND_BUCKETS, len(steps))
    shares = []
    for bucket in range(buckets):
        part = steps[bucket * len(steps) // buckets : (bucket + 1) * len(steps) // buckets]
        groups = [source.tally.groups[key] for key in part]
        samples = sum(group.samples for group in groups)
        shares.append(sum(group.by_l1[mark] for group in groups) / samples if samples else 0.0)
    return [round(share, 5) for share in shares]


def _variants(mark: str, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The most repeated L2 errors of the issue: the same mistake with the same outputs on one task."""
    counts: dict[tuple[str, str], list[int]] = {}
    for index, column in enumerate(columns):
        for name, task in column.group.tasks.items():
            if mark not in task.by_l1:
                continue
            for l2, count in task.by_l2.items():
                if l2.startswith(mark):
                    counts.setdefault((name, l2), [0] * len(columns))[index] = count
    ordered = sorted(counts, key=lambda key: (-sum(counts[key]), key))
    return [
        {"task": one_line(task), "l2": l2, "columns": counts[task, l2]} for task, l2 in ordered[:VARIANTS]
    ]
