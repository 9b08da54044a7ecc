"""Which objective is trained, and the options that the papers leave open.

Each objective is a row of `FORMS`, or a user's own `Form` (docs/own.md). An option that is not given takes the
objective's own default from there; a validated `ObjectiveConfig` therefore holds no open option. Formulas:
learning/objectives.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from coderl.config.section import Section
from tasks.own import load_own

Aggregation = Literal["sequence_mean", "token_mean", "constant"]

_GRPO: dict[str, Any] = {
    "eps_low": 0.2,
    "eps_high": 0.2,
    "aggregation": "sequence_mean",
    "scale_by_std": True,
    "denominator": "sampled",
    "all_wrong": "zero",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What an objective is made of, besides the options that a user may set. Formulas: learning/objectives.py.

    A user's own may bring `advantages(config, rewards, passed)`, one finite number for each completion of a group, and
    a `surrogate(config, ratio_BT, advantage_B1, logp_BT)`, the loss of each token, (B, T) or as the ratio: B
    completions, T tokens. Options that are not among its `defaults` have GRPO's.
    """

    defaults: Mapping[str, Any] = field(default_factory=lambda: _GRPO)  # of options that papers leave open
    baseline: Literal["group", "others", "verdict"] = "group"  # mean of its group, of the others; none
    negative_only: bool = False  # min(A, 0)
    ratio: Literal["token", "sequence", "sequence_token"] = "token"
    surrogate: Literal["clipped", "weighted"] | Callable[[ObjectiveConfig, Any, Any, Any], Any] = "clipped"
    # Without a baseline the verdict decides: A of a passing completion (none: `positive_weight`), of a failing one.
    passing: float | None = 0.0
    failing: float = 0.0
    advantages: Callable[[ObjectiveConfig, list[float], list[bool]], Sequence[float]] | None = None

    @property
    def is_relative(self) -> bool:
        """Whether advantages are rewards less a baseline of their group."""
        return self.advantages is None and self.baseline != "verdict"


_GSPO = _GRPO | {"eps_low": 3e-4, "eps_high": 4e-4}  # arXiv 2507.18071, section 5.1
_NO_STD = _GRPO | {"aggregation": "constant", "scale_by_std": False}
_DAPO = _GRPO | {"eps_high": 0.28, "aggregation": "token_mean"}
_CISPO = _GRPO | {"eps_low": 1.0, "eps_high": 4.0, "aggregation": "token_mean"}  # weight in [0, 5]
_NSR = _NO_STD | {"aggregation": "token_mean", "denominator": "kept", "all_wrong": "penalise"}

DEFAULT_OBJECTIVE = "grpo_n"
FORMS: dict[str, Form] = {
    "grpo": Form(_GRPO),
    "grpo_n": Form(_GRPO, negative_only=True),
    "gspo": Form(_GSPO, ratio="sequence"),
    "gspo_n": Form(_GSPO, ratio="sequence", negative_only=True),
    "gspo_token": Form(_GSPO, ratio="sequence_token"),
    "dr_grpo": Form(_NO_STD),
    "dapo": Form(_DAPO),
    "cispo": Form(_CISPO, surrogate="weighted"),
    "rloo": Form(_NO_STD, baseline="others"),
    "psr": Form(_NSR, baseline="verdict", passing=1.0),
    "nsr": Form(_NSR, baseline="verdict", failing=-1.0),
    "w_reinforce": Form(_NSR | {"denominator": "sampled"}, baseline="verdict", passing=None, failing=-1.0),
}


