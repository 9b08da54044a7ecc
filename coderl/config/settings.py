"""The settings of a run, by section. Reading them from a file: load.py; of the objective: objective.py.

The resolved configuration is saved in the run folder and loads back to the same object.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field, field_validator, model_validator

from coderl.config import defaults
from coderl.config.data import DataConfig, weights
from coderl.config.learner import LearnerConfig, LoraConfig
from coderl.config.objective import Form, ObjectiveConfig, StagesConfig, steadied
from coderl.config.section import Section
from coderl.config.template import template_text


class ModelConfig(Section):
    """The policy. With no `path`, a small model is built and warmed up as `[warmup]` says."""

    path: str | None = Field(
        None, description="folder, GGUF file, name or hub id; none: the built-in model, warmed up"
    )
    prompt_style: Literal["auto", "chat", "completion", "prefilled"] = Field(
        "auto",
        description="how it is asked (coderl/model/prompts.py); auto: by chat where it has a template",
    )
    system_prompt: str | None = Field(None, description="its system turn; none: what its template says")
    prompt_template: str | None = Field(
        None,
        description="Jinja2, or a file of it: the user's turn, or by completion the whole text (docs/prompts.md)",
    )
    answer_opening: str | None = Field(
        None,
        description="by chat: how the answer is begun for the model, in its own turn; prefilled has its own",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="to compute in; auto: bfloat16 on a GPU (optimizer: float32). On a CPU bfloat16 is for those with "
        "AMX or AVX512-BF16: on others it is many times slower than float32",
    )

    @model_validator(mode="after")
    def _check_opening(self) -> ModelConfig:
        if self.answer_opening is not None and self.prompt_style not in ("auto", "chat"):
            raise ValueError(f"answer_opening is for prompt_style chat, and it is {self.prompt_style}")
        return self

    @field_validator("prompt_template")
    @classmethod
    def _read_template(cls, given: str | None) -> str | None:
        return None if given is None else template_text(given)


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


class SupervisedConfig(Section):
    """Supervised training of a named model on solutions, by `coderl warmup --model`."""

    epochs: int = Field(2, ge=1, description="times that each solution is learned")
    batch_size: int = Field(16, ge=1, description="solutions a step")
    learning_rate: float = Field(
        2e-5, gt=0, description="at its peak, after a linear ramp and before a cosine"
    )
    max_tokens: int = Field(
        1024, ge=1, description="a prompt with its solution; longer ones are left out, and counted"
    )


class SamplerConfig(Section):
    temperature: float = Field(1.0, description="of training, which draws from the whole distribution")
    stop: list[str] = Field([], description="a completion's text ends before the first of these strings")
    max_tokens: int = Field(
        64,
        ge=0,
        description="tokens a completion; 0, the default with model.path: twice what references take, 256 to 1024",
    )
    max_prompt_tokens: int = Field(
        192,
        ge=0,
        description="longer prompts are left out, and counted; 0, the default with model.path: what the context "
        "leaves, up to 2048",
    )
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
    transfer: str = Field(
        "/dev/shm",
        description="how weights reach servers (or processes): files in this folder, which all see under this name; "
        "nccl: between GPUs",
    )

    @field_validator("temperature")
    @classmethod
    def _check_temperature(cls, temperature: float) -> float:
        if not 0 < temperature <= 2:
            raise ValueError(
                "above 0, as training learns from what differs (eval.temperature may be 0); at most 2"
            )
        return temperature

    @model_validator(mode="after")
    def _check_stop(self) -> SamplerConfig:
        if self.stop and self.share_prefixes:
            raise ValueError("share_prefixes knows no stop strings: leave one of the two out")
        if "" in self.stop:
            raise ValueError("stop holds an empty string, which stands everywhere")
        return self

    @model_validator(mode="after")
    def _check_transfer(self) -> SamplerConfig:
        if self.transfer == "nccl":
            if not self.urls:
                raise ValueError("transfer = nccl is for vLLM servers: name them in urls, or name a folder")
        elif not Path(self.transfer).is_absolute():
            raise ValueError("transfer is nccl, or a folder's absolute path")
        return self


class RewardConfig(Section):
    kind: str | dict[str, float] = Field(
        "fraction",
        description="all_passed, fraction, module:function of your own (docs/own.md), or the sum of several: "
        '{fraction = 1, "module:function" = -0.1}',
    )
    truncated: Literal["grade", "zero", "mask"] = Field(
        "grade", description="completions cut by max_tokens: graded as they are, worth 0, or left out"
    )
    overlong_buffer: int = Field(
        0, ge=0, description="DAPO's soft overlong punishment over the last tokens before max_tokens; 0: off"
    )

    @field_validator("kind", mode="before")
    @classmethod
    def _check_kind(cls, kind: object) -> object:
        return kind if isinstance(kind, str) else weights(kind, "reward", above=-math.inf)


class GradingConfig(Section):
    requirements: list[str] = Field(
        [],
        description="packages that programs and tests may import beyond numpy, pandas and sortedcontainers, as pip "
        'names them: ["scipy", "networkx==3.6"]; fetched once',
    )
    extraction: Literal["coderl", "evalplus"] = Field(
        "coderl",
        description="how a program is taken from a completion: as docs/grading.md says, or by evalplus's sanitizer",
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


class EvalConfig(Section):
    every: int = Field(10, ge=0, description="steps between evaluations; 0: only before and after")
    samples: int = Field(4, ge=1, description="samples a task on the way")
    final_samples: int = Field(16, ge=1, description="samples a task before and after training")
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        description="0: the likeliest token; none, here and below: the model's own (generation_config.json, "
        "without its repetition_penalty), else the whole distribution at 1",
    )
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, description="0: off")
    min_p: float | None = Field(None, ge=0, le=1)


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
    show_samples_every: int = Field(
        10, ge=0, description="steps between samples on the screen and the dashboards; 0: never"
    )


class MetricsConfig(Section):
    """TensorBoard's files are always written, into the run folder."""

    wandb_project: str | None = Field(
        None, description="project of Weights & Biases, `coderl[wandb]`; none: off"
    )
    own: list[str] = Field(
        [],
        description="functions as of reward.kind, module:function: the mean of each is recorded (docs/own.md)",
    )


