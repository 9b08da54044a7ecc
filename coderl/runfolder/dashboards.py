"""Metrics for TensorBoard (`tensorboard --logdir runs`) and, where configured, Weights & Biases.

Both come beside the run folder's own records; nothing reads them back.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.rollouts.batch import Group

SAMPLE_COLUMNS = ["task", "reward", "verdict", "completion"]


class Metrics:
    """Writes every number of a record under `PREFIX/KEY`, and samples as text.

    `folder`: the run folder. `after`: the step that a resumed run continues from.
    """

    def __init__(self, folder: Path, config: RunConfig, *, after: int | None = None) -> None:
        self._wandb = _start_wandb(folder, config)
        purge = None if after is None else after + 1
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def add(self, prefix: str, step: int, fields: Mapping[str, Any]) -> None:
        numbers = {f"{prefix}/{k}": v for k, v in fields.items() if isinstance(v, (int, float))}
        for key, value in numbers.items():
            self._writer.add_scalar(key, value, step)
        self._writer.flush()
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def samples(self, step: int, group: Group) -> None:
        """The completions of one group, as a table."""
        rows = [
            [
                r.task.id,
                "" if r.reward is None else f"{r.reward:g}",
                r.verdict.phase if r.verdict else "",
                r.text,
            ]
            for r in group.rollouts
        ]
        cells = [
            [html.escape(cell).replace("|", "&#124;").replace("\n", "<br>") for cell in row] for row in rows
        ]
        lines = [SAMPLE_COLUMNS, ["---"] * len(SAMPLE_COLUMNS), *cells]
        self._writer.add_text("samples", "\n".join("|".join(line) for line in lines), step)
        self._writer.flush()
        if self._wandb is not None:
            import wandb

            self._wandb.log({"samples": wandb.Table(columns=SAMPLE_COLUMNS, data=rows)}, step=step)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if self._wandb is not None:
            self._wandb.finish(exit_code=0 if kind is None else 1)


def require_wandb(config: RunConfig) -> None:
    """Raises `ConfigError` where the run asks for Weights & Biases and it is not installed."""
    if config.metrics.wandb_project is None:
        return
    try:
        import wandb  # noqa: F401
    except ImportError:
        raise ConfigError(
            "metrics.wandb_project is set and wandb is not installed: pip install 'coderl[wandb]', or leave it out"
        ) from None


def _start_wandb(folder: Path, config: RunConfig) -> Any:
    """W&B's run, or None. A resumed run goes on with the same one: its id is made from run.json."""
    if config.metrics.wandb_project is None:
        return None
    import wandb

    return wandb.init(
        project=config.metrics.wandb_project,
        name=config.name,
        id=hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()[:16],
        resume="allow",
        dir=str(folder),
        config=config.model_dump(mode="json"),
    )
