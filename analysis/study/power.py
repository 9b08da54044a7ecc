"""The smallest difference that a study's tasks and samples can show: stated before any arm is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.passk import pass_at_k
from analysis.study.data import Policy, read_policy
from analysis.study.effects import smallest_detectable
from coderl.runfolder.layout import HELD_OUT, WARM
from tasks.files import write_text

FILE = "power.json"


def state(folder: Path, samples: int) -> str:
    """Work it out from the warm model's evaluation, write it down unless that was done, and return the sentence."""
    path = folder / FILE
    if not path.exists():
        warm = read_policy(folder, WARM)
        write_text(path, json.dumps({k: _detectable(warm, k) for k in (1, largest_k(samples) // 2)}))
    values: dict[str, Any] = json.loads(path.read_text())
    each = " and ".join(f"{value:.3f} in pass@{k}" for k, value in values.items())
    return (
        f"The smallest difference that these tasks and samples show with 80% power is {each}: judged before training, "
        "from two halves of the warm model's samples. That is the noise of sampling alone; seeds add to it."
    )


def largest_k(samples: int) -> int:
    """The largest power of two within half of the samples."""
    return 1 << ((samples // 2).bit_length() - 1)


def _detectable(warm: Policy, k: int) -> float:
    """As if each task's passes were dealt at random between the two halves."""
    rng = np.random.default_rng(0)
    differences = []
    for task in warm.evaluations[HELD_OUT].values():
        half = task.samples // 2
        if half < max(1, k):
            continue
        first = int(rng.hypergeometric(task.passed, task.samples - task.passed, half))
        one, other = (pass_at_k(half, min(c, half), k) for c in (first, task.passed - first))
        differences.append(one - other)
    return smallest_detectable(np.array(differences))
