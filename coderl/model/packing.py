"""Rows laid end to end as one sequence, without padding, and dealt evenly to ranks.

Neighbours with the same prompt share it: it stands once, and each completion attends to it and to itself. Shape
suffixes: N tokens of one pack, K completion tokens among them, B rows, T tokens of the longest completion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coderl.model.attention import Segments

GPU_PASS_TOKENS = 16384
CPU_PASS_TOKENS = 2048  # what they make fits its caches
UNIT = 1 / 8  # of a pack: rows of one prompt that are dealt together, at most


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A prompt and its completion, as tokens."""

    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, slots=True)
class Layout:
    """A pack as the model's inputs (1 x N), and where among its states the completions are."""

    inputs: dict[str, Tensor]
    segments: Segments
    source_K: Tensor  # states that predict a completion's token
    target_K: Tensor  # those tokens
    mask_BT: Tensor  # where a row has them


@dataclass(frozen=True, slots=True)
class Deal:
    """`packs[rank]`: indices of rows that go through the model together, as many packs for each rank, some empty.

    `slowest`: the work that all wait for, summed over passes; `mean`: of a rank. In tokens through the layers'
    matrices.
    """

    packs: list[list[list[int]]]
    slowest: float
    mean: float

    def passes(self, rank: int) -> Iterator[tuple[list[int], bool]]:
        """The packs of `rank`, and whether they count: all ranks take part in each pass, so where one has nothing to
        do it runs a row that does not."""
        for pack in self.packs[rank]:
            yield (pack, True) if pack else ([0], False)


def pass_tokens(device: torch.device) -> int:
    """Of a pack, where nothing else is asked for."""
    return CPU_PASS_TOKENS if device.type == "cpu" else GPU_PASS_TOKENS


def packs(rows: Sequence[TokenRow], tokens: int) -> list[list[int]]:
    """Indices of `rows`, in order, in packs of at most so many tokens; a longer row is a pack of its own."""
    out: list[list[int]] = []
    size = 0
    for index, row in enumerate(rows):
        shares = bool(out) and rows[index - 1].prompt == row.prompt
        added = len(row.completion) if shares else len(row)
        if out and size + added <= tokens:
            out[-1].append(index)
            size += added
        else:
            out.append([index])
            size = len(row)
    return out


@dataclass(slots=True)
class _Bin:
    units: list[int] = field(default_factory=list)
    tokens: int = 0
    cost: float = 0.0


def deal(rows: Sequence[TokenRow], tokens: int, *, ranks: int, width: int) -> Deal:
    """Deal `rows` to ranks in packs of at most so many tokens, each rank the same work as nearly as can be.

    `width`: the model's hidden size, which says from which length on attention is most of the work.
    """
    if ranks == 1:
        cost = sum(_cost(rows, part, width) for part in _by_prompt(rows, range(len(rows))))
        return Deal([packs(rows, tokens)], cost, cost)
    units = [unit for pack in packs(rows, max(1, int(UNIT * tokens))) for unit in _by_prompt(rows, pack)]
    sizes = [_size(rows, unit) for unit in units]
    costs = [_cost(rows, unit, width) for unit in units]
    order = sorted(range(len(units)), key=lambda i: -costs[i])
    passes = math.ceil(sum(sizes) / (ranks * tokens))
    while (bins := _filled(order, sizes, costs, ranks * passes, tokens)) is None:
        passes += 1
    bins.sort(key=lambda one: -one.cost)
    slowest = sum(bins[i * ranks].cost for i in range(passes))
    dealt = [
        [sorted(row for unit in bins[i * ranks + rank].units for row in units[unit]) for i in range(passes)]
        for rank in range(ranks)
    ]
    return Deal(dealt, slowest, sum(costs) / ranks)


def _filled(
    order: Sequence[int], sizes: Sequence[int], costs: Sequence[float], count: int, tokens: int
) -> list[_Bin] | None:
    """The costliest unit first, each where least work is and room left; None where one found no room."""
    bins = [_Bin() for _ in range(count)]
    for unit in order:
        open_bins = [one for one in bins if not one.units or one.tokens + sizes[unit] <= tokens]
        if not open_bins:
            return None
        best = min(open_bins, key=lambda one: one.cost)
        best.units.append(unit)
        best.tokens += sizes[unit]
        best.cost += costs[unit]
    return bins


def _size(rows: Sequence[TokenRow], group: Sequence[int]) -> int:
    return len(rows[group[0]].prompt) + sum(len(rows[i].completion) for i in group)


def _cost(rows: Sequence[TokenRow], group: Sequence[int], width: int) -> float:
    """In tokens through the layers' matrices, whose work attention equals where 12 x `width` tokens are attended to."""
    attended = len(rows[group[0]].prompt) ** 2 + sum(
        len(rows[i]) ** 2 - len(rows[i].prompt) ** 2 for i in group
    )
    return _size(rows, group) + attended / (12 * width)


def lay_out(rows: Sequence[TokenRow]) -> Layout:
    """One pack of `rows`, in order. Where a prompt is shared it attends as a segment of its own."""
    ids: list[int] = []
    positions: list[int] = []
    source: list[int] = []
    queries: list[int] = []
    keys: list[list[int]] = []
    for group in _by_prompt(rows, range(len(rows))):
        prompt, start = rows[group[0]].prompt, len(ids)
        shared = list(range(start, start + len(prompt)))
        ids += prompt
        positions += range(len(prompt))
        if len(group) > 1:
            queries.append(len(prompt))
            keys.append(shared)
        for index in group:
            completion, first = rows[index].completion, len(ids)
            ids += completion
            positions += range(len(prompt), len(prompt) + len(completion))
            source += [shared[-1], *range(first, len(ids) - 1)][: len(completion)]
            queries.append(len(completion) if len(group) > 1 else len(rows[index]))
            keys.append([*shared, *range(first, len(ids))])
    lengths_B1 = torch.tensor([len(row.completion) for row in rows])[:, None]
    return Layout(
        {"input_ids": torch.tensor([ids]), "position_ids": torch.tensor([positions])},
        Segments(
            queries,
            [len(part) for part in keys],
            torch.tensor([key for part in keys for key in part]) if len(queries) > len(rows) else None,
        ),
        torch.tensor(source),
        torch.tensor([token for row in rows for token in row.completion]),
        torch.arange(int(lengths_B1.max())) < lengths_B1,
    )


def _by_prompt(rows: Sequence[TokenRow], pack: Sequence[int]) -> list[list[int]]:
    """`pack` cut where the prompt changes."""
    out: list[list[int]] = []
    for index in pack:
        if out and rows[out[-1][0]].prompt == rows[index].prompt:
            out[-1].append(index)
        else:
            out.append([index])
    return out
