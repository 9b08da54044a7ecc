"""Which curves a run has: training records, evaluations and error composition over steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from analysis.columns import Column, Source, main_evaluation
from analysis.passk import pass_at_k_intervals
from analysis.reader import finite, logged_pass_at_k
from analysis.report.charts import Series, area_chart, line_chart
from analysis.rows import TRAINING

# (title, [(key in steps.jsonl, label)]); a chart with no numbers is left out.
STEP_CHARTS: list[tuple[str, list[tuple[str, str]]]] = [
    ("Reward in training", [("reward_mean", "mean reward"), ("pass_rate", "pass rate")]),
    ("Entropy (nats a token)", [("entropy", "entropy")]),
    (
        "Programs and groups (share)",
        [("compile_rate", "compile"), ("truncated_rate", "truncated"), ("signal_rate", "groups with signal")],
    ),
    ("KL from the warm model (nats a token)", [("kl_warm", "KL")]),
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
_UNDRAWN = {"step", "policy_version", "loss", "learning_rate", "infra_count", "learner_rows", "rows"}
_UNDRAWN |= {"logprob_diff_max", "seconds_total"}
MOST_LINES = 6
COMPOSITION_PARTS = 7


def run_charts(source: Source, columns: Sequence[Column]) -> list[str]:
    """All charts of one run, those without data left out."""
    steps = source.run.steps
    drawn = [
        pass_at_k_over_steps(source),
        pass_at_k_curves(columns),
        *(_step_chart(title, keys, steps) for title, keys in STEP_CHARTS),
        error_composition(source),
        class_mass(source),
        *(_step_chart(key.replace("_", " "), [(key, key)], steps) for key in _other_keys(steps)),
    ]
    return [chart for chart in drawn if chart]


def comparison_charts(sources: Sequence[Source], columns: Sequence[Column]) -> list[str]:
    """Each measure once, with a line for every run."""
    titles = {
        key: f"{title}: {label}" if len(keys) > 1 else title
        for title, keys in STEP_CHARTS
        for key, label in keys
    }
    others = {key for source in sources for key in _other_keys(source.run.steps)}
    titles |= {key: key.replace("_", " ") for key in sorted(others)}
    drawn = [pass_at_1_of_runs(sources), pass_at_k_curves(columns)]
    for key, title in titles.items():
        series = [_series(source.run.name, key, source.run.steps) for source in sources]
        drawn.append(line_chart(title, [one for one in series if one]))
    return [chart for chart in drawn if chart]


def pass_at_k_curves(columns: Sequence[Column]) -> str:
    """pass@k against k, with 95% intervals, for every column."""
    series = []
    for column in columns:
        found = pass_at_k_intervals(column.group.counts())
        ks = sorted(found)
        series.append(
            Series(
                column.label,
                ks,
                [found[k].value for k in ks],
                [found[k].low for k in ks],
                [found[k].high for k in ks],
                markers=True,
            )
        )
    return line_chart("pass@k, with 95% intervals over tasks", series, x_label="k", log2=True)


def pass_at_k_over_steps(source: Source) -> str:
    """pass@1 and the largest logged pass@k of every evaluation, over steps."""
    names = sorted({str(line.get("name")) for line in source.run.evals})
    series = []
    for name in names:
        logged = [int(k) for line in source.run.evals for k in _logged(line, name)]
        for k in dict.fromkeys([min(logged), max(logged)] if logged else []):
            series.append(_evaluation_series(f"{name} pass@{k}", source, name, k))
    return line_chart("pass@k over training", series[:MOST_LINES])


def pass_at_1_of_runs(sources: Sequence[Source]) -> str:
    """pass@1 of every run's main evaluation, over steps."""
    mains = [(source, main) for source in sources if (main := main_evaluation(source))]
    series = [_evaluation_series(f"{s.run.name}, {main}", s, main, 1) for s, main in mains]
    return line_chart("pass@1 over training", series)


def _evaluation_series(label: str, source: Source, name: str, k: int) -> Series:
    points = [(line["step"], _logged(line, name).get(str(k))) for line in source.run.evals]
    found = [(step, value) for step, value in points if value is not None]
    return Series(label, [x for x, _ in found], [y for _, y in found], markers=len(found) < 30)


def _logged(line: dict[str, Any], name: str) -> dict[str, float]:
    return logged_pass_at_k(line.get("pass_at_k")) if str(line.get("name")) == name else {}


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


def class_mass(source: Source) -> str:
    """Shortcut tasks: the share of each class of solution over evaluations."""
    points: dict[str, list[tuple[int, float]]] = {}
    for line in source.run.evals:
        shares = line.get("class_mass")
        for name, share in shares.items() if isinstance(shares, dict) else ():
            if (value := finite(share)) is not None:
                points.setdefault(f"{line.get('name')} {name}", []).append((line["step"], value))
    series = [
        Series(label, [x for x, _ in found], [y for _, y in found], markers=True)
        for label, found in sorted(points.items())
    ]
    return line_chart("Solution classes of shortcut tasks (share)", series)


def _step_chart(title: str, keys: Sequence[tuple[str, str]], steps: Sequence[dict[str, Any]]) -> str:
    return line_chart(title, [one for key, label in keys if (one := _series(label, key, steps))])


def _series(label: str, key: str, steps: Sequence[dict[str, Any]]) -> Series | None:
    logged = [(record["step"], finite(record.get(key))) for record in steps]
    points = [(step, value) for step, value in logged if value is not None]
    return Series(label, [x for x, _ in points], [y for _, y in points]) if points else None


def _other_keys(steps: Sequence[dict[str, Any]]) -> list[str]:
    """Numeric measures that this page has no chart for by name, such as a stage monitor's."""
    known = _UNDRAWN | {key for _, keys in STEP_CHARTS for key, _ in keys}
    found = {key for record in steps for key, value in record.items() if finite(value) is not None}
    return sorted(found - known)
