"""Rows laid end to end as one sequence, without padding.

Positions begin anew with each row, and by that transformers keeps attention within it
(`masking_utils.find_packed_sequence_indices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from coderl.errors import ModelError
from coderl.model.scoring import TokenRow, score, token_columns


def packed(rows: Iterable[TokenRow], tokens: int) -> list[list[TokenRow]]:
    """`rows`, in order, in packs of at most so many tokens; a longer row is a pack of its own."""
    packs: list[list[TokenRow]] = []
    room = 0
    for row in rows:
        if len(row) > room:
            packs.append([])
            room = tokens
        packs[-1].append(row)
        room -= len(row)
    return packs


def score_packed(model: PreTrainedModel, rows: Sequence[TokenRow]) -> Tensor:
    """Log-probabilities, nats, of the completion tokens of one pack, end to end."""
    ids: list[int] = []
    positions: list[int] = []
    source: list[int] = []  # states that predict a completion's token
    target: list[int] = []
    for row in rows:
        first = len(ids) + len(row.prompt) - 1
        source += range(first, first + len(row.completion))
        target += row.completion
        ids += row.prompt + row.completion
        positions += range(len(row))
    device = model.device
    inputs = {
        "input_ids": torch.tensor([ids], device=device),
        "position_ids": torch.tensor([positions], device=device),
    }
    source_K, target_K = torch.tensor(source, device=device), torch.tensor(target, device=device)
    return token_columns(model, inputs, source_K, target_K, 1.0, False, ())[0]


def check_packing(model: PreTrainedModel) -> None:
    """Compare the log-probabilities of packed rows with those of padded ones, once.

    Raises:
        ModelError: the model attends from one row to another.
    """
    rows = [TokenRow([1, 2, 3], [4, 5]), TokenRow([6, 7], [8, 9, 10])]
    with torch.no_grad():
        scores = score(model, rows)
        padded = scores.logp_BT[scores.mask_BT]
        tolerance = 1e-4 if model.dtype == torch.float32 else 0.1
        if not torch.allclose(score_packed(model, rows), padded, atol=tolerance):
            raise ModelError(
                f"{type(model).__name__} does not keep rows apart that are packed into one sequence, so it cannot be "
                "warmed up; train it by `coderl train`"
            )
