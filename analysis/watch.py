"""`coderl watch`: a run that goes on, in a terminal: its last steps, evaluations, events, and what it wrote last."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analysis.inert import inert
from analysis.reading.reader import Run, open_run
from analysis.reading.rows import TRAINING, Row

PERIOD = 2.0  # seconds
STEPS, EVALUATIONS, EVENTS = 12, 3, 3  # shown, the last ones
SHOWN_CHARACTERS = 600  # of a completion
COLUMNS = {
    "reward": "reward_mean",
    "pass": "pass_rate",
    "signal": "signal_rate",
    "entropy": "entropy",
    "KL": "kl_warm",
    "compiles": "compile_rate",
    "cut": "truncated_rate",
    "rate": "learning_rate",
    "s": "seconds_total",
}


def watch(folder: Path, console: Console) -> None:
    """Show `folder` until its run ends or Ctrl-C; once, where `console` is no terminal.

    Raises `RunError` where `folder` is no run folder.
    """
    if not console.is_terminal:
        console.print(picture(open_run(folder)))
        return
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                run = open_run(folder)
                live.update(picture(run), refresh=True)
                if run.steps and run.steps[-1]["step"] >= _steps(run):
                    return
                time.sleep(PERIOD)
        except KeyboardInterrupt:
            return


def picture(run: Run) -> RenderableType:
    """All that is shown of `run`."""
    parts: list[RenderableType] = [_steps_table(run)]
    parts += [Text(_evaluation(line)) for line in run.evals[-EVALUATIONS:]]
    parts += [
        Text(f"{line.get('event')} (step {line.get('step')}): {line.get('detail', '')}", style="yellow")
        for line in run.events[-EVENTS:]
    ]
    if run.steps:
        parts += _written(list(run.rows(only={(TRAINING, run.steps[-1]["step"])})))
    return Group(*parts)


def _steps(run: Run) -> int:
    return int(tomllib.loads(run.config).get("train", {}).get("steps", 0)) or 1 << 62


def _steps_table(run: Run) -> Table:
    done = run.steps[-1]["step"] if run.steps else 0
    title = f"{run.name}: step {done} of {_steps(run)}"
    table = Table("step", *COLUMNS, title=title, box=None, padding=(0, 1, 0, 0))  # fits 80 columns
    for line in run.steps[-STEPS:]:
        table.add_row(str(line["step"]), *(_number(line.get(key)) for key in COLUMNS.values()))
    return table


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float)) else ""


def _evaluation(line: dict[str, Any]) -> str:
    curve = "  ".join(f"pass@{k} {value:.3f}" for k, value in line["pass_at_k"].items())
    return f"{line['name']}, step {line['step']}: {curve}"


def _written(rows: Sequence[Row]) -> list[RenderableType]:
    """A completion of the last step that passes and one that fails, where there are."""
    chosen = [next((row for row in rows if row.passed is passed), None) for passed in (True, False)]
    parts: list[RenderableType] = []
    for row in filter(None, chosen):
        text = inert(row.completion, SHOWN_CHARACTERS)
        parts += [Text(f"{row.task_id}: {row.phase}", style="bold"), Text(text, style="dim")]
    return parts