class RunConfig(Section):
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="folder under runs/")
    runs: str = Field("runs", description="folder that holds run folders")
    seed: int = 0
    model: ModelConfig = ModelConfig()
    warmup: WarmupConfig = WarmupConfig()
    supervised: SupervisedConfig = SupervisedConfig()
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
    def _take_dependent_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = defaults.for_model(data)
        objective, stages, train = (data.get(key, {}) for key in ("objective", "stages", "train"))
        lag = isinstance(train, dict) and bool(train.get("lag"))
        return data | {"objective": steadied(objective, stages, lag=lag)}

    @model_validator(mode="after")
    def _check_stages(self) -> RunConfig:
        self.stages.objectives(self.objective)
        return self

    @model_validator(mode="after")
    def _check_lengths(self) -> RunConfig:
        if self.model.path is None and not (self.sampler.max_tokens and self.sampler.max_prompt_tokens):
            raise ValueError("sampler.max_tokens and max_prompt_tokens are 0 only with a model.path to fit")
        return self

    @property
    def forms(self) -> list[Form]:
        """Of the objective, and of those of stages."""
        return [o.form for o in (self.objective, *self.stages.objectives(self.objective).values())]

    @property
    def folder(self) -> Path:
        return Path(self.runs) / self.name

    def with_model(self, path: Path) -> RunConfig:
        """The same with another model's folder; defaults are those of the model that it was read with."""
        return self.model_copy(update={"model": self.model.model_copy(update={"path": str(path)})})

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True))
