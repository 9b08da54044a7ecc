"""Python's parser for the host's threads, one at a time.

It counts its depth in one place for all threads, so that in older releases of 3.11 and 3.12 two that parse at once
may end in `SystemError: AST constructor recursion depth mismatch` (CPython issue 106905).
"""

from __future__ import annotations

import ast
import threading

_ALONE = threading.Lock()


def parse(source: str) -> ast.Module:
    """As `ast.parse`, and raises what that raises."""
    with _ALONE:
        return ast.parse(source)


def parse_expression(source: str) -> ast.Expression:
    """The same in mode "eval"."""
    with _ALONE:
        return ast.parse(source, mode="eval")
