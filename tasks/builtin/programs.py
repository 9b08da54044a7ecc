"""Programs of the curriculum: their text, and what they compute.

Only expressions written in `operations.py` are ever evaluated here, in this process. Text that a
model wrote is never run by this file: programs with any other expression are unknown to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from hashlib import sha256

from tasks.builtin.operations import ALL

HEAD, LINE, TAIL = "def f(x):\n", "    x = ", "    return x\n"

Value = int | list[int]
PLAIN = frozenset({int, bool})


class Failure(str):
    """The outcome of a program that raised or returned something not plain; equal to no value."""

    __slots__ = ()


def write(lines: Sequence[str]) -> str:
    """The program that applies the expressions `lines` in order."""
    return HEAD + "".join(f"{LINE}{line}\n" for line in lines) + TAIL


def parse(program: str) -> tuple[str, ...] | None:
    """The expressions of `program`; None where it is not one that `write` made of known expressions."""
    if not (program.startswith(HEAD) and program.endswith(TAIL)):
        return None
    body = program[len(HEAD) : -len(TAIL)].splitlines(keepends=True)
    lines = tuple(line.removeprefix(LINE).removesuffix("\n") for line in body)
    return lines if write(lines) == program and known_expressions().issuperset(lines) else None


@cache
def known_expressions() -> frozenset[str]:
    return frozenset(expression for step in ALL for expression in step.expressions())


@cache
def _function(expression: str) -> Callable[[object], object]:
    if expression not in known_expressions():
        raise ValueError(f"not an expression of the built-in curriculum: {expression!r}")
    function: Callable[[object], object] = eval(f"lambda x: {expression}", {})  # our own text only
    return function


def evaluate(lines: Sequence[str], argument: Sequence[int]) -> Value | Failure:
    """What `write(lines)` returns for `argument`, or how it fails.

    Raises ValueError for an expression that is not in the tables.
    """
    return outcomes(lines, [argument])[0]


def outcomes(lines: Sequence[str], arguments: Sequence[Sequence[int]]) -> list[Value | Failure]:
    """`evaluate` for each of `arguments`."""
    functions = [_function(line) for line in lines]
    return [_run(functions, argument) for argument in arguments]


def _run(functions: Sequence[Callable[[object], object]], argument: Sequence[int]) -> Value | Failure:
    value: object = list(argument)
    try:
        for function in functions:
            value = function(value)
    except (TypeError, ValueError, IndexError, AttributeError, NameError) as error:
        return Failure(type(error).__name__)
    # True == 1 when tests compare, so it is the same behaviour.
    if isinstance(value, int):
        return int(value)
    if type(value) is list and PLAIN.issuperset(map(type, value)):
        return [int(v) for v in value]
    return Failure("not plain")


def random_input(rng: random.Random) -> list[int]:
    """A list of 0 to 8 small integers; some are short, sorted, without negatives, or full of repeats."""
    kind = rng.random()
    size = rng.randint(0, 3) if kind < 0.1 else rng.randint(4, 8)
    low, high = (-9, 9) if rng.random() < 0.6 else (0, 9)
    if rng.random() < 0.25:
        low, high = low // 3, high // 3
    values = [rng.randint(low, high) for _ in range(size)]
    return sorted(values) if rng.random() < 0.25 else values


@cache
def hidden_inputs() -> tuple[list[int], ...]:
    """The 64 inputs that define behaviour; no task's tests are drawn from this stream."""
    rng = random.Random("built-in curriculum: behaviour")
    return ([], *(random_input(rng) for _ in range(63)))


@lru_cache(maxsize=200_000)
def behaviour(lines: tuple[str, ...]) -> str:
    """A digest of what the program does on the hidden inputs: equal for equal behaviour there."""
    return sha256(repr(outcomes(lines, hidden_inputs())).encode()).hexdigest()[:16]


def split_of(digest: str) -> str:
    """`held-out` for one behaviour in six, else `train`; depends on nothing else, so splits are disjoint."""
    return "held-out" if int(digest, 16) % 6 == 0 else "train"
