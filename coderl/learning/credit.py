"""From rewards to advantages, and how completions weigh in the batch; formulas beside their code.

The objectives and their papers are listed in `objectives.py`. Deviations from them, here:

- Advantages divide by the sample standard deviation (Bessel) + 1e-4, as TRL does; the GRPO paper does not
  say which one it takes. Groups whose rewards are all equal get exactly 0.
- psr, nsr and w_reinforce go by the verdict, not by a shaped reward.
- rloo's sum over tokens is divided by max_tokens ("constant"), a factor that Adam removes.
- "penalise" never rewards: with rewards above 1 the advantage is 0.
- dapo's dynamic sampling (refilling all-equal groups) is in the training loop (`loop.collect`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from coderl.config.objective import ObjectiveConfig
from coderl.errors import ConfigError
from tasks.own import blamed

STD_FLOOR = 1e-4


def advantages(
    config: ObjectiveConfig, rewards: Sequence[float | None], passed: Sequence[bool]
) -> list[float | None]:
    """The advantages of one group, in order.

    A reward of None (a fault of ours) leaves the group before its statistics, and its advantage is
    None. Where fewer than two rewards are left, group-relative advantages are 0. Raises `ConfigError` where a user's
    own objective fails.

    Args:
        rewards: usually in [0, 1]; any finite numbers where they are a user's own, or shaped.
        passed: whether the program passed, which a shaped reward does not tell.
    """
    graded = [(r, p) for r, p in zip(rewards, passed, strict=True) if r is not None]
    form = config.form
    compute = _own if form.advantages else _relative if form.is_relative else _by_verdict
    values = iter(compute(config, [r for r, _ in graded], [p for _, p in graded]))
    return [None if r is None else next(values) for r in rewards]


def _relative(config: ObjectiveConfig, rewards: Sequence[float], passed: Sequence[bool]) -> list[float]:
    """A_i = (r_i - mean r) / (std r + 1e-4), and its relatives."""
    if len(rewards) < 2:
        return [0.0] * len(rewards)
    if min(rewards) == max(rewards):
        penalised = config.all_wrong == "penalise" and not any(passed)
        return [min(rewards[0] - 1, 0.0) if penalised else 0.0] * len(rewards)
    mean = statistics.fmean(rewards)
    values = [r - mean for r in rewards]
    if config.form.baseline == "others":  # r_i - mean of the others = G/(G-1) (r_i - mean r)
        values = [a * len(rewards) / (len(rewards) - 1) for a in values]
    if config.scale_by_std:
        scale = statistics.stdev(rewards) + STD_FLOOR
        values = [a / scale for a in values]
    if config.form.negative_only:  # A^-_i = min(A_i, 0)
        values = [min(a, 0.0) for a in values]
    return values


def _by_verdict(config: ObjectiveConfig, rewards: Sequence[float], passed: Sequence[bool]) -> list[float]:
    """PSR: A = 1 if passed. NSR: A = -1 if failed. W-REINFORCE: lambda PSR + NSR. The others: 0."""
    positive = config.positive_weight if config.form.passing is None else config.form.passing
    unpunished = config.all_wrong == "zero" and not any(passed)
    negative = 0.0 if unpunished else config.form.failing
    return [positive if p else negative for p in passed]


def _own(config: ObjectiveConfig, rewards: Sequence[float], passed: Sequence[bool]) -> list[float]:
    """What the user's `Form.advantages` says. Raises `ConfigError`."""
    assert config.form.advantages is not None
    try:
        values = [float(a) for a in config.form.advantages(config, list(rewards), list(passed))]
    except Exception as error:  # the user's function: any fault in it is its own
        raise ConfigError(f"objective.name = {config.name}: advantages failed: {blamed(error)}") from error
    if len(values) != len(rewards) or not all(map(math.isfinite, values)):
        raise ConfigError(
            f"objective.name = {config.name}: advantages of {len(rewards)} rewards are to be as many finite numbers, "
            f"not {values}"
        )
    return [min(a, 0.0) for a in values] if config.form.negative_only else values


def needs_row(config: ObjectiveConfig, advantage: float | None) -> bool:
    """Whether a completion can contribute to the gradient, and so must run through the learner."""
    if advantage is None:
        return False
    return advantage != 0 or config.scores_every_row


def row_weights(
    config: ObjectiveConfig,
    advantages: Sequence[float | None],
    lengths: Sequence[int],
    *,
    n_sampled: int,
    max_tokens: int,
) -> list[float]:
    """The weight w_i of each completion's tokens, such that L = sum_i w_i sum_t l_it over the WHOLE batch.

        sequence_mean  w_i = 1 / (N |o_i|)
        token_mean     w_i = 1 / sum_j |o_j|
        constant       w_i = 1 / (N max_tokens)

    N and the sum over j run over all graded completions ("sampled"), or over those whose advantage
    is not zero ("kept"). What -N removes it removes whole, KL and entropy included: its weight is 0. As
    weights are fixed before the batch is cut, micro-batches, padding and the dropping of rows that
    `needs_row` refuses change nothing.

    Args:
        advantages: of every completion of the batch; None (a fault of ours) counts nowhere.
        lengths: tokens of each completion.
        n_sampled: graded completions of the batch.
        max_tokens: the most tokens that a completion may have.
    """
    kept = config.denominator == "kept"
    counts = [a is not None and (a != 0 or not kept) for a in advantages]
    n = max(1, sum(counts) if kept else n_sampled)
    tokens = max(1, sum(length for length, c in zip(lengths, counts, strict=True) if c))

    def weight(length: int) -> float:
        match config.aggregation:
            case "sequence_mean":
                return 1 / (n * max(1, length))
            case "token_mean":
                return 1 / tokens
            case "constant":
                return 1 / (n * max_tokens)

    removed = [config.form.negative_only and not a for a in advantages]
    return [
        weight(length) if c and not r else 0.0 for length, c, r in zip(lengths, counts, removed, strict=True)
    ]
