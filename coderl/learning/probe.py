"""What is measured of the policy before each update, on random completions of all kinds.

Shape suffixes: B completions, T their tokens, right-padded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from coderl.learning import collectives
from coderl.learning.rows import Row, padded
from coderl.model.packing import Deal, TokenRow
from coderl.model.scoring import Scores


@dataclass(frozen=True, slots=True)
class Probe:
    """Nats a token. The previous policy is the one before the last update.

    `logprob_diff` is between the sampler and the learner's copy of the same policy: of the previous one where that one
    sampled, so an old policy does not pass for a stale publish, nor the other way round.
    """

    entropy: float
    kl_warm: float
    kl_step: float  # from the previous policy
    logprob_diff_mean: float  # |sampler - learner|
    logprob_diff_max: float
    staleness: (
        float  # standard errors by which the sampler is nearer to the previous policy than to its own; 0: not
    )
    seconds: float = field(default=0.0, compare=False)  # that it took


def measure(
    rows: Sequence[Row],
    model: PreTrainedModel,
    warm: PreTrainedModel,
    previous: PreTrainedModel,
    *,
    sampled_by_previous: bool,
    score: Callable[..., Scores],
    deal: Callable[[Sequence[TokenRow]], Deal],
) -> Probe:
    """Score `rows`, which have tokens, under `model` and what it is compared with; each rank its share of them."""
    sums = torch.zeros(7, dtype=torch.float64)
    largest = 0.0
    with torch.no_grad():
        for group, counts in deal(rows).passes(collectives.rank()):
            scores = score(model, [rows[i] for i in group], entropy=True, references=[warm, previous])
            assert scores.entropy_BT is not None
            sampler_BT = padded([rows[i].logprobs for i in group], scores.logp_BT)
            off_BT = (scores.logp_BT - sampler_BT).abs()
            nearer_BT = torch.zeros_like(off_BT)
            previous_off_BT = (scores.reference_logps_BT[1] - sampler_BT).abs()
            if sampled_by_previous:
                off_BT = previous_off_BT
            else:
                nearer_BT = off_BT - previous_off_BT
            if not counts:
                continue
            ones_BT = torch.ones_like(off_BT)
            columns = (ones_BT, scores.entropy_BT, off_BT, nearer_BT, nearer_BT**2, *scores.kls_BT)
            sums += torch.stack([(x * scores.mask_BT).sum() for x in columns]).double().cpu()
            largest = max(largest, float((off_BT * scores.mask_BT).max()))
    sums, largest = collectives.added(sums), collectives.largest(largest)
    count = float(sums[0])
    entropy, mismatch, nearer, squares, kl_warm, kl_step = (sums[1:] / count).tolist()
    error = math.sqrt(max(0.0, squares - nearer**2) / count)
    return Probe(
        entropy=entropy,
        kl_warm=kl_warm,
        kl_step=kl_step,
        logprob_diff_mean=mismatch,
        logprob_diff_max=largest,
        staleness=max(0.0, nearer / error) if error > 0 else 0.0,
    )
