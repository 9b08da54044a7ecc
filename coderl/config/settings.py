"""A run's configuration: one TOML file, typed, plus dotted overrides (`learner.learning_rate=1e-4`).

Unknown keys are errors that name the nearest key. The resolved configuration is saved in the run
folder and loads back to the same object.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from coderl.config.objective import DEFAULT_OBJECTIVE, FORMS, ObjectiveConfig
from coderl.errors import ConfigError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """The policy. With no `path`, a small model is built and warmed up as `[warmup]` says."""

    path: str | None = Field(None, description="transformers folder; none: the built-in model, warmed up")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="to compute in; auto: bfloat16 on a GPU (optimizer: float32)"
    )


class WarmupConfig(Section):
    """Supervised training of the built-in model on imperfect demonstrations."""

    level: str = Field("builtin:mix", description="level whose demonstrations are learned")
    steps: int = Field(300, ge=1, description="optimizer steps")
    batch_size: int = Field(64, ge=1, description="demonstrations a step")
    learning_rate: float = Field(2e-3, gt=0)
    wrong_rate: float = Field(0.5, ge=0, le=1, description="share of demonstrations that are wrong")
    layers: int = Field(4, ge=1)
    hidden_size: int = Field(192, ge=32, multiple_of=32)
    vocabulary: int = Field(640, ge=300, description="tokens of the byte-level BPE")
    max_positions: int = Field(512, ge=64)


class DataConfig(Section):
    train: str = Field("builtin:mix", description="NAME, NAME=FILE, FILE.jsonl or builtin:LEVEL")
    evaluation: str = Field("builtin:mix", description="the same, for evaluation")
    train_count: int | None = Field(None, ge=1, description="use only this many training tasks")
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
    prefilter_samples: int = Field(0, ge=0, description="samples a task to measure its pass rate; 0: off")
    prefilter_low: float = Field(0.0, ge=0, le=1, description="drop tasks with a pass rate at or below")
    prefilter_high: float = Field(1.0, ge=0, le=1, description="drop tasks with a pass rate at or above")


class SamplerConfig(Section):
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(64, ge=1, description="tokens a completion")
    max_prompt_tokens: int = Field(192, ge=1, description="longer prompts are left out, and counted")
    max_sequences: int = Field(256, ge=1, description="sequences that vLLM runs at once")
    kv_cache_gib: int = Field(1, ge=1, description="CPU only; of each process")
    processes: int = Field(
        1,
        ge=1,
        description="CPU only: engines that sample side by side, each with memory of its own; 1: one, in this process",
    )
    share_prefixes: bool = Field(
        False,
        description="CPU only: the completions of a prompt are one sequence for as long as they draw the same tokens; "
        "faster the more they have in common, and just as random",
    )
    gpu_memory_fraction: float = Field(0.35, gt=0, lt=1, description="GPU only")
    urls: list[str] = Field(
        [],
        description="vLLM servers to sample from (docs/multi-node.md), http://HOST:PORT; none: in this process",
    )
    transfer: Literal["folder", "nccl"] = Field(
        "folder", description="how weights reach servers: files in transfer_folder, or between GPUs"
    )
    transfer_folder: str = Field(
        "/dev/shm", description="folder that the learner and all servers (or processes) see under this name"
    )

    @model_validator(mode="after")
    def _check_place(self) -> SamplerConfig:
        if self.urls and self.processes > 1:
            raise ValueError("urls and processes are two ways to sample: name one of them")
        if self.urls and self.share_prefixes:
            raise ValueError("share_prefixes is not for servers: leave it at false, or name no urls")
        return self


class LearnerConfig(Section):
    learning_rate: float = Field(1e-4, gt=0)
    kl_target: float = Field(
        3e-4,
        ge=0,
        description="nats a token that a batch's update may move the policy, measured on the next batch: the "
        "learning rate is steered to meet it, within 1/1000 to 10 times learning_rate; 0: off, and the memory of a "
        "copy of the policy is saved",
    )
    warmup_steps: int = Field(0, ge=0, description="linear ramp of the learning rate, in batches")
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    weight_decay: float = Field(0.0, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    gradient_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    minibatches: int = Field(1, ge=1, description="optimizer steps a batch; more than one is off-policy")
    tokens_per_microbatch: int | None = Field(
        None,
        ge=1,
        description="padded tokens a forward pass; none: 16384 on a GPU, 2048 on a CPU, for its caches",
    )
    gradient_checkpointing: bool = Field(
        False, description="keep each layer's input only and run it again in the backward pass: less memory"
    )
    share_prompts: bool = Field(
        False,
        description="run a prompt once for all its completions: faster where prompts are not much shorter than "
        "completions, and equal up to rounding; needs a model with PyTorch's attention (sdpa)",
    )
    probe_rows: int = Field(
        32, ge=1, description="random completions scored each step for entropy, KL, mismatch"
    )
    max_logprob_difference: float | None = Field(
        None,
        gt=0,
        description="mean |sampler - learner|, nats, that stops the run; none: 1e-3 in float32, else 0.1",
    )

    @model_validator(mode="after")
    def _check_schedule(self) -> LearnerConfig:
        if self.kl_target and self.schedule != "constant":
            raise ValueError(
                "kl_target sets the learning rate itself: leave schedule at constant, or set kl_target to 0"
            )
        return self


class LoraConfig(Section):
    """Train low-rank additions to linear layers (peft) and leave the weights themselves as they are."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1, description="the addition is scaled by alpha / rank")
    targets: list[str] = Field(
        [], description="ends of layers' names, such as q_proj; none: all linear layers of the decoder"
    )


