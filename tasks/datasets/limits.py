"""Limits that datasets state, in their own spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Limits were set for compiled programs; below this a Python interpreter hardly starts.
MIN_MEMORY_BYTES = 256 * 1024 * 1024

_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}


def seconds_of(limit: object) -> float | None:
    """CPU seconds of `2`, `"2.0 seconds"` or `{"seconds": 2, "nanos": 0}`; None where there is no limit."""
    if isinstance(limit, Mapping):
        total = (limit.get("seconds") or 0) + (limit.get("nanos") or 0) / 1e9
    else:
        total, _ = _number_and_unit(limit)
    return float(total) if total > 0 else None


def bytes_of(limit: object) -> float | None:
    """Bytes of `"256.0 megabytes"` (megabytes where no unit is named); None where there is no limit."""
    number, unit = _number_and_unit(limit)
    return number * _UNITS.get(unit, 1e6) if number > 0 else None


def floored(limit: float | None) -> int | None:
    """A memory limit in bytes, raised to what Python needs; None where there is no limit."""
    return max(int(limit), MIN_MEMORY_BYTES) if limit else None


def _number_and_unit(limit: object) -> tuple[float, str]:
    found = re.match(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]?)", str(limit)[:100])
    return (float(found[1]), found[2].lower()) if found else (0.0, "")
