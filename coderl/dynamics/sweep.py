"""One setting of the simulation at a time, at several values: what moves the two stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coderl.dynamics import plot
from coderl.dynamics.simulate import Options, Step, simulate, true_stages
from coderl.runfolder.files import make_folder

Settings = Mapping[str, Any]
"""What `Options` is made of, as plain data; `objective` is a table of its own."""


def _objective(**values: Any) -> Settings:
    return {"objective": values}


SWEEPS: dict[str, list[tuple[str, Settings]]] = {
    "group_size": [(f"G = {size}", {"group_size": size}) for size in (2, 4, 8, 16, 64)],
    "clip": [
        (f"clip {low:g}, {high:g}", {"inner_steps": 4, **_objective(eps_low=low, eps_high=high)})
        for low, high in ((0.2, 0.2), (0.2, 0.28), (0.02, 0.02), (3e-4, 4e-4), (3e-4, 0.2))
    ],
    "kl": [
        (f"KL coefficient {value:g}", _objective(kl_coef=value, kl_kind="full"))
        for value in (0.0, 0.03, 0.3, 1.0, 3.0)
    ],
    "rewards": [
        (f"{name}, {kind}", {"reward_popular": reward, **_objective(name=name)})
        for name in ("grpo", "grpo_n")
        for kind, reward in (("graded 0.8", 0.8), ("0/1", 0.0))
    ],
    "objective": [
        (name, _objective(name=name)) for name in ("grpo", "grpo_n", "dr_grpo", "psr", "nsr", "w_reinforce")
    ],
}


@dataclass(frozen=True, slots=True)
class Row:
    """One simulated run in numbers.

    lowest_pass_at_k, lowest_at: the least pass@k at the large k and its step: the depth of the shrinkage.
    exploration_at: first step that truly explores; None if none does. early_entropy: nats, at step 10.
    """

    sweep: str
    label: str
    exploitation_steps: int
    exploration_at: int | None
    lowest_pass_at_k: float
    lowest_at: int
    last_pass_at_k: float
    last_popular: float
    last_rare: float
    early_entropy: float


def run(base: Settings, names: Sequence[str], out: Path, report: Callable[[str], None] = print) -> list[Row]:
    """Simulate each setting of each sweep, otherwise as `base`; write `sweep-NAME.svg` and `sweeps.jsonl`.

    `report` is told each table as Markdown.
    """
    make_folder(out, "--out")
    rows: list[Row] = []
    for name in names:
        panels = []
        for label, settings in SWEEPS[name]:
            options = Options.model_validate(merged(base, settings))
            steps = list(simulate(options))
            truth = true_stages(steps)
            panels.append((label, steps, truth))
            rows.append(_row(name, label, steps, truth))
        plot.write_sweep(out / f"sweep-{name}.svg", panels)
        report(table([row for row in rows if row.sweep == name]))
    (out / "sweeps.jsonl").write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    return rows


def merged(base: Settings, settings: Settings) -> dict[str, Any]:
    """`settings` over `base`; tables are merged key by key."""
    tables = {
        key: {**base.get(key, {}), **value} for key, value in settings.items() if isinstance(value, dict)
    }
    return {**base, **settings, **tables}


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = (
        f"| {rows[0].sweep} | exploits, steps | explores from step | least pass@k (at step) | pass@k at the end"
        " | popular | rare | entropy at step 10 |"
    )
    body = [
        f"| {r.label} | {r.exploitation_steps} | {'never' if r.exploration_at is None else r.exploration_at}"
        f" | {r.lowest_pass_at_k:.3f} ({r.lowest_at}) | {r.last_pass_at_k:.3f}"
        f" | {r.last_popular:.4f} | {r.last_rare:.4f} | {r.early_entropy:.3f} |"
        for r in rows
    ]
    return "\n".join([head, "|---|" + "--:|" * 7, *body, ""])


def _row(sweep: str, label: str, steps: list[Step], truth: list[str]) -> Row:
    lowest = min(steps, key=lambda step: step.pass_at_k)
    last = steps[-1]
    return Row(
        sweep=sweep,
        label=label,
        exploitation_steps=truth.count("exploitation"),
        exploration_at=truth.index("exploration") if "exploration" in truth else None,
        lowest_pass_at_k=lowest.pass_at_k,
        lowest_at=lowest.step,
        last_pass_at_k=last.pass_at_k,
        last_popular=last.popular,
        last_rare=last.rare,
        early_entropy=steps[min(10, len(steps) - 1)].entropy,
    )
