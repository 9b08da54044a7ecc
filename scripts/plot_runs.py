"""Curves of several runs in one SVG: `python scripts/plot_runs.py OUT.svg runs/NAME...`

Held-out pass@1, KL from the warm model, entropy, and the share of programs that compile, each against steps (means over
five).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean

import matplotlib
from matplotlib.figure import Figure

STEPS_A_POINT = 5
PANELS = {
    "held-out pass@1": ("eval", lambda line: line["pass_at_k"]["1"]),
    "KL from the warm model, nats a token": ("step", lambda line: line["kl_warm"]),
    "entropy, nats a token": ("step", lambda line: line["entropy"]),
    "share of programs that compile": ("step", lambda line: line["compile_rate"]),
}


def main(out: str, *folders: str) -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, (title, (kind, value)) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for folder in map(Path, folders):
            lines = [json.loads(text) for text in (folder / "steps.jsonl").read_text().splitlines()]
            chosen = [line for line in lines if line["kind"] == kind]
            width = STEPS_A_POINT if kind == "step" else 1
            parts = [chosen[i : i + width] for i in range(0, len(chosen), width)]
            steps = [fmean(line["step"] for line in part) for part in parts]
            axes.plot(steps, [fmean(map(value, part)) for part in parts], lw=1, label=folder.name)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    axes.legend()
    with matplotlib.rc_context({"svg.hashsalt": "coderl", "svg.fonttype": "none", "font.size": 9}):
        figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
