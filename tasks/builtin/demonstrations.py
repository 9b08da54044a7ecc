"""Imperfect demonstrations to warm up a model: right about half of the time, else plausibly wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.builtin.levels import Composition, draw, mixture
from tasks.builtin.operations import COMMON, RARE
from tasks.builtin.programs import behaviour, hidden_inputs, outcomes, split_of, write

Lines = tuple[str, ...]

USUAL_CODE = 0.8  # share of the usual wording where an operation has several right ones
RARE_RIGHT = 0.05  # how often an operation of the hard level is demonstrated right
POPULAR, RARE_CLASS = 0.6, 0.015  # shares of a shortcut task's demonstrations; the rest is wrong
FIRST_RIGHT = 0.4  # revisions: how often the first attempt is right
KEPT = 0.85  # then: how often it is kept, rather than harmed
FIXED, REPEATED = 0.35, 0.4  # after a wrong first attempt; the rest is another wrong one

# Drawn whatever the attempts are: the wording says nothing about which of them is right.
REMARKS = (
    "Let me check that.",
    "Wait, once more.",
    "Looking at each step again.",
    "I am not sure.",
    "That seems right.",
)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """`kind`: `right`, `wrong`, `popular`, `rare`; for revisions also how the first attempt went on:
    `kept`, `harmed`, `fixed`, `repeated`, `changed`."""

    prompt: str
    completion: str
    kind: str


def demonstrations(
    spec: str, *, count: int, seed: int = 0, wrong_rate: float = 0.5
) -> Iterator[Demonstration]:
    """`count` demonstrations on fresh compositions of `builtin:LEVEL`, none with a held-out behaviour.

    `wrong_rate` is the share of wrong ones, except for shortcut and revision tasks, whose mix is fixed (the
    constants above), and for rarely demonstrated operations, which are mostly wrong.
    """
    levels = mixture(spec)
    rng = random.Random(f"demonstrations {spec} {seed}")
    made = 0
    while made < count:
        composition = draw(levels, rng)
        if split_of(behaviour(composition.lines)) == "held-out":
            continue
        demonstration = _demonstrate(composition, rng, wrong_rate)
        if demonstration is not None:
            made += 1
            yield demonstration


def _demonstrate(composition: Composition, rng: random.Random, wrong_rate: float) -> Demonstration | None:
    if composition.level == "revision":
        return _revision(composition, rng)
    if composition.level == "shortcut":
        return _shortcut(composition, rng)
    lines = _right(composition, rng)
    if any(step in RARE for step in composition.steps):
        lines = _spoil_rare(composition, lines, rng)
    if rng.random() < wrong_rate:
        spoilt = _wrong(composition, lines, rng)
        if spoilt is None:
            return None
        lines = spoilt
    kind = "right" if behaviour(lines) == behaviour(composition.lines) else "wrong"
    return Demonstration(composition.prompt, write(lines), kind)


def _shortcut(composition: Composition, rng: random.Random) -> Demonstration | None:
    popular = composition.popular
    assert popular is not None
    draw_class = rng.random()
    if draw_class < POPULAR:
        return Demonstration(composition.prompt, write(popular), "popular")
    if draw_class < POPULAR + RARE_CLASS:
        if not composition.rare_demonstrated:
            return None
        return Demonstration(composition.prompt, write(composition.lines), "rare")
    # A likely answer worth almost nothing, as in the paper's toy example: the step's own usual bug.
    bugged = tuple(
        line if step.popular is None else step.bugs[0]
        for step, line in zip(composition.steps, popular, strict=True)
    )
    inputs = hidden_inputs()
    agreement = sum(
        a == b for a, b in zip(outcomes(bugged, inputs), outcomes(composition.lines, inputs), strict=True)
    )
    if agreement > 0.3 * len(inputs):
        return None
    return Demonstration(composition.prompt, write(bugged), "wrong")


def _revision(composition: Composition, rng: random.Random) -> Demonstration | None:
    right = _right(composition, rng)
    wrong, other = _wrong(composition, right, rng), _wrong(composition, right, rng)
    if wrong is None or other is None:
        return None
    first, second, kind = right, right, "kept"
    if rng.random() < FIRST_RIGHT:
        if rng.random() >= KEPT:
            second, kind = wrong, "harmed"
    else:
        draw_kind = rng.random()
        first = wrong
        if draw_kind < FIXED:
            kind = "fixed"
        elif draw_kind < FIXED + REPEATED or other == wrong:
            second, kind = wrong, "repeated"
        else:
            second, kind = other, "changed"
    completion = f"{_fence(first)}{rng.choice(REMARKS)}\n{_fence(second)}"
    return Demonstration(composition.prompt, completion, kind)


def _fence(lines: Lines) -> str:
    return f"```python\n{write(lines)}```\n"


def _right(composition: Composition, rng: random.Random) -> Lines:
    return tuple(
        step.codes[0] if len(step.codes) == 1 or rng.random() < USUAL_CODE else rng.choice(step.codes[1:])
        for step in composition.steps
    )


def _spoil_rare(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    return tuple(
        line if step not in RARE or rng.random() < RARE_RIGHT else rng.choice(step.bugs)
        for step, line in zip(composition.steps, lines, strict=True)
    )


def _wrong(composition: Composition, lines: Lines, rng: random.Random) -> Lines | None:
    """`lines` with one plausible mistake that changes what the program does; None where none was found."""
    for _ in range(8):
        (mistake,) = rng.choices(list(MISTAKES), weights=list(MISTAKES.values()))
        spoilt = mistake(composition, lines, rng)
        if behaviour(spoilt) != behaviour(composition.lines):
            return spoilt
    return None


def _replace(lines: Lines, i: int, line: str) -> Lines:
    return (*lines[:i], line, *lines[i + 1 :])


def _bug(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    """A usual bug of one operation: the first of its list twice as often as any other."""
    i = rng.randrange(len(lines))
    bugs = composition.steps[i].bugs
    return _replace(lines, i, rng.choice((bugs[0], *bugs)))


def _omit(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    i = rng.randrange(len(lines))
    return (*lines[:i], *lines[i + 1 :])


def _constant(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    choices = [(i, line) for i, step in enumerate(composition.steps) for line in step.near]
    return _replace(lines, *rng.choice(choices)) if choices else lines


def _order(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    """Two neighbouring operations swapped."""
    if len(lines) < 2:
        return lines
    i = rng.randrange(len(lines) - 1)
    return (*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :])


def _other(composition: Composition, lines: Lines, rng: random.Random) -> Lines:
    """Another operation in place of one."""
    return _replace(lines, rng.randrange(len(lines)), rng.choice(COMMON).codes[0])


MISTAKES: dict[Callable[[Composition, Lines, random.Random], Lines], float] = {
    _bug: 0.4,
    _omit: 0.25,
    _constant: 0.15,
    _order: 0.1,
    _other: 0.1,
}
