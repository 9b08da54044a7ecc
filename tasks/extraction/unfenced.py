"""Programs outside fences: runs of lines that look like code, sessions of the interpreter, bodies."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from sandbox.parsing import parse

# A line that may begin a program, at the left margin.
_START = re.compile(
    r"(?:async +)?def +\w+ *[(\[]|class +\w+ *[:(\[]|import +\w|from +[\w.]+ +import\b|@\w|#!|\"\"\"|'''"
    r"|[\w.\[\]]+(?: *, *[\w.\[\]]+)* *(?:[-+*/]|//|: *[\w.]+(?:\[[^=]*\])? *)?=[^=]"
    r"|(?:if|for|while|with|try|match)\b.*: *(?:#.*)?$|[\w.]+\(.*\) *(?:#.*)?$"
)
_CPP_START = re.compile(
    r"^(?:#(?:include|define|pragma)\b|using namespace |(?:int|auto) +main *\()", re.MULTILINE
)
_KEYWORD = re.compile(
    r"(?:async|await|def|class|import|from|if|for|while|with|try|except|finally|else|elif|match|case|return|raise"
    r"|assert|del|global|nonlocal|pass|break|continue|yield|lambda|not|print)\b"
)
# Two words in a row, a label or heading with a colon, emphasis, a list item, a quotation, a doctest line, a fence.
_PROSE = re.compile(
    r"[^\W\d_][\w'’-]*[,;.!?]? +[^\W\d_]|[A-Z][\w ]*:(?:\s|$)|\*\*|[-*•] |\d+[.)] |>|\||```|~~~"
)
_TRIPLE_QUOTE = re.compile(r"\"\"\"|'''")
_PROMPT = re.compile(r"[ \t]*(>>>|\.\.\.)(?: |$)")
_LINE_HEAD = 300  # characters of a line that decide what it is
_MOST_PARSED = 1 << 16  # characters
_MOST_NESTED = 40


def runs(text: str) -> list[str]:
    """The runs of lines that look like Python: each from a line that may begin a program, up to prose."""
    found: list[str] = []
    kept: list[str] = []
    quote: str | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        head = line[:_LINE_HEAD]
        if not kept and not _START.match(head):
            continue
        if quote is None and is_prose(head):
            found.append("\n".join(kept).rstrip() + "\n")
            kept = []
            continue
        kept.append(line)
        quote = quote_after(line, quote)
    if kept:
        found.append("\n".join(kept).rstrip() + "\n")
    return found


def cpp_runs(text: str) -> list[str]:
    """From the first line that only a C++ program begins with, up to the last brace."""
    start, end = _CPP_START.search(text), text.rfind("}")
    return [text[start.start() : end + 1] + "\n"] if start and start.start() < end else []


def starts_code(line: str) -> bool:
    return bool(_START.match(line[:_LINE_HEAD]))


def is_prose(line: str) -> bool:
    """Whether a line at the left margin, outside strings, is not code."""
    return bool(_PROSE.match(line)) and not (_KEYWORD.match(line) or _START.match(line))


def quote_after(line: str, quote: str | None) -> str | None:
    """The triple quote that is open after `line`, where `quote` is open before it."""
    for found in _TRIPLE_QUOTE.findall(line):
        quote = found if quote is None else None if quote == found else quote
    return quote


def typed(text: str) -> str:
    """What was typed in a session of the interpreter, without prompts and answers; empty where it is not a session."""
    lines = [line[found.end() :] for line in text.split("\n") if (found := _PROMPT.match(line))]
    return "\n".join(lines) + "\n" if lines and text.lstrip().startswith(">>>") else ""


def without_what_follows(prompt: str, body: str) -> str:
    """`body` as it is, where it continues `prompt` to a program; else up to the fence or the prose that follows it,
    if that does."""
    return next((part for part in _ends(body) if is_python(prompt + part)), body)


def _ends(body: str) -> Iterator[str]:
    """`body`, then the part of it before the first line that is not code."""
    quote, position = None, 0
    for line in body.splitlines(keepends=True):
        if quote is None and position and is_prose(line[:_LINE_HEAD]):
            yield body
            yield body[:position]
            return
        quote = quote_after(line, quote)
        position += len(line)


def is_python(text: str) -> bool:
    """Whether it parses; never asked of a text that the parser could take long for."""
    if len(text) > _MOST_PARSED or _nesting(text) > _MOST_NESTED:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the program's author may not know
            parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _nesting(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[({})\]]", text):
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return deepest
