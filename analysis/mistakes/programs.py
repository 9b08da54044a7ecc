"""Programs as syntax trees: when two are the same, and what differs."""

from __future__ import annotations

import ast
import hashlib
import warnings
from functools import lru_cache

LONGEST = 20_000


def parse(program: str) -> ast.Module | None:
    """The program's syntax tree; None where it is over 20,000 characters or does not parse."""
    if len(program) > LONGEST:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python will forbid one day
            return ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=8192)
def form(program: str) -> str:
    """A hash that ignores comments, layout and quoting: that of the syntax tree.

    Programs that differ in a name or a constant differ. One that cannot be parsed is taken as it stands.
    """
    tree = parse(program)
    try:
        text = program if tree is None else ast.dump(tree)
    except RecursionError:
        text = program
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
