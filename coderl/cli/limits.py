"""Limits as options of a command: no more than a daemon, or this machine, grants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import typer

from sandbox.protocol import CEILING, MIB, Limits

_FIELDS = {"memory_mib": ("memory_bytes", MIB)}  # others are called as in `Limits`


def limits(**asked: float | None) -> Limits:
    """The default limits with those `asked` for. Raises `typer.BadParameter` for more than the ceiling."""
    given: dict[str, Any] = {}
    for name, value in asked.items():
        if value is None:
            continue
        field, unit = _FIELDS.get(name, (name, 1))
        if not value <= (most := getattr(CEILING, field) / unit):
            raise typer.BadParameter(f"--{name.replace('_', '-')} {value:g}: it may be {most:g} at most")
        given[field] = value * unit
    return replace(Limits(), **given)
