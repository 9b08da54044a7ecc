"""What changed between two checkpoints on the same tasks?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.intervals import mcnemar


@dataclass(frozen=True, slots=True)
class ErrorChange:
    """Errors by (task, fingerprint): seen only before, only after, or both times."""

    fixed: frozenset[tuple[str, str]]
    introduced: frozenset[tuple[str, str]]
    persistent: frozenset[tuple[str, str]]


def error_change(before: Mapping[str, Iterable[str]], after: Mapping[str, Iterable[str]]) -> ErrorChange:
    """Compare the sets of errors seen on each task (task -> fingerprints), tasks in both only.

    An error "seen" by chance once in n samples counts like a frequent one, so both sides must have
    the same number of samples a task.
    """
    shared = before.keys() & after.keys()
    old = {(task, mark) for task in shared for mark in before[task]}
    new = {(task, mark) for task in shared for mark in after[task]}
    return ErrorChange(frozenset(old - new), frozenset(new - old), frozenset(old & new))


@dataclass(frozen=True, slots=True)
class SolvedChange:
    """Tasks solved at least once in n samples, before against after; `p_value` is exact McNemar's."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    kept: int
    unsolved: int
    p_value: float


def solved_change(before: Mapping[str, bool], after: Mapping[str, bool]) -> SolvedChange:
    """`before` and `after` say for each task whether any sample passed; tasks in both only."""
    shared = sorted(before.keys() & after.keys())
    gained = tuple(task for task in shared if after[task] and not before[task])
    lost = tuple(task for task in shared if before[task] and not after[task])
    kept = sum(before[task] and after[task] for task in shared)
    unsolved = len(shared) - len(gained) - len(lost) - kept
    return SolvedChange(gained, lost, kept, unsolved, mcnemar(len(gained), len(lost)))