class RewardConfig(Section):
    kind: str = Field("fraction", description="all_passed, fraction, or module:function")
    truncated: Literal["grade", "zero", "mask"] = Field(
        "grade", description="completions cut by max_tokens: graded as they are, worth 0, or left out"
    )
    overlong_buffer: int = Field(
        0, ge=0, description="DAPO's soft overlong punishment over the last tokens before max_tokens; 0: off"
    )


class GradingConfig(Section):
    requirements: list[str] = Field(
        [],
        description="packages that programs and tests may import beyond numpy, pandas and sortedcontainers, as pip "
        'names them: ["scipy", "networkx==3.6"]; fetched once',
    )
    hold_back: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each training task's tests that the reward does not see; completions that pass the "
        "rest are graded again on these, and overfit_rate is the share of them that fails; 0: off",
    )
    in_process: Literal["never", "needed"] = Field(
        "never",
        description="a test that cannot be run apart from the program: its task is left out, or (needed) both run in "
        "one process, where a program can forge its verdict, which says so",
    )


class SandboxConfig(Section):
    backend: Literal["auto", "docker", "bubblewrap", "confined"] = Field(
        "auto", description="auto: the first that works"
    )
    slots: int = Field(2, ge=1, description="programs that run at once")
    urls: list[str] = Field(
        [],
        description="daemons that run the programs (`coderl sandbox serve`): http://HOST:PORT, unix:///PATH; their "
        "token in CODERL_TOKEN; none: a pool in this process, of `backend` and `slots`",
    )
    outage_seconds: float = Field(
        600, ge=0, description="how long to wait for a sandbox that grades nothing before the run stops"
    )


class StagesConfig(Section):
    """Optional objectives for the stages of arXiv 2510.04028, in place of `[objective]` once one has lasted."""

    exploitation: ObjectiveConfig | None = None
    exploration: ObjectiveConfig | None = None
    patience: int = Field(10, ge=1, description="steps in a row that the stage monitor must name the stage")


class EvalConfig(Section):
    every: int = Field(10, ge=0, description="steps between evaluations; 0: only before and after")
    samples: int = Field(4, ge=1, description="samples a task on the way")
    final_samples: int = Field(16, ge=1, description="samples a task before and after training")
    temperature: float = Field(1.0, gt=0)


