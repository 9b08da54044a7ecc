"""Tasks with hidden tests, each a pure function of its composition; a seed only chooses which.

A composition becomes a task only where tests can be chosen that kill every mutant (see `mutants`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from tasks.builtin.levels import Composition, draw, mixture
from tasks.builtin.programs import (
    Failure,
    Value,
    behaviour,
    evaluate,
    outcomes,
    random_input,
    split_of,
    write,
)
from tasks.types import CallTest, Task

TESTS = 10
POPULAR_PASSES = 8  # of TESTS, by the popular solution of a shortcut task
KILLS = 3  # tests that every mutant fails
SAME_EXPECTED = 3  # tests that may share an expected value: the best constant scores 0.3
CONTROL = "-control"  # ends the level of shortcut tasks whose rare solution no demonstration shows
ATTEMPTS = 20_000  # rejected draws in a row before a level counts as exhausted


def load(spec: str, *, split: str = "train", count: int = 1024, seed: int = 0) -> list[Task]:
    """`count` tasks of `builtin:LEVEL` with distinct behaviours, all from one split.

    `split` is `train` or `held-out`. The first n tasks do not depend on `count`. Raises ValueError for an
    unknown level or split, and where the level has too few distinct tasks.
    """
    if split not in ("train", "held-out"):
        raise ValueError(f"unknown split {split!r} of {spec}: expected 'train' or 'held-out'")
    levels = mixture(spec)
    rng = random.Random(f"{spec} {split} {seed}")
    tasks: list[Task] = []
    seen: set[str] = set()
    rejected = 0
    while len(tasks) < count:
        composition = draw(levels, rng)
        digest = behaviour(composition.lines)
        task = build(composition) if split_of(digest) == split and digest not in seen else None
        if task is not None:
            tasks.append(task)
            seen.add(digest)
            rejected = 0
        elif (rejected := rejected + 1) >= ATTEMPTS:
            raise ValueError(
                f"{spec} has only about {len(tasks)} distinct {split} tasks: ask for fewer than {count}"
            )
    return tasks


def build(composition: Composition) -> Task | None:
    """The task of a composition; None where the rejection rules rule it out."""
    prompt, lines, popular = composition.prompt, composition.lines, composition.popular
    rng = random.Random(prompt)
    pool, expected, agrees = _candidates(lines, popular, rng)
    needs = [(KILLS, mutant) for mutant in mutants(lines) + (mutants(popular) if popular else [])]
    needs += [(1, mistake) for mistake in _mistakes(composition)]
    rows = [
        _Row(need, [o != e for o, e in zip(outcomes(wrong, pool), expected, strict=True)])
        for need, wrong in needs
    ]
    chosen: list[int] = []
    for agree, total in ((False, TESTS - POPULAR_PASSES), (True, TESTS)) if popular else ((True, TESTS),):
        chosen = _choose([i for i, a in enumerate(agrees) if a == agree], total, rows, expected, chosen)
        if len(chosen) < total:
            return None
    if any(row.missing(chosen) > 0 for row in rows):
        return None
    rng.shuffle(chosen)
    digest = behaviour(lines)
    metadata = {"behaviour": digest, "split": split_of(digest)}
    level = composition.level
    if popular is not None:
        metadata["popular"] = "".join("1" if agrees[i] else "0" for i in chosen)
        level += "" if composition.rare_demonstrated else CONTROL
    return Task(
        id=f"builtin/{composition.level}/{sha256(prompt.encode()).hexdigest()[:10]}",
        prompt=prompt,
        tests=tuple(
            CallTest(function="f", args=(pool[i],), expected=expected[i], name=f"test {n}")
            for n, i in enumerate(chosen)
        ),
        entry_point="f",
        reference=write(lines),
        source="builtin",
        level=level,
        metadata=metadata,
    )


def mutants(lines: tuple[str, ...]) -> list[tuple[str, ...]]:
    """An echo of the input, and the program with each one operation left out, without repeats."""
    return list(dict.fromkeys([(), *(lines[:i] + lines[i + 1 :] for i in range(len(lines)))]))


def _mistakes(composition: Composition) -> list[tuple[str, ...]]:
    """The reference with one usual bug, one neighbouring constant, or two neighbouring lines swapped."""
    lines = composition.lines
    found = [
        (*lines[:i], wrong, *lines[i + 1 :])
        for i, step in enumerate(composition.steps)
        for wrong in (*step.bugs, *step.near)
    ]
    return found + [(*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]) for i in range(len(lines) - 1)]


@dataclass(frozen=True, slots=True)
class _Row:
    """A wrong program: `fails` says for each candidate input whether it fails; `need` failures make a kill.

    One that fails on no candidate is taken for a right program, unless it needs several failures.
    """

    need: int
    fails: list[bool]

    def missing(self, chosen: Sequence[int]) -> int:
        if self.need == 1 and not any(self.fails):
            return 0
        return self.need - sum(self.fails[i] for i in chosen)


def _candidates(
    lines: tuple[str, ...], popular: tuple[str, ...] | None, rng: random.Random
) -> tuple[list[list[int]], list[Value], list[bool]]:
    """Distinct inputs to choose tests from, what `lines` returns, and whether `popular` returns the same."""
    pool: list[list[int]] = []
    expected: list[Value] = []
    agrees: list[bool] = []
    room = {True: 40, False: 12 if popular else 0}
    for _ in range(250):
        argument = random_input(rng)
        value = evaluate(lines, argument)
        agree = popular is None or evaluate(popular, argument) == value
        if room[agree] and not isinstance(value, Failure) and argument not in pool:
            room[agree] -= 1
            pool.append(argument)
            expected.append(value)
            agrees.append(agree)
        if not any(room.values()):
            break
    return pool, expected, agrees


def _choose(
    candidates: Sequence[int],
    total: int,
    rows: Sequence[_Row],
    expected: Sequence[Value],
    chosen: Sequence[int],
) -> list[int]:
    """`chosen` extended to `total` tests, greedily those that fail most of the wrong programs still to kill.

    Shorter where the rule on constants leaves too few candidates.
    """
    chosen = list(chosen)
    while len(chosen) < total:
        unkilled = [row for row in rows if row.missing(chosen) > 0]
        values = [expected[i] for i in chosen]
        candidates = [i for i in candidates if i not in chosen and values.count(expected[i]) < SAME_EXPECTED]
        if not candidates:
            break
        # Among equals fresh expected values before repeats, then the first drawn, so that tests stay typical.
        chosen.append(
            max(candidates, key=lambda i: (sum(r.fails[i] for r in unkilled), -values.count(expected[i]), -i))
        )
    return chosen
