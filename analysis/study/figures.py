"""A study's figures, as SVG files small enough to be committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.passk import powers_of_two
from analysis.study.claims import largest_k
from analysis.study.data import LEVELS, Policy, Study, class_shares, passing
from coderl.runfolder.layout import HELD_OUT, TRAINING_TASKS

Line = dict[str, Any]
Shares = list[tuple[int, dict[str, float]]]  # by step

SHARE_FLOOR = 1e-4  # what is less is drawn here


def write(study: Study, folder: Path) -> list[str]:
    """Writes the figures into `folder` and returns their names, in the order that they are read."""
    figures = {
        "boundary.svg": _boundary(study),
        "held-out.svg": _curves(study, HELD_OUT, HELD_OUT_PANELS),
        "training.svg": _curves(study, TRAINING_TASKS, TRAINING_PANELS),
        "classes.svg": _classes(study),
    }
    with matplotlib.rc_context({"svg.hashsalt": "coderl", "svg.fonttype": "none", "font.size": 9}):
        for name, figure in figures.items():
            if figure is not None:
                figure.savefig(folder / name, metadata={"Date": None})
    return [name for name, figure in figures.items() if figure is not None]


def _boundary(study: Study) -> Figure:
    """pass@k of the final policies, mean over seeds, on a log axis of k."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    ks = powers_of_two(largest_k(study))
    for arm in (*study.controls, *study.arms):
        values = [float(np.nanmean(study.matrix(arm, HELD_OUT, passing(k))[1])) for k in ks]
        axes.plot(ks, values, marker="o", ms=3, label=arm, ls="--" if arm in study.controls else "-")
    axes.set(xscale="log", xlabel="k", ylabel="pass@k, held-out tasks", title="Final policies")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.legend()
    return figure


def _logged(key: str) -> Callable[[Line], float | None]:
    return lambda line: line.get(key)


def _pass_at_1(line: Line) -> float | None:
    value: float | None = line["pass_at_k"].get("1")
    return value


def _pass_at_largest(line: Line) -> float | None:
    curve: dict[str, float] = line["pass_at_k"]
    return curve[max(curve, key=int)]


Panels = list[tuple[str, Callable[[Line], float | None]]]

HELD_OUT_PANELS: Panels = [
    ("entropy, nats a token", _logged("entropy")),
    ("programs that compile", _logged("compile_rate")),
    ("pass@1", _pass_at_1),
    ("pass@k at the largest k", _pass_at_largest),
]
TRAINING_PANELS: Panels = [
    ("reward", _logged("reward_mean")),
    ("entropy, nats a token", _logged("entropy")),
    ("programs that compile", _logged("compile_rate")),
    ("pass@1", _logged("pass_rate")),
]


def _curves(study: Study, tasks: str, panels: Panels) -> Figure:
    """Each measure on the way, against steps, against KL from the warm model, and against held-out pass@1."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    rows = figure.subplots(3, len(panels))
    for number, arm in enumerate(study.arms):
        for seed, policy in enumerate(study.of(arm)):
            lines = policy.evals if tasks == HELD_OUT else policy.steps
            places = [lambda step: step, _kl_of(policy), _pass_at_1_of(policy)]
            for axes_row, place in zip(rows, places, strict=True):
                for axes, (_, take) in zip(axes_row, panels, strict=True):
                    measured = [(line["step"], y) for line in lines if (y := take(line)) is not None]
                    if tasks == TRAINING_TASKS:
                        measured = _smooth(measured)[2::5]
                    points = sorted((place(step), y) for step, y in measured)
                    xs, ys = zip(*points, strict=True) if points else ((), ())
                    label = arm if seed == 0 else None
                    axes.plot(xs, ys, color=f"C{number}", lw=1, alpha=0.8, label=label)
    names = ("step", "KL from warm, nats a token", "pass@1, held-out tasks")
    for axes_row, name in zip(rows, names, strict=True):
        for axes, (title, _) in zip(axes_row, panels, strict=True):
            axes.set(title=title, xlabel=name)
    figure.suptitle(f"{tasks.removesuffix('-tasks')} tasks, on the way")
    rows[0][0].legend()
    return figure


def _smooth(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Means over five steps, of what is measured on one batch."""
    values = [value for _, value in points]
    return [(step, float(np.mean(values[max(0, i - 2) : i + 3]))) for i, (step, _) in enumerate(points)]


def _kl_of(policy: Policy) -> Callable[[int], float]:
    """By step."""
    known = [(line["step"], line["kl_warm"]) for line in policy.steps if line.get("kl_warm") is not None]
    steps, values = zip(*_smooth(known), strict=True) if known else ((0,), (0.0,))
    return lambda step: float(np.interp(step, steps, values))


def _pass_at_1_of(policy: Policy) -> Callable[[int], float]:
    points = [(line["step"], value) for line in policy.evals if (value := _pass_at_1(line)) is not None]
    steps, values = zip(*points, strict=True) if points else ((0,), (0.0,))
    return lambda step: float(np.interp(step, steps, values))


def _classes(study: Study) -> Figure | None:
    """Shares of the popular, the rare and the wrong solutions on the way: of the model on shortcut tasks and on
    those whose rare solution no demonstration shows, and of the simulation that starts from the same shares."""
    drawn = [(level, source) for level in LEVELS for source in ("model", "simulation")]
    shares = {(level, arm): _model_shares(study, arm, level) for level, _ in drawn for arm in study.arms}
    if not any(run for runs in shares.values() for run in runs):
        return None
    figure = Figure(figsize=(2.6 * len(study.arms), 8), layout="constrained")
    rows = figure.subplots(len(drawn), len(study.arms), sharey=True, squeeze=False)
    for axes_row, (level, source) in zip(rows, drawn, strict=True):
        for axes, arm in zip(axes_row, study.arms, strict=True):
            runs = shares[level, arm]
            if source == "simulation":
                run = study.simulation.get(arm, {}).get(level)
                runs = [run] if run else []
            _draw_shares(axes, runs)
            axes.set(title=arm, yscale="log", ylim=(SHARE_FLOOR, 1.3))
            axes.minorticks_off()
            axes.set_visible(bool(runs))
        axes_row[0].set_ylabel(f"{level}, {source}")
    for axes in rows[-1]:
        axes.set_xlabel("step")
    rows[0][0].legend()
    return figure


def _model_shares(study: Study, arm: str, level: str) -> list[Shares]:
    runs = []
    for policy in study.of(arm):
        at = {step: class_shares(tasks, level) for step, tasks in sorted(policy.onway.items())}
        runs.append([(step, found) for step, found in at.items() if found])
    return [run for run in runs if run]


def _draw_shares(axes: Axes, runs: Sequence[Shares]) -> None:
    for number, run in enumerate(runs):
        for name, colour in (("popular", "tab:orange"), ("rare", "tab:green"), ("wrong", "tab:red")):
            values = [max(shares[name], SHARE_FLOOR) for _, shares in run]
            axes.plot([step for step, _ in run], values, color=colour, lw=1, label=None if number else name)
