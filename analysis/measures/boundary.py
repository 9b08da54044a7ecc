"""The boundary of what a policy can solve: how pass@k moves in training, and at what price.

A *trajectory* is a run's main evaluation over steps. Runs are compared at the same step, at the same KL from
the warm model, and at the same pass@1: a policy that sharpens more has a higher pass@1 and a lower
pass@k, so a comparison at equal steps alone says little. Runs whose configuration differs in nothing but
the seed are one *arm*; claims about algorithms rest on arms.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from analysis.inert import one_line
from analysis.intervals import Estimate, bootstrap_runs, difference_of_runs
from analysis.measures.cohorts import Column, Source, main_evaluation
from analysis.measures.numbers import finite, logged_pass_at_k
from analysis.measures.table import as_data
from analysis.measures.tally import Group, GroupKey
from analysis.passk import pass_at_k, pass_at_k_intervals, stable_ks

KL_WINDOW = 2

# Settings that do not make two runs different methods.
_INCIDENTAL = ("name", "runs", "seed", "sandbox")


@dataclass(frozen=True, slots=True)
class Point:
    """An evaluation at one step; `kl` is in nats a token from the warm model, None where it was not logged."""

    step: int
    kl: float | None
    pass_at_k: Mapping[int, Estimate]


def trajectory(source: Source) -> list[Point]:
    """The main evaluation over steps; intervals only where completions were read."""
    name = main_evaluation(source)
    logged = {line["step"]: line for line in source.run.evals if str(line.get("name")) == name}
    read = {key.step for key in source.tally.groups if key.source == name}
    points = []
    for step in sorted(logged.keys() | read):
        group = source.tally.groups.get(GroupKey(name or "", step))
        found = pass_at_k_intervals(group.counts()) if group else _from_log(logged[step])
        if 1 in found:
            points.append(Point(step, kl_at(source, step), found))
    return points


def kl_at(source: Source, step: int) -> float | None:
    """KL of the policy that `step` updates made: a probe of few completions, so the mean of the steps around.

    Step s + 1 logs the KL of the policy that s updates made.
    """
    if step == 0:
        return 0.0
    logged = ((record["step"] - 1, finite(record.get("kl_warm"))) for record in source.run.steps)
    near = [kl for at, kl in logged if kl is not None and abs(at - step) <= KL_WINDOW]
    return fmean(near) if near else None


def common_k(trajectories: Sequence[Sequence[Point]]) -> int:
    """The largest k that every point has; 1 where there is none above it."""
    sets = [set(point.pass_at_k) for points in trajectories for point in points]
    return max(set.intersection(*sets), default=1) if sets else 1


@dataclass(frozen=True, slots=True)
class AtLevel:
    """Where a trajectory first reaches a pass@1, by linear interpolation between evaluations."""

    step: float
    kl: float | None
    value: float


def at_pass_at_1(points: Sequence[Point], level: float, k: int) -> AtLevel | None:
    """pass@k where pass@1 first reaches `level`; None where it never does."""
    if not points or points[0].pass_at_k[1].value > level:
        return None
    for a, b in pairwise([points[0], *points]):
        low, high = a.pass_at_k[1].value, b.pass_at_k[1].value
        if high >= level:
            share = (level - low) / (high - low) if high > low else 0.0
            kl = None if a.kl is None or b.kl is None else a.kl + share * (b.kl - a.kl)
            before, after = a.pass_at_k[k].value, b.pass_at_k[k].value
            return AtLevel(a.step + share * (b.step - a.step), kl, before + share * (after - before))
    return None


def equal_pass_at_1(sources: Sequence[Source]) -> dict[str, Any] | None:
    """The runs at the highest pass@1 that all of them reach; None unless two or more runs reach one."""
    paths = {source.run.name: points for source in sources if len(points := trajectory(source)) > 1}
    if len(paths) < 2:
        return None
    k = common_k(list(paths.values()))
    level = min(max(point.pass_at_k[1].value for point in points) for points in paths.values())
    found = {name: at_pass_at_1(points, level, k) for name, points in paths.items()}
    rows = [
        {"run": one_line(name), "step": at.step, "kl": at.kl, "value": at.value}
        for name, at in found.items()
        if at is not None
    ]
    return {"pass_at_1": level, "k": k, "rows": rows} if k > 1 and len(rows) > 1 else None


@dataclass(frozen=True, slots=True)
class Arm:
    """Runs of one configuration and different seeds, by their columns."""

    label: str
    columns: list[Column]

    def values(self, tasks: Sequence[str], k: int) -> list[list[float]]:
        """pass@k by run and task."""
        return [[_pass_at_k(column.group, task, k) for task in tasks] for column in self.columns]


def arms(columns: Sequence[Column]) -> list[Arm]:
    """Columns grouped by configuration, in their order; each arm is named by what sets it apart."""
    settings = [_settings(column.source) for column in columns]
    groups: dict[str, list[int]] = {}
    for index, found in enumerate(settings):
        alone = f"{index}" if not found else json.dumps(found, sort_keys=True)
        groups.setdefault(alone, []).append(index)
    differing = {key for found in settings for key in found if len({str(s.get(key)) for s in settings}) > 1}
    return [
        Arm(_label(settings[members[0]], differing, columns[members[0]]), [columns[i] for i in members])
        for members in groups.values()
    ]


def arm_table(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """pass@k of each arm with intervals over seeds and tasks; empty unless an arm has several runs."""
    found = arms(columns)
    if all(len(arm.columns) < 2 for arm in found):
        return []
    tasks = sorted(set.intersection(*(set(column.group.tasks) for column in columns)))
    sizes = [column.group.tasks[task].samples for column in columns for task in tasks]
    ks = [k for k in stable_ks(sizes) if k <= min(sizes)] if sizes else []
    base = found[0]
    return [
        {
            "label": one_line(arm.label),
            "runs": [one_line(column.label) for column in arm.columns],
            "pass_at_k": {str(k): as_data(bootstrap_runs(arm.values(tasks, k))) for k in ks},
            "differences": {
                str(k): as_data(difference_of_runs(base.values(tasks, k), arm.values(tasks, k)))
                for k in ks
                if arm is not base
            },
        }
        for arm in found
    ]


def _pass_at_k(group: Group, task: str, k: int) -> float:
    found = group.tasks[task]
    return pass_at_k(found.samples, found.passed, k)


def _from_log(line: Mapping[str, Any]) -> dict[int, Estimate]:
    nan, tasks = float("nan"), int(finite(line.get("tasks")) or 0)
    ks = stable_ks([int(finite(line.get("samples")) or 1)])
    shares = logged_pass_at_k(line.get("pass_at_k"))
    return {k: Estimate(shares[str(k)], nan, nan, tasks) for k in ks if str(k) in shares}


def _settings(source: Source) -> dict[str, str]:
    """The configuration as dotted keys, without what does not matter; empty where nothing was trained by one."""
    if not source.run.steps:
        return {}
    try:
        config = tomllib.loads(source.run.config)
    except tomllib.TOMLDecodeError:
        return {}
    return {key: str(value) for key, value in _dotted(config).items() if key.split(".")[0] not in _INCIDENTAL}


def _dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _dotted(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def _label(settings: Mapping[str, str], differing: set[str], column: Column) -> str:
    parts = [f"{key.split('.')[-1]} {settings[key]}" for key in sorted(differing) if key in settings]
    return ", ".join(parts) or column.source.run.name
