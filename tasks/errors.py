"""Errors of this room. Each message says what is wrong, where, and the remedy."""

from __future__ import annotations


class TaskError(ValueError):
    """Problems cannot be read: unknown dataset, missing file, malformed row."""
