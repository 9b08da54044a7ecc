"""The levels: which compositions of steps each is made of, and how their prompts are worded."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.builtin import operations
from tasks.builtin.operations import Step

PREFIX = "builtin:"


@dataclass(frozen=True, slots=True)
class Composition:
    """What a task asks for: steps applied in order, worded for one level."""

    level: str
    steps: tuple[Step, ...]

    @property
    def prompt(self) -> str:
        verb = "review" if self.level == "revision" else "write"
        return f"# {verb} f(x): {'; '.join(step.phrase for step in self.steps)}\n"

    @property
    def lines(self) -> tuple[str, ...]:
        """The reference's expressions."""
        return tuple(step.codes[0] for step in self.steps)

    @property
    def popular(self) -> tuple[str, ...] | None:
        """The popular solution's expressions; None where there is no shortcut step."""
        if all(step.popular is None for step in self.steps):
            return None
        return tuple(step.popular or step.codes[0] for step in self.steps)

    @property
    def rare_demonstrated(self) -> bool:
        return all(step.rare_demonstrated for step in self.steps)


@dataclass(frozen=True, slots=True)
class Level:
    """`lengths`: number of steps to its weight. `special` steps are drawn `specials` times a task."""

    lengths: Mapping[int, float]
    steps: tuple[Step, ...] = operations.COMMON
    special: tuple[Step, ...] = ()
    specials: int = 0

    def draw(self, rng: random.Random, name: str) -> Composition:
        (length,) = rng.choices(list(self.lengths), weights=list(self.lengths.values()))
        while True:
            steps = [rng.choice(self.special) for _ in range(self.specials)]
            steps += [rng.choice(self.steps) for _ in range(length - self.specials)]
            rng.shuffle(steps)
            distinct = len({step.family for step in steps}) == length
            if distinct and not any(step.final for step in steps[:-1]):
                return Composition(name, tuple(steps))


LEVELS: Mapping[str, Level] = {
    "tiny": Level({1: 0.1, 2: 0.4, 3: 0.5}, operations.SIMPLE),
    "easy": Level({1: 0.05, 2: 0.95}),
    "lists": Level({3: 1.0}),
    "hard": Level({3: 0.4, 4: 0.6}, special=operations.RARE, specials=2),
    "shortcut": Level({1: 0.05, 2: 0.55, 3: 0.4}, special=operations.SHORTCUT, specials=1),
    "revision": Level({2: 0.5, 3: 0.5}),
}

# Named mixtures: level to its share of the tasks.
MIXTURES: Mapping[str, Mapping[str, float]] = {
    **{name: {name: 1.0} for name in LEVELS},
    "mix": {"easy": 0.4, "lists": 0.6},
    "all": {"easy": 0.25, "lists": 0.35, "hard": 0.1, "shortcut": 0.2, "revision": 0.1},
}


def mixture(spec: str) -> Mapping[str, float]:
    """The levels of `builtin:NAME` (the prefix may be left out). Raises ValueError for an unknown name."""
    name = spec.removeprefix(PREFIX)
    if name not in MIXTURES:
        raise ValueError(
            f"unknown built-in level {spec!r}; known: {', '.join(PREFIX + known for known in MIXTURES)}"
        )
    return MIXTURES[name]


def draw(levels: Mapping[str, float], rng: random.Random) -> Composition:
    (name,) = rng.choices(list(levels), weights=list(levels.values()))
    return LEVELS[name].draw(rng, name)
