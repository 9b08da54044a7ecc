"""Limits that datasets state, in their own spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.protocol import CEILING, Limits

# Time limits were set for compiled programs (C++), and Python is slower; judges that have a limit of its own for it
# mostly give two to ten times as much. TACO's grader gives every program 4 s, where most rows state 1 or 2.
PYTHON_TIME_FACTOR = 5.0
# Nor were memory limits set for it; below this a Python interpreter hardly starts.
MIN_MEMORY_BYTES = 256 * 1024 * 1024

_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}


def seconds_of(limit: object) -> float | None:
    """CPU seconds of `2`, `"2.0 seconds"` or `{"seconds": 2, "nanos": 0}`; None where there is no limit."""
    if isinstance(limit, Mapping):
        total = (limit.get("seconds") or 0) + (limit.get("nanos") or 0) / 1e9
    else:
        total, _ = _number_and_unit(limit)
    return float(total) if total > 0 else None


def python_seconds(stated: float | None, own: float | None = None) -> float | None:
    """CPU seconds for a test of a Python program, at most `CEILING`'s; None: the grader's default.

    `stated`: for compiled programs. `own`: what the data set's grader gives, never cut below.
    """
    if stated is None:
        return own
    return min(max(stated * PYTHON_TIME_FACTOR, own or Limits().cpu_seconds), CEILING.cpu_seconds)


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
