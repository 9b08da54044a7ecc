"""Which curves a run has: training records, evaluations and error composition over steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from analysis.intervals import Estimate
from analysis.measures.boundary import Point, arms, common_k, trajectory
from analysis.measures.cohorts import Column, Source, main_evaluation
from analysis.measures.numbers import constants, finite
from analysis.passk import pass_at_k_intervals
from analysis.reading.rows import TRAINING
from analysis.report.charts import Series, Shade, area_chart, line_chart

# (title, [(key in steps.jsonl, label)]); a chart with no numbers is left out.
STAGED_CHARTS: list[tuple[str, list[tuple[str, str]]]] = [
    ("Reward in training", [("reward_mean", "mean reward"), ("pass_rate", "pass rate")]),
    ("Entropy (nats a token)", [("entropy", "all completions"), ("entropy_probe", "a random few, exact")]),
    ("Share of a group's most frequent program", [("top_share", "share")]),
    ("Distinct passing programs a group", [("distinct_passing", "programs")]),
    ("Tasks solved for the first time", [("first_solved", "tasks")]),
]
STEP_CHARTS: list[tuple[str, list[tuple[str, str]]]] = [
    ("KL from the warm model (nats a token)", [("kl_warm", "KL")]),
    (
        "Programs and groups (share)",
        [("compile_rate", "compile"), ("truncated_rate", "truncated"), ("signal_rate", "groups with signal")],
    ),
    ("Passing programs that fail held-back tests (share)", [("overfit_rate", "overfit")]),
    (
        "Pass rate of tasks chosen by their posterior",
        [("known_pass_rate_expected", "expected"), ("known_pass_rate", "seen")],
    ),
    ("Clipped share", [("clip_fraction_positive", "A > 0"), ("clip_fraction_negative", "A < 0")]),
    ("Gradient norm", [("grad_norm", "gradient norm")]),
    ("Tokens a completion", [("completion_tokens_mean", "tokens")]),
    (
        "Seconds a step",
        [
            ("seconds_sample", "sample"),
            ("seconds_grade", "grade"),
            ("seconds_learn", "learn"),
            ("seconds_publish", "publish"),
        ],
    ),
    ("Sampler against learner (log-prob difference)", [("logprob_diff_mean", "mean")]),
]
# Recorded, but no curve of their own.
_UNDRAWN = {"step", "policy_version", "loss", "infra_count", "learner_rows", "rows"}
_UNDRAWN |= {"logprob_diff_max", "seconds_total", "held_back_count", "known_tasks", "imbalance"}
COMPOSITION_PARTS = 7


def run_charts(source: Source, columns: Sequence[Column]) -> list[str]:
    """All charts of one run, those without data left out; what is constant has none."""
    steps, still = source.run.steps, constants(source.run.steps)
    stages = stage_shades(steps)
    drawn = [
        *boundary_charts([source], columns),
        *class_masses(source),
        *(_step_chart(title, keys, steps, still, stages) for title, keys in STAGED_CHARTS),
        error_composition(source),
        *(_step_chart(title, keys, steps, still) for title, keys in STEP_CHARTS),
        *(_step_chart(key.replace("_", " "), [(key, key)], steps, still) for key in _other_keys(steps)),
    ]
    return [chart for chart in drawn if chart]


def comparison_charts(sources: Sequence[Source], columns: Sequence[Column]) -> list[str]:
    """Each measure once, with a line for every run; runs that differ in the seed alone share a colour."""
    titles = {
        key: f"{title}: {label}" if len(keys) > 1 else title
        for title, keys in STAGED_CHARTS + STEP_CHARTS
        for key, label in keys
    }
    others = {key for source in sources for key in _other_keys(source.run.steps)}
    titles |= {key: key.replace("_", " ") for key in sorted(others)}
    looks = _looks(columns)
    drawn = boundary_charts(sources, columns)
    for key, title in titles.items():
        series = [
            replace(one, label=label, colour=colour)
            for source, (label, colour) in zip(sources, looks, strict=True)
            if (one := _series("", key, source.run.steps)) and key not in constants(source.run.steps)
        ]
        drawn.append(line_chart(title, series))
    return [chart for chart in drawn if chart]


def stage_shades(steps: Sequence[dict[str, Any]]) -> list[Shade]:
    """What the stage monitor said, as stretches of steps."""
    shades = []
    for stage, group in groupby(steps, key=lambda record: str(record.get("stage"))):
        found = [record["step"] for record in group]
        shades.append(Shade(found[0] - 0.5, found[-1] + 0.5, stage))
    return shades


def boundary_charts(sources: Sequence[Source], columns: Sequence[Column]) -> list[str]:
    """pass@k against k, steps, KL and pass@1."""
    paths = [trajectory(source) for source in sources]
    large = common_k([points for points in paths if points])
    looks = _looks(columns) if len(sources) > 1 else [("", None)]
    one_run = len(sources) == 1
    by_step, by_kl, by_pass_at_1 = [], [], []
    for source, points, (name, colour) in zip(sources, paths, looks, strict=True):
        for k in dict.fromkeys([1, large] if one_run else [1]):
            label = f"{main_evaluation(source)} pass@{k}" if one_run else name
            by_step.append(replace(_path(label, points, k, [p.step for p in points]), colour=colour))
        with_kl = [point for point in points if point.kl is not None]
        label = f"pass@{large}" if one_run else name
        kls = [point.kl or 0.0 for point in with_kl]
        by_kl.append(replace(_path(label, with_kl, large, kls), colour=colour, bars=True))
        firsts = [point.pass_at_k[1].value for point in points]
        by_pass_at_1.append(replace(_path(label, points, large, firsts), colour=colour, bars=True))
    drawn = [pass_at_k_curves(columns)]
    if any(len(points) > 1 for points in paths):
        drawn.append(line_chart("pass@k over training" if one_run else "pass@1 over training", by_step))
        drawn.append(
            line_chart(f"pass@{large} against KL from the warm model", by_kl, x_label="nats a token")
        )
        if large > 1:
            drawn.append(line_chart(f"pass@{large} against pass@1", by_pass_at_1, x_label="pass@1"))
    return drawn


def pass_at_k_curves(columns: Sequence[Column]) -> str:
    """pass@k against k, with 95% intervals, for every column."""
    series = []
    looks = _looks(columns) if len({id(column.source) for column in columns}) > 1 else None
    for index, column in enumerate(columns):
        found = pass_at_k_intervals(column.group.counts())
        label, colour = looks[index] if looks else (column.label, None)
        series.append(replace(_estimates(label, sorted(found), found), colour=colour))
    return line_chart("pass@k, with 95% intervals over tasks", series, x_label="k", log2=True)


def _looks(columns: Sequence[Column]) -> list[tuple[str, int | None]]:
    """A label and a colour for each column: the arm's, and only the first of an arm is labelled."""
    found = arms(columns)
    looks: dict[int, tuple[str, int | None]] = {}
    for colour, arm in enumerate(found):
        for number, column in enumerate(arm.columns):
            one = f"{arm.label} ({len(arm.columns)} runs)" if len(arm.columns) > 1 else column.source.run.name
            looks[id(column)] = (one if number == 0 else "", colour)
    return [looks[id(column)] for column in columns]


