"""A program as evalplus 0.3.1 takes it from what a model wrote (evalplus/sanitize.py), for `grading.extraction`.

Of the longest run of lines that is Python, its imports and definitions are kept that the entry point needs, and only
functions that return something: a cut `def` at the end falls away, and so do prints and examples.
"""

from __future__ import annotations

import ast
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from sandbox.parsing import parse

_MOST_TRIES = 20_000  # runs that are parsed, a second or so; evalplus tries all
# Errors that no further line mends, as the parser has read no further than the line that it names.
_FINAL = ("invalid syntax", "unexpected indent", "invalid character", "unterminated string literal")


def sanitize(code: str, entry_point: str | None) -> str:
    """The program in `code`; where nothing of it is kept, its longest run of lines that is Python. Never raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes
        run, tree = _longest_run(code)
    kept = "\n".join(_kept(run.lstrip(" \t"), tree, entry_point)).strip() if tree else ""
    return kept or run


def _longest_run(text: str) -> tuple[str, ast.Module | None]:
    """Of the runs of at least two lines that are Python the first with the most filled ones; else the first line."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    beyond = [len(lines)] * len(lines)  # of each first line: runs that go on to here are no Python
    tries = 0
    for first, last in _runs(lines):
        if last >= beyond[first]:
            continue
        run = text[starts[first] : starts[last + 1] - 1]
        tree, error = _parsed(run)
        if tree:
            return run, tree
        if error and error.lineno and error.lineno <= last - first and error.msg.startswith(_FINAL):
            beyond[first] = first + error.lineno
        tries += 1
        if tries == _MOST_TRIES:
            break
    return lines[0], _parsed(lines[0].lstrip())[0]


def _parsed(code: str) -> tuple[ast.Module | None, SyntaxError | None]:
    try:
        return parse(code), None
    except SyntaxError as error:
        return None, error
    except (ValueError, RecursionError, MemoryError):  # NUL bytes, deep nesting
        return None, None


def _runs(lines: list[str]) -> Iterator[tuple[int, int]]:
    """First and last line of the runs of at least two lines: those with the most filled lines first."""
    filled = [0, *accumulate(bool(line.strip()) for line in lines)]
    for count in range(filled[-1], 0, -1):
        for first in range(len(lines) - 1):
            wanted = filled[first] + count
            if wanted > filled[-1]:
                break
            last = max(bisect_left(filled, wanted) - 1, first + 1)
            while last < len(lines) and filled[last + 1] == wanted:
                yield first, last
                last += 1


def _kept(code: str, tree: ast.Module, entry_point: str | None) -> list[str]:
    """The imports, then the definitions that `entry_point` needs (without one: all), the first of each name."""
    imports: list[ast.stmt] = []
    defined: dict[str | None, ast.stmt] = {}
    for statement in tree.body:
        if _is_import(statement):
            imports.append(statement)
        elif _is_definition(statement):
            defined.setdefault(_name(statement), statement)
    needed = _reachable(entry_point, defined) if entry_point else defined
    found = [*imports, *(statement for name, statement in defined.items() if name in needed)]
    return [ast.get_source_segment(code, statement) or "" for statement in found]


def _is_import(statement: ast.stmt) -> bool:
    """Not of `__future__`, which has a name of its own in the grammar that evalplus reads with."""
    if isinstance(statement, ast.ImportFrom):
        return statement.level > 0 or statement.module != "__future__"
    return isinstance(statement, ast.Import)


def _is_definition(statement: ast.stmt) -> bool:
    """A class, a function that returns something or an assignment; none with a decorator."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return not statement.decorator_list and any(isinstance(n, ast.Return) for n in ast.walk(statement))
    if isinstance(statement, ast.ClassDef):
        return not statement.decorator_list
    return isinstance(statement, ast.Assign | ast.AnnAssign)


def _name(statement: ast.stmt) -> str | None:
    """What it defines; of `a.b = c`, as evalplus reads it, `c`."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return statement.name
    assert isinstance(statement, ast.Assign | ast.AnnAssign)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    sides = [targets[0], statement.value] if len(targets) == 1 else targets[:1]
    return next((side.id for side in sides if isinstance(side, ast.Name)), None)


def _reachable(name: str, defined: dict[str | None, ast.stmt]) -> set[str | None]:
    """The names that `name` uses, those that their definitions use, and so on."""
    found: set[str | None] = {name}
    waiting = [name]
    while waiting:
        statement = defined.get(waiting.pop())
        new = set(_words(statement)) - found if statement else set()
        found |= new
        waiting += new
    return found


def _words(statement: ast.stmt) -> Iterator[str]:
    """All names in it: of variables, attributes, arguments, modules."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Constant):
            continue
        for _, value in ast.iter_fields(node):
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    yield from text.split(".")
