"""What a completion's length makes of its reward."""

from __future__ import annotations

from coderl.config.settings import RewardConfig


def shaped(
    reward: float | None, config: RewardConfig, *, truncated: bool, tokens: int, max_tokens: int
) -> float | None:
    """The reward of a completion of so many `tokens`; None: it is left out."""
    if reward is None:
        return None
    if truncated and config.truncated != "grade":
        return 0.0 if config.truncated == "zero" else None
    if config.overlong_buffer:
        return reward + soft_overlong(tokens, max_tokens=max_tokens, buffer=config.overlong_buffer)
    return reward


def soft_overlong(length: int, *, max_tokens: int, buffer: int) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476): 0 up to max_tokens - buffer, then down to -1."""
    return min(0.0, max(-1.0, (max_tokens - buffer - length) / buffer))