@cache
def form_of(name: str) -> Form:
    """The row of `FORMS`, or a user's own `Form` as `module:NAME`. Raises `ValueError` where there is none."""
    if ":" in name:
        own = load_own(name)
        if not isinstance(own, Form):
            raise ValueError(f"it is a {type(own).__name__}, not a coderl.config.objective.Form: docs/own.md")
        return replace(own, defaults=_GRPO | dict(own.defaults))
    if name not in FORMS:
        near = difflib.get_close_matches(name, FORMS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{hint}use one of {', '.join(FORMS)}, or 'module:NAME' of your own (docs/own.md)")
    return FORMS[name]


def _known(name: str) -> str:
    form_of(name)
    return name


Name = Annotated[str, AfterValidator(_known)]


def _own(description: str, **limits: Any) -> Any:
    """A field whose default is the objective's own."""
    return Field(default=None, description=f"{description}; none: the objective's own", **limits)


class ObjectiveConfig(Section):
    """What the learner optimises."""

    name: Name = Field(
        default=DEFAULT_OBJECTIVE, description=f"{', '.join(FORMS)}, or module:NAME of your own (docs/own.md)"
    )
    eps_low: float = _own("a falling ratio is clipped below 1 - eps_low", gt=0, le=1)
    eps_high: float = _own("a rising ratio is clipped above 1 + eps_high", gt=0)
    dual_clip: float | None = Field(
        default=None,
        gt=1,
        description="bound c on the ratio where the advantage is negative; above 1 + eps_high",
    )
    aggregation: Aggregation = _own(
        "sequence_mean: 1/(N |o_i|), token_mean: 1/(tokens of the batch), constant: 1/(N max_tokens)"
    )
    denominator: Literal["sampled", "kept"] = _own(
        "N counts all graded completions, or only those whose advantage is not zero (the others then leave "
        "the batch, KL and entropy included)"
    )
    all_wrong: Literal["zero", "penalise"] = _own(
        "groups without a full solution whose rewards are all equal: no gradient, or advantage reward - 1"
    )
    scale_by_std: bool = _own("divide advantages by the group's standard deviation + 1e-4")
    positive_weight: float = Field(
        default=0.1, ge=0, description="lambda of w_reinforce: the weight of passing completions"
    )
    kl_coef: float = Field(
        default=0.0,
        ge=0,
        description="weight of KL to the warm model, nats a token; 0: off. Training's default is 0.1, over the full "
        "vocabulary, where grpo_n or gspo_n is trained, if only in a stage, and 0 for the others",
    )
    kl_kind: Literal["k1", "k2", "k3", "full"] = Field(
        default="k3", description="estimator from the sampled token, or full: over the whole vocabulary"
    )
    kl_reference: Literal["warm", "average"] = Field(
        default="warm", description="what KL is held to: the warm model, or a slow average of the policy"
    )
    entropy_coef: float = Field(
        default=0.0, ge=0, description="weight of the entropy bonus, nats a token; 0: off"
    )
    sampler_correction: Literal["none", "token", "sequence"] = Field(
        default="none",
        description="truncated importance weights between the sampler's and the learner's log-probabilities",
    )
    sampler_correction_cap: float = Field(
        default=2.0, gt=0, description="importance weights are truncated at this value"
    )
    shuffle_advantages: bool = Field(
        default=False,
        description="control: advantages change places within their group, so the updates carry no signal",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_own_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        try:
            own = dict(form_of(str(data.get("name", DEFAULT_OBJECTIVE))).defaults)
        except ValueError:  # the name fails its own validation, which says why
            return data
        return own | {key: value for key, value in data.items() if value is not None or key not in own}

    @model_validator(mode="after")
    def _check_dual_clip(self) -> ObjectiveConfig:
        if self.dual_clip is not None and self.dual_clip <= 1 + self.eps_high:
            raise ValueError(f"dual_clip must be above 1 + eps_high = {1 + self.eps_high:g}")
        return self

    @property
    def form(self) -> Form:
        return form_of(self.name)

    def renamed(self, name: Name) -> ObjectiveConfig:
        """Another objective with these options; it has its own default of each that is left at this one's.

        Raises:
            ValueError: an option that was chosen for this objective does not fit the other.
        """
        own, other = self.form.defaults, form_of(name).defaults
        chosen = {key: getattr(self, key) for key in own if getattr(self, key) != own[key]}
        for key, value in chosen.items():
            if own[key] != other[key]:
                raise ValueError(
                    f"objective.{key} = {value} is chosen for {self.name} and does not fit {name}, which [stages] "
                    f"names: their defaults are {own[key]} and {other[key]}; leave it out"
                )
        shared = self.model_dump(exclude=set(own)) | {"name": name}
        try:
            return ObjectiveConfig.model_validate(shared | chosen)
        except ValidationError as error:
            reason = "; ".join(str(e["ctx"]["error"]) for e in error.errors())
            raise ValueError(f"{name}, which [stages] names: {reason}") from error

    @property
    def scores_every_row(self) -> bool:
        """Whether a KL or entropy term gives even completions without advantage a gradient.

        Never in -N: what it removes, it removes whole.
        """
        held = self.kl_coef > 0 or self.entropy_coef > 0
        return held and self.denominator == "sampled" and not self.form.negative_only


class StagesConfig(Section):
    """Objectives for the stages of arXiv 2510.04028, with the options of `[objective]`."""

    exploitation: Name | None = Field(
        None, description="objective once this stage has lasted; none: no other"
    )
    exploration: Name | None = Field(None, description="the same")
    patience: int = Field(10, ge=1, description="steps in a row that the stage monitor must name the stage")

    @field_validator("exploitation", "exploration", mode="before")
    @classmethod
    def _only_a_name(cls, value: Any) -> Any:
        if isinstance(value, dict):
            raise ValueError(
                "a stage names an objective, such as grpo_n; its options are those of [objective]"
            )
        return value

    def objectives(self, start: ObjectiveConfig) -> dict[str, ObjectiveConfig]:
        """The objectives of the stages that have one. Raises `ValueError`: an option of `start` does not fit one."""
        names = {"exploitation": self.exploitation, "exploration": self.exploration}
        return {stage: start.renamed(name) for stage, name in names.items() if name is not None}


def _is_negative_only(name: object) -> bool:
    try:
        return form_of(str(name)).negative_only
    except ValueError:  # none, or unknown: its own validation says so
        return False


def steadied(objective: Any, stages: Any, *, lag: bool) -> Any:
    """The table [objective] with what training adds to the papers' objectives unless told otherwise."""
    if not isinstance(objective, dict):
        return objective
    added: dict[str, Any] = {"sampler_correction": "token"} if lag else {}
    names = [objective.get("name", DEFAULT_OBJECTIVE)]
    if isinstance(stages, dict):
        names += [stages.get("exploitation"), stages.get("exploration")]
    if any(map(_is_negative_only, names)):  # evidence: docs/stability.md
        added |= {"kl_coef": 0.1, "kl_kind": "full"}
    return added | objective
