"""TRL: tests passed as the reward of `GRPOTrainer(reward_funcs=[tests_passed], ...)`.

The dataset has a column `task`: the problem as a row of coderl's native format, as JSON text (docs/native-format.md).
CODERL_SANDBOX names the daemons, separated by commas; CODERL_TOKEN the token, where they ask for one.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import sandbox
from sandbox.client import Client


@cache
def daemons() -> Client:
    return sandbox.connect(os.environ["CODERL_SANDBOX"].split(","), os.environ.get("CODERL_TOKEN"))


def tests_passed(completions: list[Any], task: list[str], **columns: Any) -> list[float | None]:
    """The share of tests that each completion passes; None, which TRL leaves out, where the sandbox failed."""
    rows = [json.loads(text) for text in task]
    texts = [answer if isinstance(answer, str) else answer[-1]["content"] for answer in completions]
    asked = [{"task_id": row["id"], "completion": text} for row, text in zip(rows, texts, strict=True)]
    return [verdict["score"] for verdict in daemons().grade(rows, asked)]
