"""A simulated run as one SVG: masses and true stages, entropy and pass@k, convergence in G; and a sweep."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coderl.dynamics.expected import Convergence
from coderl.dynamics.simulate import Options, Step, runs_of

MOST_POINTS = 100  # of a line in a sweep's panel
SHADES = {"exploitation": "#f4d9a8", "exploration": "#bfe3c0"}


def write(
    path: Path, options: Options, steps: Sequence[Step], truth: Sequence[str], rows: Sequence[Convergence]
) -> None:
    figure = Figure(figsize=(9, 8 if rows else 6), layout="constrained")
    mass, spread, *rest = figure.subplots(3 if rows else 2, 1)
    x = [s.step for s in steps]
    _masses(mass, steps, truth)
    mass.set(ylabel="probability mass")
    mass.set_title(
        f"{options.objective.name}, G = {options.group_size}, learning rate {options.learning_rate:g}, "
        f"inner steps {options.inner_steps} (shaded: exploitation, then exploration)"
    )
    mass.legend(loc="lower right")
    spread.plot(x, [s.entropy for s in steps], label="entropy, nats")
    spread.plot(x, [s.pass_at_k for s in steps], label=f"pass@{options.large_k}")
    spread.set(xlabel="step")
    spread.legend(loc="upper right")
    for axes in rest:
        axes.loglog([r.group_size for r in rows], [r.relative_error for r in rows], marker="o")
        axes.set(xlabel="group size G", ylabel="exact update against Theorem 1,\nrelative error")
    figure.savefig(path, format="svg")


def write_sweep(path: Path, panels: Sequence[tuple[str, Sequence[Step], Sequence[str]]]) -> None:
    """One SVG, a panel a setting: probability of each action over steps, true stages shaded."""
    with rc_context({"svg.hashsalt": "coderl", "svg.fonttype": "none", "path.simplify": True}):
        figure = Figure(figsize=(2.5 * len(panels), 2.6), layout="constrained")
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (label, steps, truth) in zip(row, panels, strict=True):
            _masses(axes, steps, truth)
            axes.set_title(label, fontsize=9)
            axes.set_xlabel("step", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.minorticks_off()
        row[0].set_ylabel("probability mass", fontsize=8)
        row[0].legend(fontsize=7, loc="lower left")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(r"<[^>]*>", _rounded, buffer.getvalue()))


def _rounded(tag: re.Match[str]) -> str:
    """The tag's coordinates to a tenth of a point: finer than a screen shows, and half the size."""
    return re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", tag[0])


def _masses(axes: Axes, steps: Sequence[Step], truth: Sequence[str]) -> None:
    shown = steps[:: max(1, len(steps) // MOST_POINTS)]
    x = [s.step for s in shown]
    for name, colour in (("popular", "tab:orange"), ("rare", "tab:green"), ("wrong", "tab:red")):
        axes.plot(x, [getattr(s, name) for s in shown], label=name, color=colour, lw=1.4)
    start = 0
    for stage, length in runs_of(list(truth)):
        if stage in SHADES:
            axes.axvspan(start, start + length - 1, color=SHADES[stage], lw=0)
        start += length
    axes.set(yscale="log", ylim=(1e-5, 1.5))
