"""verl: tests passed as the score.

    custom_reward_function.path=docs/examples/verl_reward.py
    custom_reward_function.name=compute_score          # or compute_scores, with reward_model.reward_manager=batch

`ground_truth` is the problem as a row of coderl's native format, as JSON text (docs/native-format.md). CODERL_SANDBOX
names the daemons, separated by commas; CODERL_TOKEN the token, where they ask for one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import sandbox
from sandbox.client import Client


@cache
def daemons() -> Client:
    return sandbox.connect(os.environ["CODERL_SANDBOX"].split(","), os.environ.get("CODERL_TOKEN"))


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **settings: Any
) -> float:
    """The share of tests passed. Raises `RuntimeError` where the sandbox failed: verl cannot leave a sample out, and a
    fault of ours must not become a zero."""
    return compute_scores([data_source], [solution_str], [ground_truth])[0]


def compute_scores(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Any = None,
    **settings: Any,
) -> list[float]:
    """`compute_score` for a batch, graded side by side."""
    rows = [json.loads(text) for text in ground_truths]
    asked = [
        {"task_id": row["id"], "completion": text} for row, text in zip(rows, solution_strs, strict=True)
    ]
    verdicts = daemons().grade(rows, asked)
    if lost := [verdict for verdict in verdicts if verdict["score"] is None]:
        raise RuntimeError(f"{len(lost)} completions could not be graded: {lost[0]['detail']}")
    return [verdict["score"] for verdict in verdicts]
