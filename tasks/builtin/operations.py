"""The list operations that tasks are composed of: their wording, right code, and plausible bugs.

Every expression is over a list `x` and fits on one line `x = <expression>` of a program. The text of an
expression is the only definition of what it does: `programs.py` compiles it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with its constant filled in.

    `codes` are right expressions, the usual one first. `bugs` are wrong ones that a person might
    write; `near` are right for a neighbouring constant. `final` steps return a number, so they end
    a composition. `popular`, for shortcut steps, agrees with `codes` on most inputs only.
    """

    family: str
    phrase: str
    codes: tuple[str, ...]
    bugs: tuple[str, ...]
    near: tuple[str, ...] = ()
    final: bool = False
    popular: str | None = None
    rare_demonstrated: bool = True

    def expressions(self) -> Iterator[str]:
        yield from self.codes
        yield from self.bugs
        yield from self.near
        if self.popular is not None:
            yield self.popular


def _steps(
    phrase: str,
    codes: str | tuple[str, ...],
    bugs: str | tuple[str, ...],
    constants: tuple[int, ...] = (),
    *,
    final: bool = False,
    popular: str | None = None,
    rare_demonstrated: bool = True,
) -> list[Step]:
    """The steps of one family, one for each constant; `{k}` in a template stands for the constant."""
    codes = (codes,) if isinstance(codes, str) else codes
    bugs = (bugs,) if isinstance(bugs, str) else bugs

    def fill(template: str, k: int) -> str:
        return template.replace("{k}", str(k))

    return [
        Step(
            family=phrase,
            phrase=fill(phrase, k),
            codes=tuple(fill(code, k) for code in codes),
            bugs=tuple(fill(bug, k) for bug in bugs),
            near=tuple(fill(codes[0], other) for other in constants if abs(other - k) == 1),
            final=final,
            popular=None if popular is None else fill(popular, k),
            rare_demonstrated=rare_demonstrated,
        )
        for k in constants or (0,)
    ]


SIMPLE: tuple[Step, ...] = (
    *_steps(
        "add {k}", ("[v + {k} for v in x]", "[{k} + v for v in x]"), "[v - {k} for v in x]", (1, 2, 3, 4, 5)
    ),
    *_steps("times {k}", "[v * {k} for v in x]", "x * {k}", (2, 3, 4)),
    *_steps(
        "keep even",
        ("[v for v in x if v % 2 == 0]", "[v for v in x if not v % 2]"),
        ("[v for v in x if v % 2]", "[v % 2 == 0 for v in x]"),
    ),
    *_steps("sort", "sorted(x)", ("x.sort()", "sort(x)", "sorted(x, reverse=True)")),
    *_steps("reverse", ("x[::-1]", "list(reversed(x))"), ("x.reverse()", "x.reversed()")),
    *_steps("first {k}", "x[:{k}]", ("x[{k}:]", "x.first({k})"), (2, 3, 4)),
)

COMMON: tuple[Step, ...] = SIMPLE + (
    *_steps(
        "subtract {k}",
        "[v - {k} for v in x]",
        ("[v + {k} for v in x]", "[{k} - v for v in x]"),
        (1, 2, 3, 4, 5),
    ),
    *_steps("square", ("[v * v for v in x]", "[v ** 2 for v in x]"), ("[v * 2 for v in x]", "square(x)")),
    *_steps("negate", ("[-v for v in x]", "[0 - v for v in x]"), ("[abs(v) for v in x]", "-x")),
    *_steps("absolute", "[abs(v) for v in x]", ("[-v for v in x]", "x.abs()")),
    *_steps("modulo {k}", "[v % {k} for v in x]", "[v // {k} for v in x]", (3, 4, 5)),
    *_steps(
        "keep odd",
        ("[v for v in x if v % 2]", "[v for v in x if v % 2 == 1]"),
        ("[v for v in x if v % 2 == 0]", "[v % 2 for v in x]"),
    ),
    *_steps(
        "keep above {k}",
        "[v for v in x if v > {k}]",
        ("[v for v in x if v < {k}]", "[v > {k} for v in x]"),
        (0, 1, 2, 3),
    ),
    *_steps(
        "keep below {k}",
        "[v for v in x if v < {k}]",
        ("[v for v in x if v > {k}]", "[v < {k} for v in x]"),
        (2, 3, 4, 5),
    ),
    *_steps(
        "sort down", ("sorted(x, reverse=True)", "sorted(x)[::-1]"), ("sorted(x)", "x.sort(reverse=True)")
    ),
    *_steps("last {k}", "x[-{k}:]", ("x[:{k}]", "x.last({k})"), (2, 3, 4)),
    *_steps("drop first {k}", "x[{k}:]", ("x[:{k}]", "x.drop({k})"), (1, 2, 3)),
    *_steps("drop last {k}", "x[:-{k}]", ("x[-{k}:]", "x[:{k}]"), (1, 2, 3)),
    *_steps("every second", "x[::2]", ("x[1::2]", "x[2]")),
    *_steps("unique", "list(dict.fromkeys(x))", ("list(set(x))", "unique(x)")),
    *_steps(
        "at most {k}", "[min(v, {k}) for v in x]", ("[max(v, {k}) for v in x]", "min(x, {k})"), (3, 4, 5)
    ),
    *_steps(
        "at least {k}", "[max(v, {k}) for v in x]", ("[min(v, {k}) for v in x]", "max(x, {k})"), (0, 1, 2)
    ),
    *_steps("append {k}", "x + [{k}]", ("x.append({k})", "x + {k}"), (1, 2, 3)),
    *_steps("twice over", ("x + x", "x * 2"), "[v * 2 for v in x]"),
    *_steps("sum", "sum(x)", ("len(x)", "x.sum()"), final=True),
    *_steps("length", "len(x)", ("sum(x)", "x.length"), final=True),
)