class TrainConfig(Section):
    steps: int = Field(40, ge=1)
    prompts_per_step: int = Field(32, ge=1)
    samples_per_prompt: int = Field(16, ge=2, description="group size G")
    dynamic_sampling: int = Field(
        0,
        ge=0,
        description="DAPO: times that prompts whose rewards are all equal may be replaced by others; 0: off",
    )
    lag: int = Field(
        0,
        ge=0,
        le=1,
        description="1: the next batch is sampled while this one is learned from, so by a policy one step older "
        "(not across evaluations and checkpoints); for GPUs. objective.sampler_correction is then token, unless given",
    )
    checkpoint_every: int = Field(10, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    control: bool = Field(False, description="also evaluate warm-up continued for as many optimizer steps")
    stop_on_collapse: bool = True
    show_samples_every: int = Field(10, ge=0, description="steps between samples on the screen; 0: never")


class MetricsConfig(Section):
    """TensorBoard's files are always written, into the run folder."""

    wandb_project: str | None = Field(
        None, description="project of Weights & Biases, `coderl[wandb]`; none: off"
    )


class RunConfig(Section):
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder under runs/")
    runs: str = Field("runs", description="folder that holds run folders")
    seed: int = 0
    model: ModelConfig = ModelConfig()
    warmup: WarmupConfig = WarmupConfig()
    data: DataConfig = DataConfig()
    sampler: SamplerConfig = SamplerConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    stages: StagesConfig = StagesConfig()
    learner: LearnerConfig = LearnerConfig()
    lora: LoraConfig | None = None
    reward: RewardConfig = RewardConfig()
    grading: GradingConfig = GradingConfig()
    sandbox: SandboxConfig = SandboxConfig()
    eval: EvalConfig = EvalConfig()
    train: TrainConfig = TrainConfig()
    metrics: MetricsConfig = MetricsConfig()

    @model_validator(mode="before")
    @classmethod
    def _steady_objectives(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        train, stages = data.get("train"), data.get("stages")
        lag = isinstance(train, dict) and bool(train.get("lag"))
        data = data | {"objective": _steadied(data.get("objective", {}), lag)}
        if isinstance(stages, dict):
            data = data | {"stages": {k: _steadied(v, lag) for k, v in stages.items()}}
        return data

    def without_effect(self, *, on_gpu: bool) -> list[str]:
        """What is set here and changes nothing, each with the reason."""
        found = []
        if self.model.path is not None:
            warmup = WarmupConfig()
            keys = [f"warmup.{key}" for key, value in self.warmup if value != getattr(warmup, key)]
            keys += ["train.control"] if self.train.control else []
            found += [
                f"{key} has no effect: model.path names a model, which is not warmed up" for key in keys
            ]
        if on_gpu:
            keys = ["processes"] if self.sampler.processes > 1 else []
            keys += ["share_prefixes"] if self.sampler.share_prefixes else []
            found += [f"sampler.{key} has no effect on a GPU" for key in keys]
        return found

    @property
    def folder(self) -> Path:
        return Path(self.runs) / self.name

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True))


def _steadied(objective: Any, lag: bool) -> Any:
    """An objective's table with what training adds to the papers' objectives unless told otherwise."""
    if not isinstance(objective, dict):
        return objective
    added: dict[str, Any] = {"sampler_correction": "token"} if lag else {}
    form = FORMS.get(objective.get("name", DEFAULT_OBJECTIVE))
    if form is not None and form.negative_only:  # evidence: docs/stability.md
        added |= {"kl_coef": 0.1, "kl_kind": "full"}
    return added | objective


def load(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file (none: all defaults) and apply `section.key=value` overrides.

    Raises:
        ConfigError: unreadable file, unknown key, or a value out of range.
    """
    data: dict[str, Any] = {}
    where = "the command line"
    if path is not None:
        where = str(path)
        try:
            data = tomllib.loads(path.read_text())
        except FileNotFoundError:
            raise ConfigError(
                f"configuration file {path} does not exist; give --config an existing file"
            ) from None
        except OSError as error:
            raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from error
    for override in overrides:
        apply_override(data, override)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(explain(e) for e in error.errors())) from None


def apply_override(data: dict[str, Any], override: str) -> None:
    """Put one `section.key=value` into `data`. Raises `ConfigError` where it is not of that form."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *sections, last = key.split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ConfigError(f"override {override!r}: {section} is a value, not a section")
    data[last] = value


def explain(error: Any, model: type[BaseModel] = RunConfig) -> str:
    """One of pydantic's errors about `model` as a sentence; an unknown key's names the nearest."""
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    if error["type"] != "extra_forbidden":
        return f"{key} = {error['input']!r}: {error['msg'].lower()}"
    known = _keys(model)
    last = {k: k.rpartition(".")[2] for k in known}
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    if not near:  # the right word in the wrong section
        word = difflib.get_close_matches(path[-1], sorted(set(last.values())), n=1, cutoff=0.6)
        near = [k for k in known if word and last[k] == word[0]]
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; keys are: {', '.join(sorted(known))}"
    return f"unknown key {key}{hint}"


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        for kind in (field.annotation, *get_args(field.annotation)):  # `Section` or `Section | None`
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                keys += _keys(kind, f"{prefix}{name}.")
    return keys
