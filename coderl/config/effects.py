"""Settings that change nothing where they are given, each with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from coderl.config.settings import RunConfig


class Dependent(NamedTuple):
    """Settings that need something else. `section.*` stands for all of a section."""

    keys: str
    matter: Callable[[RunConfig, bool], bool]  # of a configuration, and whether there is a GPU
    reason: str  # where they do not


DEPENDENT = (
    Dependent(
        "warmup.* train.control",
        lambda config, gpu: config.model.path is None,
        "model.path names a model, which is not warmed up",
    ),
    Dependent("supervised.*", lambda config, gpu: False, "it is for `coderl warmup --model`"),
    Dependent(
        "sampler.processes sampler.share_prefixes sampler.kv_cache_gib sampler.gpu_memory_fraction",
        lambda config, gpu: not config.sampler.urls,
        "sampler.urls names servers, which have settings of their own",
    ),
    Dependent(
        "sampler.processes sampler.share_prefixes sampler.kv_cache_gib",
        lambda config, gpu: bool(config.sampler.urls) or not gpu,
        "it is for sampling on CPUs, and here is a GPU",
    ),
    Dependent(
        "sampler.gpu_memory_fraction",
        lambda config, gpu: bool(config.sampler.urls) or gpu,
        "it is for sampling on a GPU, and here is none",
    ),
    Dependent(
        "sampler.transfer",
        lambda config, gpu: bool(config.sampler.urls) or (config.sampler.processes > 1 and not gpu),
        "sampling is in this process",
    ),
    Dependent(
        "sandbox.backend sandbox.slots",
        lambda config, gpu: not config.sandbox.urls,
        "sandbox.urls names daemons, which have settings of their own",
    ),
    Dependent(
        "stages.patience",
        lambda config, gpu: bool(config.stages.objectives(config.objective)),
        "no stage has an objective of its own",
    ),
    Dependent(
        "objective.kl_kind objective.kl_reference",
        lambda config, gpu: config.objective.kl_coef > 0,
        "objective.kl_coef is 0",
    ),
    Dependent(
        "objective.sampler_correction_cap",
        lambda config, gpu: config.objective.sampler_correction != "none",
        "objective.sampler_correction is none",
    ),
    Dependent(
        "objective.positive_weight",
        lambda config, gpu: any(form.passing is None for form in config.forms),
        "only w_reinforce has such a weight",
    ),
    Dependent(
        "objective.scale_by_std",
        lambda config, gpu: any(form.advantages or form.is_relative for form in config.forms),
        "the objective's advantages are verdicts",
    ),
    Dependent(
        "objective.dual_clip",
        lambda config, gpu: any(form.surrogate == "clipped" for form in config.forms),
        "the objective clips weights, not a surrogate",
    ),
    Dependent(
        "objective.eps_low objective.eps_high objective.dual_clip",
        lambda config, gpu: config.learner.minibatches > 1,
        "learner.minibatches is 1: with one step a batch the ratio is 1, and nothing can clip",
    ),
)


def without_effect(config: RunConfig, *, on_gpu: bool) -> Iterator[str]:
    """What `config` sets, to another value than usual, and what changes nothing."""
    usual = RunConfig.model_validate(
        {
            "objective": {"name": config.objective.name},
            "stages": config.stages.model_dump(include={"exploitation", "exploration"}),
            "train": {"lag": config.train.lag},
        }
    )
    for keys, matter, reason in DEPENDENT:
        if not matter(config, on_gpu):
            for key in single(keys):
                if attrgetter(key)(config) != attrgetter(key)(usual):
                    yield f"{key} has no effect: {reason}"


def single(keys: str) -> Iterator[str]:
    for key in keys.split():
        section, _, name = key.partition(".")
        if name == "*":
            yield from (f"{section}.{field}" for field in type(getattr(RunConfig(), section)).model_fields)
        else:
            yield key
