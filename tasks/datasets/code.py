"""Text work on Python source that datasets ship: heads of prompts, fences, names under test."""

from __future__ import annotations

import ast
import re


def head_before(source: str, entry_point: str) -> str:
    """What stands before the last top-level definition of `entry_point`: imports and helpers."""
    found = list(re.finditer(rf"^(?:async )?def {re.escape(entry_point)}\b", source, re.MULTILINE))
    return source[: found[-1].start()] if found else ""


def called_function(test: str, program: str) -> str | None:
    """The function that `test` calls and `program` defines at top level; None where none is certain.

    Of several, the last defined: helpers come first. Neither text is run.
    """
    try:
        defined = [node.name for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)]
        nodes = list(ast.walk(ast.parse(test)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    called = {
        node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return next((name for name in reversed(defined) if name in called), None)


def unfenced(text: str) -> str:
    """The code of a solution that a dataset wrote as one Markdown fence; other text as it is."""
    lines = text.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1]) + "\n"
    return text


def newlines(text: str) -> str:
    """`text` with Unix line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
