"""The settings of training and evaluation tasks."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator

from coderl.config.section import Section


class DataConfig(Section):
    train: str | dict[str, float] = Field(
        "builtin:mix",
        description="NAME, NAME=FILE, FILE.jsonl or builtin:LEVEL; several with their shares of a step's prompts: "
        '{mbpp = 2, "builtin:mix" = 1}',
    )
    evaluation: str = Field("builtin:mix", description="one such, for evaluation")
    train_count: int | None = Field(None, ge=1, description="use only this many tasks of each training set")
    evaluation_count: int | None = Field(None, ge=1, description="use only this many evaluation tasks")
    audit: list[str] = Field(
        [],
        description="files that `coderl tasks audit --out` wrote: tasks whose tests they call weak are left out of "
        "training and evaluation",
    )
    allow_overlap: bool = Field(False, description="keep training tasks that also occur in evaluation")
    several: Literal["leave out", "keep"] = Field(
        "leave out",
        description="tasks whose statement says that several answers are right, though one is known",
    )
    choice: Literal["uniform", "posterior"] = Field(
        "uniform",
        description="which tasks a step samples. uniform: all, in shuffled epochs; posterior: those that pass about "
        "half of the time, as far as training has seen (coderl/rollouts/choosing.py)",
    )

    @field_validator("train", mode="before")
    @classmethod
    def _check_train(cls, train: object) -> object:
        return train if isinstance(train, str) else weights(train, "training set", above=0)

    @property
    def weights(self) -> dict[str, float]:
        """Of each training set, by its name."""
        return {self.train: 1.0} if isinstance(self.train, str) else self.train


def weights(given: object, what: str, *, above: float) -> dict[str, float]:
    """`given`, where it is a table of finite weights by name. Raises `ValueError`."""
    if not isinstance(given, dict) or not given:
        raise ValueError(f'one {what} is its name, several are {{NAME = WEIGHT, "OTHER" = WEIGHT}}')
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not above < weight < math.inf:
            than = f" above {above:g}" if above > -math.inf else ""
            raise ValueError(f"the weight of {name} is to be a finite number{than}")
    return given
