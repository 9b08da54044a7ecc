"""One SVG of a simulated run: masses and true stages, entropy and pass@k, convergence in G."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from coderl.dynamics.expected import Convergence
from coderl.dynamics.simulate import Options, Step, runs_of

SHADES = {"exploitation": "#f4d9a8", "exploration": "#bfe3c0"}


def write(
    path: Path, options: Options, steps: Sequence[Step], truth: Sequence[str], rows: Sequence[Convergence]
) -> None:
    figure = Figure(figsize=(9, 8 if rows else 6), layout="constrained")
    mass, spread, *rest = figure.subplots(3 if rows else 2, 1)
    x = [s.step for s in steps]
    for name, colour in (("popular", "tab:orange"), ("rare", "tab:green"), ("wrong", "tab:red")):
        mass.plot(x, [getattr(s, name) for s in steps], label=name, color=colour)
    start = 0
    for stage, length in runs_of(list(truth)):
        if stage in SHADES:
            mass.axvspan(start, start + length - 1, color=SHADES[stage], lw=0)
        start += length
    mass.set(ylabel="probability mass", yscale="log", ylim=(1e-5, 1.5))
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
