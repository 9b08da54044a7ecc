"""Stopping a run whose sampler holds other weights than its learner."""

from __future__ import annotations

import torch

from coderl.errors import MismatchError
from coderl.learning.probe import Probe
from coderl.training.run import Run

FLOAT32_MISMATCH = 1e-3  # nats a token; in float32 vLLM and transformers agree to 1e-6
REDUCED_MISMATCH = 0.1
STALE = 6.0  # standard errors: by chance once in a thousand million steps


def check_mismatch(run: Run, probe: Probe) -> None:
    """Stop when sampler and learner disagree on the same tokens: a stale or wrong weight publish.

    In bfloat16 one missed update hides in their rounding, at any limit, but a comparison with the policy before it
    shows it. Merging an adapter there rounds small updates away, which would look the same.
    """
    exact = run.policy.model.dtype == torch.float32
    limit = run.config.learner.max_logprob_difference
    compares = exact or run.config.lora is None
    if limit is None:
        limit = FLOAT32_MISMATCH if exact else REDUCED_MISMATCH
    if not probe.logprob_diff_mean <= limit:  # also catches NaN
        raise MismatchError(
            f"step {run.step + 1}: sampler and learner differ by {probe.logprob_diff_mean:.2g} nats a token "
            f"(limit {limit:g}): the sampler holds other weights than the learner. Resume from the last checkpoint; "
            "if it recurs, compare versions with those that coderl/sampling/publish.py was tested on, or raise "
            "learner.max_logprob_difference"
        )
    if compares and probe.staleness > STALE:
        raise MismatchError(
            f"step {run.step + 1}: what was sampled fits the policy before the last update better than the present one "
            f"({probe.staleness:.0f} standard errors): the sampler was not given the new weights. Resume from the last "
            "checkpoint; if it recurs, compare versions with those that coderl/sampling/publish.py was tested on"
        )
