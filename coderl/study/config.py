"""A study's configuration: arms over one base configuration, seeds, and how their outcomes are evaluated."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, model_validator

from coderl.config.load import apply_override, validated
from coderl.config.section import Section
from coderl.config.settings import RunConfig
from coderl.errors import ConfigError
from coderl.model.named import model_folder
from coderl.runfolder.layout import BASE, CONTROL, WARM


class FinalEvaluation(Section):
    """What every final policy is evaluated on. Temperatures are chosen on tasks of their own."""

    tasks: int = Field(200, ge=1, description="held-out tasks")
    samples: int = Field(256, ge=2, description="samples a task; pass@k is reported up to half as many")
    best_samples: int = Field(64, ge=2, description="samples a task at the policy's best temperature")
    train_tasks: int = Field(100, ge=1, description="tasks of each training set, evaluated too")
    train_samples: int = Field(64, ge=2)
    calibration_tasks: int = Field(48, ge=0, description="held-out tasks, of no other use")
    calibration_samples: int = Field(32, ge=2)
    temperature: float = Field(1.0, gt=0, description="of all but the evaluation at the best one")
    temperatures: list[float] = Field(
        [0.8, 1.0, 1.3], description="of which each policy's best is chosen; none: no such evaluation"
    )
    others: dict[str, str] = Field({}, description="further data sets to evaluate on alike, by a name")


class StudyConfig(Section):
    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder under runs/")
    runs: str = "runs"
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    jobs: int = Field(2, ge=1, description="shards that run at once")
    final: FinalEvaluation = FinalEvaluation()
    base: dict[str, Any] = Field(
        default_factory=dict,
        description="what all arms share, as in a run's TOML; a model.path is warmed up on the references",
    )
    arms: dict[str, list[str]] = Field(
        min_length=1, description="arm's name: its overrides, section.key=value"
    )

    once: list[str] = Field(
        [], description="arms that are trained with the first seed only, such as a control"
    )

    @model_validator(mode="after")
    def _every_arm_is_valid(self) -> StudyConfig:
        for arm in set(self.once) - set(self.arms):
            raise ValueError(f"once names {arm!r}, which is no arm")
        for arm in self.arms:
            if arm in (WARM, CONTROL, BASE):
                raise ValueError(f"no arm may be called {arm!r}: a control has that name")
            self.arm(arm, self.seeds[0])
        return self

    @property
    def folder(self) -> Path:
        return Path(self.runs) / self.name

    @property
    def controls(self) -> list[str]:
        """The policies that no arm has trained."""
        return [WARM, CONTROL, *([BASE] if self.shared().model.path else [])]

    def model(self, control: str) -> Path:
        """The folder of a control's model.

        Raises:
            ModelError: the base model is not there.
        """
        path = self.shared().model.path
        return model_folder(path) if control == BASE and path else self.folder / control

    def shared(self) -> RunConfig:
        """The base configuration by itself, for the warm model and its evaluation."""
        return validated(RunConfig, {**copy.deepcopy(self.base), "seed": 0}, "[base]")

    def arm(self, arm: str, seed: int) -> RunConfig:
        """The configuration of one training run.

        Raises:
            ConfigError: an override names an unknown key or a value out of range.
        """
        data = copy.deepcopy(self.base)
        for text in self.arms[arm]:
            apply_override(data, text)
        data |= {"name": policy_name(arm, seed), "runs": str(self.folder / "arms"), "seed": seed}
        return validated(RunConfig, data, f"arm {arm}").with_model(self.folder / WARM)


def policy_name(arm: str, seed: int) -> str:
    return f"{arm}-seed{seed}"


def load(path: Path, *, quick: bool, runs: str | None = None, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a study's TOML file; with `quick`, its table [quick] replaces the keys it names; overrides come last.

    Raises:
        ConfigError: unreadable file, unknown key, or a value out of range.
    """
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"study configuration {path} cannot be read ({error.strerror}); give one with --config, "
            "such as configs/studies/paper.toml of coderl's repository"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    shortened = data.pop("quick", {})
    if quick:
        data = _merged(data, shortened)
    if runs is not None:
        data["runs"] = runs
    for text in overrides:
        apply_override(data, text)
    return validated(StudyConfig, data, str(path))


def to_toml(config: StudyConfig) -> str:
    return tomli_w.dumps(config.model_dump(exclude_none=True))


def _merged(data: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`data` with `other` put over it, table by table; `arms` is replaced as a whole."""
    merged = dict(data)
    for key, value in other.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "arms"
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
