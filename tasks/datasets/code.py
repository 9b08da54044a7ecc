"""Text work on Python source that datasets ship: heads of prompts, fences, names under test."""

from __future__ import annotations

import ast
import re
import warnings

from sandbox.parsing import parse
from tasks.extraction.fences import Rank, fenced_blocks


def head_before(source: str, entry_point: str) -> str:
    """What stands before the last top-level definition of `entry_point`: imports and helpers."""
    found = list(re.finditer(rf"^(?:async )?def {re.escape(entry_point)}\b", source, re.MULTILINE))
    return source[: found[-1].start()] if found else ""


def called_function(test: str, program: str) -> str | None:
    """The function that `test` calls and `program` defines at top level; None where none is certain.

    Of several, the last defined: helpers come first. Neither text is run.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes, which datasets have
            top, nodes = parse(program).body, list(ast.walk(parse(test)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    called = {
        node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    defined = [node.name for node in top if isinstance(node, ast.FunctionDef)]
    return next((name for name in reversed(defined) if name in called), None)


def unfenced(text: str) -> str:
    """The code of a solution that a dataset wrote in Markdown: its last fenced block; other text as it is."""
    blocks = fenced_blocks(text)
    if text.lstrip().startswith("```"):
        return blocks[-1].text if blocks else ""
    return next((block.text for block in reversed(blocks) if block.rank == Rank.WANTED), text)


def newlines(text: str) -> str:
    """`text` with Unix line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
