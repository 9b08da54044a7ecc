"""Numbers of `steps.jsonl` as they may be found there: missing, null, or of another kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def finite(value: object) -> float | None:
    """A number that was logged; None for anything else, nan and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value)


def logged_pass_at_k(value: object) -> dict[str, float]:
    """An eval line's `pass_at_k`, k -> share; what is neither a number nor a k is left out."""
    if not isinstance(value, dict):
        return {}
    shares = {k: finite(share) for k, share in value.items() if re.fullmatch(r"[1-9][0-9]{0,5}", k)}
    return {k: share for k, share in shares.items() if share is not None}


def constants(steps: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What was logged as the same number at every one of several steps: said in words, not drawn."""
    if len(steps) < 2:
        return {}
    values = {key: {finite(record.get(key)) for record in steps} for key in steps[0]}
    alone = {key: found.pop() for key, found in sorted(values.items()) if len(found) == 1}
    return {key: value for key, value in alone.items() if value is not None and key != "step"}
