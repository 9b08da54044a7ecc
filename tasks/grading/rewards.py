"""Rewards: what a verdict is worth to the learner, in [0, 1]; None where nothing is known (INFRA)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable

from tasks.errors import TaskError
from tasks.types import Verdict

Reward = Callable[[Verdict], float | None]


def all_passed(verdict: Verdict) -> float | None:
    """1 if every test passed, else 0: partial solutions count as wrong, there is no middle level."""
    return None if verdict.passed is None else float(verdict.passed)


def fraction(verdict: Verdict) -> float | None:
    """The share of tests passed, 1 only if the program passed as a whole."""
    return verdict.score


_BY_NAME: dict[str, Reward] = {"all_passed": all_passed, "fraction": fraction}


def load_reward(name: str) -> Reward:
    """`all_passed`, `fraction`, or a user's own as `module:function` (`Verdict -> float | None`).

    A user's reward is not called for INFRA, and may return None to leave a completion out. Raises
    `TaskError`, here for a name that leads nowhere, later for a value outside [0, 1].
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise TaskError(
            f"reward {name!r}: use one of {', '.join(_BY_NAME)}, or 'module:function' of your own"
        )
    try:
        function = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise TaskError(f"reward {name!r}: {error}; is its folder on PYTHONPATH?") from error
    if not callable(function):
        raise TaskError(f"reward {name!r}: {attribute} is a {type(function).__name__}, not a function")
    return _checked(function, name)


def _checked(function: Callable[[Verdict], object], name: str) -> Reward:
    def checked(verdict: Verdict) -> float | None:
        if verdict.passed is None:
            return None
        value = function(verdict)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= 1:
            raise TaskError(
                f"reward {name!r} returned {value!r} for {verdict.task_id}; rewards lie in [0, 1]"
            )
        return float(value)

    return checked
