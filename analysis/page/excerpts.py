"""Programs for the page: their lines as Python counts them, shortened where they are long, and what changed."""

from __future__ import annotations

import difflib
import re
from itertools import chain, groupby

from analysis.inert import LONGEST_LINE, inert

LONGEST_PROGRAM = 6000
AROUND = 12
"""Lines on each side of the failing one that are shown first of all."""
TAIL = 8
LONGEST_DIFF = 400
ALIKE_SHOWN = 3

Piece = list[int | str]
"""[number of its first line, text]"""


def excerpt(program: str, line: int | None = None, longest: int = LONGEST_PROGRAM) -> list[Piece]:
    """`program` in pieces that keep their line numbers, in all about `longest` characters; inert.

    What is kept of a long one: what is around `line` (1-based), its end, then as much as fits from its start.
    """
    lines = source_lines(program)
    if len(program) <= longest and max(map(len, lines)) <= LONGEST_LINE:
        return [[1, inert("\n".join(lines), longest)]]
    hit = min(max(line or 1, 1), len(lines)) - 1
    around = sorted(
        range(max(0, hit - AROUND), min(len(lines), hit + AROUND + 1)), key=lambda n: abs(n - hit)
    )
    kept: set[int] = set()
    room = longest
    for number in chain(around, range(max(0, len(lines) - TAIL), len(lines)), range(len(lines))):
        if number not in kept:
            room -= min(len(lines[number]), LONGEST_LINE) + 1
            if room < 0:
                break
            kept.add(number)
    runs = groupby(enumerate(sorted(kept)), key=lambda pair: pair[1] - pair[0])
    numbers = [[number for _, number in run] for _, run in runs]
    return [[run[0] + 1, "\n".join(inert(lines[number]) for number in run)] for run in numbers]


def source_lines(program: str) -> list[str]:
    """Lines as the compiler counts them: a lone carriage return ends one, a form feed does not."""
    return re.split(r"\r\n|\r|\n", program)


def diff(before: str, after: str) -> list[list[str]]:
    """[sign, line] pairs of the first 400 lines; sign is "+", "-", " ", or "…" for lines alike that are left out."""
    old, new = (source_lines(text.rstrip())[:LONGEST_DIFF] for text in (before, after))
    rows: list[list[str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal" and b - a > 2 * ALIKE_SHOWN + 1:
            rows += [[" ", inert(line)] for line in old[a : a + ALIKE_SHOWN]]
            rows.append(["…", f"{b - a - 2 * ALIKE_SHOWN} lines alike"])
            rows += [[" ", inert(line)] for line in old[b - ALIKE_SHOWN : b]]
        elif kind == "equal":
            rows += [[" ", inert(line)] for line in old[a:b]]
        else:
            rows += [["-", inert(line)] for line in old[a:b]] + [["+", inert(line)] for line in new[c:d]]
    return rows
