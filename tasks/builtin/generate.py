"""Tasks with hidden tests, each a pure function of its composition; a seed only chooses which.

A composition becomes a task only where tests can be chosen that kill every mutant (see `mutants`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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
    must_fail = mutants(lines) + (mutants(popular) if popular else [])
    kills = [[o != e for o, e in zip(outcomes(m, pool), expected, strict=True)] for m in must_fail]
    chosen: list[int] = []
    for agree, total in ((False, TESTS - POPULAR_PASSES), (True, TESTS)) if popular else ((True, TESTS),):
        chosen = _choose(
            [i for i, a in enumerate(agrees) if a == agree],
            total,
            kills,
            expected,
            chosen,
        )
        if len(chosen) < total:
            return None
    if any(sum(kill[i] for i in chosen) < KILLS for kill in kills):
        return None
    rng.shuffle(chosen)
    digest = behaviour(lines)
    metadata = {"behaviour": digest, "split": split_of(digest)}
    if popular is not None:
        metadata["popular"] = "".join("1" if agrees[i] else "0" for i in chosen)
        metadata["rare_demonstrated"] = "yes" if composition.rare_demonstrated else "no"
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
        level=composition.level,
        metadata=metadata,
    )


def mutants(lines: tuple[str, ...]) -> list[tuple[str, ...]]:
    """An echo of the input, and the program with each one operation left out, without repeats."""
    return list(dict.fromkeys([(), *(lines[:i] + lines[i + 1 :] for i in range(len(lines)))]))


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
    kills: Sequence[Sequence[bool]],
    expected: Sequence[Value],
    chosen: Sequence[int],
) -> list[int]:
    """`chosen` extended to `total` tests, greedily those that fail the mutants with the fewest kills yet.

    Shorter where the rule on constants leaves too few candidates.
    """
    chosen, candidates = list(chosen), list(candidates)
    while len(chosen) < total:
        needy = [kill for kill in kills if sum(kill[i] for i in chosen) < KILLS]
        values = [expected[i] for i in chosen]
        candidates = [i for i in candidates if i not in chosen and values.count(expected[i]) < SAME_EXPECTED]
        if not candidates:
            break
        # Among equals the first drawn, so that tests stay typical; fresh expected values before repeats.
        chosen.append(
            max(
                candidates,
                key=lambda i: (
                    sum(kill[i] for kill in needy),
                    -values.count(expected[i]),
                    -i,
                ),
            )
        )
    return chosen
