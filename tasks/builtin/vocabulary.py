"""The word-like pieces that the curriculum's text is made of, for a small word-level tokenizer."""

from __future__ import annotations

import re
from functools import cache

from tasks.builtin.demonstrations import REMARKS
from tasks.builtin.levels import Composition
from tasks.builtin.operations import ALL
from tasks.builtin.programs import write

# Idioms first (a line's frame is one piece), then words and symbols with the space before them.
_PIECE = re.compile(
    r"# (?:write|review) f\(x\):|```python\n|```\n|def f\(x\):\n|    x = |    return x\n"
    r"| for v in x| if v|\[v| for i in range\(len\(x\)\)|\[:i(?: \+ 1)?\]| for a, b in zip\(x, x(?:\[1:\])?\)"
    r"| ?[A-Za-z_]+| ?-?\d| [^\w\s]+|\]\n|\)\n|[^\w\s]|\s"
)


def pieces(text: str) -> list[str]:
    """`text` cut into pieces whose concatenation is `text`."""
    return _PIECE.findall(text)


@cache
def _vocabulary() -> tuple[str, ...]:
    texts = [
        *(Composition(level, (step, step)).prompt for step in ALL for level in ("lists", "revision")),
        *(write((expression,)) for step in ALL for expression in step.expressions()),
        *(f"```python\n```\n{remark}\n" for remark in REMARKS),
    ]
    return tuple(sorted({piece for text in texts for piece in pieces(text)}))


def vocabulary() -> list[str]:
    """Every piece of every prompt, program, fence and remark of the curriculum, sorted.

    Cutting any curriculum text into these, the leftmost longest first, gives the text back exactly.
    """
    return list(_vocabulary())