def _path(label: str, points: Sequence[Point], k: int, x: Sequence[float]) -> Series:
    found = dict(enumerate(point.pass_at_k[k] for point in points))
    return replace(_estimates(label, list(found), found), x=x)


def _estimates(label: str, x: Sequence[int], found: Mapping[int, Estimate]) -> Series:
    """A line with its band; without a band where a point has no interval."""
    low, high = [found[one].low for one in x], [found[one].high for one in x]
    whole = all(math.isfinite(value) for value in low + high)
    y = [found[one].value for one in x]
    return Series(label, x, y, low if whole else None, high if whole else None, markers=len(x) < 30)


def error_composition(source: Source) -> str:
    """Share of a training step's completions that fail, by phase."""
    groups = sorted((key, group) for key, group in source.tally.groups.items() if key.source == TRAINING)
    groups = [(key, group) for key, group in groups if group.samples]
    totals: Counter[str] = Counter()
    for _, group in groups:
        totals.update(group.by_phase)
    phases = [phase for phase, _ in totals.most_common(COMPOSITION_PARTS)]
    parts = {phase: [group.by_phase[phase] / group.samples for _, group in groups] for phase in phases}
    return area_chart("Failures in training, by phase (share)", [key.step for key, _ in groups], parts)


def class_masses(source: Source) -> list[str]:
    """Shortcut tasks: the share of each class of solution over steps, a chart for each of their levels."""
    levels = sorted({level for group in source.tally.groups.values() for level in group.by_class})
    charts = {f"Solution classes of {level} tasks (share)": _class_mass(source, level) for level in levels}
    if not levels:
        charts = {"Solution classes of shortcut tasks (share)": _logged_mass(source)}
    return [line_chart(title, series, log_y=True) for title, series in charts.items()]


def _class_mass(source: Source, level: str) -> list[Series]:
    """In training and in evaluations."""
    groups = sorted((key, g.by_class[level]) for key, g in source.tally.groups.items() if level in g.by_class)
    names = sorted({name for _, counts in groups for name in counts})
    sources = sorted({key.source for key, _ in groups}, key=lambda name: name == TRAINING)
    series = []
    for place in sources:
        at = [(key.step, counts) for key, counts in groups if key.source == place]
        for colour, name in enumerate(names):
            shares = [found[name] / found.total() for _, found in at]
            evaluation = place != TRAINING
            label = f"{place} {name}" if evaluation or len(sources) == 1 else ""
            series.append(Series(label, [x for x, _ in at], shares, markers=evaluation, colour=colour))
    return series


def _logged_mass(source: Source) -> list[Series]:
    """From the evaluations' lines, where their completions were not kept."""
    points: dict[str, list[tuple[int, float]]] = {}
    for line in source.run.evals:
        shares = line.get("class_mass")
        for name, share in shares.items() if isinstance(shares, dict) else ():
            if (value := finite(share)) is not None:
                points.setdefault(f"{line.get('name')} {name}", []).append((line["step"], value))
    return [
        Series(label, [x for x, _ in found], [y for _, y in found], markers=True)
        for label, found in sorted(points.items())
    ]


def _step_chart(
    title: str,
    keys: Sequence[tuple[str, str]],
    steps: Sequence[dict[str, Any]],
    still: Collection[str],
    stages: Sequence[Shade] = (),
) -> str:
    series = [one for key, label in keys if key not in still and (one := _series(label, key, steps))]
    return line_chart(title, series, shades=stages)


def _series(label: str, key: str, steps: Sequence[dict[str, Any]]) -> Series | None:
    logged = [(record["step"], finite(record.get(key))) for record in steps]
    points = [(step, value) for step, value in logged if value is not None]
    return Series(label, [x for x, _ in points], [y for _, y in points]) if points else None


def _other_keys(steps: Sequence[dict[str, Any]]) -> list[str]:
    """Numeric measures that this page has no chart for by name."""
    known = _UNDRAWN | {key for _, keys in STAGED_CHARTS + STEP_CHARTS for key, _ in keys}
    found = {key for record in steps for key, value in record.items() if finite(value) is not None}
    return sorted(found - known)
