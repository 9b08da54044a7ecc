"""Metrics for TensorBoard, beside the run folder's own records: `tensorboard --logdir runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class Metrics:
    """Writes every number of a record under `PREFIX/KEY`. `after`: the step that a resumed run continues from."""

    def __init__(self, folder: Path, *, after: int | None = None) -> None:
        purge = None if after is None else after + 1
        self._writer = SummaryWriter(str(folder), purge_step=purge)

    def add(self, prefix: str, step: int, fields: Mapping[str, Any]) -> None:
        for key, value in fields.items():
            if isinstance(value, (int, float)):
                self._writer.add_scalar(f"{prefix}/{key}", value, step)
        self._writer.flush()

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