# Rarely demonstrated right: the hard level is built on these.
RARE: tuple[Step, ...] = (
    *_steps(
        "running sum",
        "[sum(x[:i + 1]) for i in range(len(x))]",
        ("[sum(x[:i]) for i in range(len(x))]", "[sum(x) for v in x]"),
    ),
    *_steps(
        "running max",
        "[max(x[:i + 1]) for i in range(len(x))]",
        ("[max(x[:i]) for i in range(len(x))]", "[max(x) for v in x]"),
    ),
    *_steps(
        "pair sums",
        "[a + b for a, b in zip(x, x[1:])]",
        ("[a + b for a, b in zip(x, x)]", "[v + v for v in x]"),
    ),
    *_steps(
        "pair products",
        "[a * b for a, b in zip(x, x[1:])]",
        ("[a * b for a, b in zip(x, x)]", "[v * v for v in x]"),
    ),
    *_steps("rotate {k}", "x[{k}:] + x[:{k}]", ("x[{k}:] + x", "x[:{k}] + x[{k}:]"), (1, 2, 3)),
    *_steps(
        "weigh", "[i * v for i, v in enumerate(x)]", ("[i * v for i in enumerate(x)]", "[v * v for v in x]")
    ),
    *_steps("mirror", "x + x[::-1]", ("x[::-1] + x", "x + x")),
    *_steps("outer", "x[:1] + x[-1:]", ("x[:1] + x[:1]", "x[0] + x[-1]")),
)

# `codes` is the rare solution, which passes every test; `popular` agrees with it on most inputs.
SHORTCUT: tuple[Step, ...] = (
    *_steps("sort by size", "sorted(x, key=abs)", ("sorted(x, reverse=True)", "abs(x)"), popular="sorted(x)"),
    *_steps("distinct", "list(dict.fromkeys(x))", ("set(x)", "x.unique()"), popular="sorted(set(x))"),
    *_steps(
        "keep within {k}",
        "[v for v in x if abs(v) < {k}]",
        ("[v for v in x if v > {k}]", "[v < {k} for v in x]"),
        (4, 5, 6),
        popular="[v for v in x if v < {k}]",
    ),
    *_steps(
        "clamp {k}",
        "[max(-{k}, min(v, {k})) for v in x]",
        ("[max(v, {k}) for v in x]", "min(x, {k})"),
        (3, 4, 5),
        popular="[min(v, {k}) for v in x]",
    ),
    *_steps(
        "second largest",
        "sorted(set(x))[-2]",
        ("sorted(x)[2]", "max(x, 2)"),
        final=True,
        popular="sorted(x)[-2]",
    ),
    *_steps("largest", "max(x, default=0)", ("x[-1]", "x.max()"), final=True, popular="max(x)"),
    *_steps(
        "steps",
        "[abs(b - a) for a, b in zip(x, x[1:])]",
        ("[b - a for a, b in zip(x, x)]", "[b - a for v in x]"),
        popular="[b - a for a, b in zip(x, x[1:])]",
    ),
    # Controls: the rare class is never demonstrated.
    *_steps(
        "halve",
        "[int(v / 2) for v in x]",
        ("[v % 2 for v in x]", "x // 2"),
        popular="[v // 2 for v in x]",
        rare_demonstrated=False,
    ),
    *_steps(
        "range",
        "max(x) - min(x)",
        ("x[0] - x[-1]", "range(x)"),
        final=True,
        popular="x[-1] - x[0]",
        rare_demonstrated=False,
    ),
    *_steps(
        "drop zeros",
        "[v for v in x if v != 0]",
        ("[v for v in x if v == 0]", "[v > 0 for v in x]"),
        popular="[v for v in x if v > 0]",
        rare_demonstrated=False,
    ),
)

ALL: tuple[Step, ...] = COMMON + RARE + SHORTCUT
