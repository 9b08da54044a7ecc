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
from analysis.study.data import CONTROL, HELD_OUT, WARM, Study, passing

Points = Sequence[tuple[float, float]]
Line = dict[str, Any]


def write(study: Study, folder: Path) -> list[str]:
    """Writes the figures into `folder` and returns their names, in the order that they are read."""
    figures = {
        "boundary.svg": _boundary(study),
        "training.svg": _training(study),
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
    for arm in (WARM, CONTROL, *study.arms):
        values = [float(np.nanmean(study.matrix(arm, HELD_OUT, passing(k))[1])) for k in ks]
        axes.plot(ks, values, marker="o", ms=3, label=arm, ls="--" if arm in (WARM, CONTROL) else "-")
    axes.set(xscale="log", xlabel="k", ylabel="pass@k, held-out tasks", title="Final policies, temperature 1")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.legend()
    return figure


def _reward(line: Line) -> float | None:
    return line.get("reward_mean")


def _entropy(line: Line) -> float | None:
    return line.get("entropy")


def _pass_at_1(line: Line) -> float | None:
    value: float | None = line["pass_at_k"].get("1")
    return value


def _pass_at_largest(line: Line) -> float | None:
    curve: dict[str, float] = line["pass_at_k"]
    return curve[max(curve, key=int)]


PANELS: list[tuple[str, str, Callable[[Line], float | None]]] = [
    ("reward", "steps", _reward),
    ("entropy, nats a token", "steps", _entropy),
    ("pass@1, held out", "evals", _pass_at_1),
    ("pass@k at the largest k, held out", "evals", _pass_at_largest),
]


def _training(study: Study) -> Figure:
    """Reward, entropy, pass@1 and pass@k on the way: against steps (above) and KL from the warm model (below)."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    rows = figure.subplots(2, len(PANELS))
    for above, below, (name, kind, take) in zip(*rows, PANELS, strict=True):
        for number, arm in enumerate(study.arms):
            for seed, policy in enumerate(study.of(arm)):
                kl = {line["step"]: line.get("kl_warm") or 0.0 for line in policy.steps}
                points = [
                    (line["step"], value)
                    for line in getattr(policy, kind)
                    if (value := take(line)) is not None
                ]
                _line(above, points, arm, number, named=seed == 0)
                _line(below, sorted((kl.get(step, 0.0), value) for step, value in points), arm, number)
        above.set(title=name, xlabel="step")
        below.set(xlabel="KL from the warm model, nats a token")
    rows[0][0].legend()
    return figure


def _line(axes: Axes, points: Points, arm: str, number: int, *, named: bool = False) -> None:
    x, y = zip(*points, strict=True) if points else ((), ())
    axes.plot(x, y, color=f"C{number}", lw=1, alpha=0.8, label=arm if named else None)


def _classes(study: Study) -> Figure | None:
    """Mass of the popular, the rare and the wrong solutions of shortcut tasks, on the way."""
    if not any(line.get("class_mass") for arm in study.arms for p in study.of(arm) for line in p.evals):
        return None
    figure = Figure(figsize=(11, 3.5), layout="constrained")
    panels = figure.subplots(1, len(study.arms), sharey=True, squeeze=False)[0]
    for axes, arm in zip(panels, study.arms, strict=True):
        for policy in study.of(arm):
            for name, colour in (("popular", "tab:orange"), ("rare", "tab:green"), ("wrong", "tab:red")):
                points = [
                    (e["step"], max(e["class_mass"].get(name, 0.0), 1e-4))
                    for e in policy.evals
                    if e.get("class_mass")
                ]
                x, y = zip(*points, strict=True) if points else ((), ())
                axes.plot(x, y, color=colour, lw=1, label=name if policy is study.of(arm)[0] else None)
        axes.set(title=arm, xlabel="step", yscale="log", ylim=(1e-4, 1.2))
    panels[0].set_ylabel("share of samples (floor 1e-4)")
    panels[0].legend()
    return figure
