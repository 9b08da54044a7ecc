"""What of a job's prelude its program needs.

Data sets' graders put a page of imports before a program, and each costs time in every process. So imports whose names
the program's text does not hold are left out; all else stays, in its order.
"""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.inside.supervisor import modules
from sandbox.parsing import parse

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    binds: frozenset[str] | None  # None: it is always needed


def needed(prelude: str, program: str) -> str:
    """The part of `prelude` that `program` can tell from the whole."""
    if not prelude:
        return ""
    statements = _statements(prelude)
    always = " ".join(each.text for each in statements if each.binds is None)
    words = {*_WORD.findall(program), *_WORD.findall(always)}
    kept = (each.text for each in statements if each.binds is None or not words.isdisjoint(each.binds))
    return "\n".join(kept)


@lru_cache(maxsize=256)
def _statements(prelude: str) -> tuple[_Statement, ...]:
    try:
        tree = parse(prelude)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (_Statement(prelude, None),)  # its process says what is wrong with it
    return tuple(_Statement(ast.unparse(each), _bound(each)) for each in tree.body)


def _bound(statement: ast.stmt) -> frozenset[str] | None:
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    names = {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if "*" not in names:
        return frozenset(names)
    module = getattr(statement, "module", None)
    if module not in modules.HARMLESS:
        return None
    found = importlib.import_module(module)
    exported = getattr(found, "__all__", None) or [name for name in vars(found) if name[:1] != "_"]
    return frozenset(exported)
