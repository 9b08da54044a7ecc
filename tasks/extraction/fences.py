"""Markdown code fences, read leniently: as models write them, not only as CommonMark has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from tasks.extraction.unfenced import is_prose, quote_after, starts_code, typed

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]*)([^`]*)$")
_FENCE_AFTER_PROSE = {
    "python": re.compile(r"[^`]*(```)(python|py)[ \t]*$", re.IGNORECASE),
    "cpp": re.compile(r"[^`]*(```)(cpp|c\+\+)[ \t]*$", re.IGNORECASE),
}
_MAX_FENCE_LINE = 300  # a longer line is not a fence
_MAX_EXTRA_INDENT = 3  # a fence further to the right belongs to the block's own text (a docstring)
_EXAMPLE = re.compile(r"\b(?:example|usage|output|demo|run)\b", re.IGNORECASE)  # a block that is no answer
_CODE = re.compile(r"(?:def|class|import|from) +\w")  # on an opening fence's own line
_MAX_QUOTED_LINES = 40  # that a string of a program, which holds a fence, may go on after it

# How fences name the language of programs, by `Task.language`: their tags begin so.
_WANTED = {"python": re.compile("python|py|ipython"), "cpp": re.compile(r"cpp|c\+\+|cxx|cc|c$")}
_OTHER = frozenset(
    "python python3 py bash sh shell console zsh text txt plaintext output stdout input json yaml toml xml html css sql"
    " markdown md diff pycon doctest c cpp c++ cs csharp java javascript js typescript ts go rust ruby php"
    " kotlin swift scala r latex tex mermaid".split()
)


class Rank(IntEnum):
    """How much a block's tag speaks for the wanted language."""

    OTHER = 0
    UNKNOWN = 1
    WANTED = 2


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `closed`: its closing fence is there."""

    text: str
    rank: Rank
    closed: bool


class _Fence(NamedTuple):
    indent: int
    mark: str
    tag: str
    wanted: bool  # it is tagged as the wanted language
    rest: str = ""  # of its line, after the tag

    def closes(self, opening: _Fence) -> bool:
        if self.wanted and opening.tag in ("markdown", "md"):  # a whole answer in a fence
            return True
        return self.mark.startswith(opening.mark) and self.indent <= opening.indent + _MAX_EXTRA_INDENT


_UNOPENED = _Fence(0, "```", "", True)  # the opening fence that a block lacks


def fenced_blocks(text: str, language: str = "python") -> list[Block]:
    """The non-empty fenced blocks of `text` in order. Linear in its length.

    A fence tagged as `language` within an open block closes that and begins another: the model forgot to.
    """
    if "```" not in text and "~~~" not in text:
        return []
    blocks: list[Block] = []
    opening: _Fence | None = None
    lines: list[str] = []  # of the open block, or those since the last one
    quote: str | None = None  # a string's triple quote that is open in the block
    whole = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(whole):
        fence = _fence(line, language)
        if opening is None and fence is not None:
            if language == "python" and not blocks and not (fence.tag or quote) and _is_code_before(lines):
                blocks += _block(_UNOPENED, lines, closed=True)
            else:
                opening = fence
            lines, quote = [fence.rest] if _CODE.match(fence.rest) else [], None
        elif fence is not None and opening is not None and fence.closes(opening):
            if (
                quote
                and not fence.tag
                and _goes_on(whole[number + 1 : number + 1 + _MAX_QUOTED_LINES], quote)
            ):
                lines.append(line)
                continue
            blocks += _block(opening, lines, closed=True)
            opening, lines = (fence if fence.wanted else None), []
            quote = None
        elif opening is not None and quote is None and line.endswith(opening.mark) and _closes_code(line):
            blocks += _block(opening, [*lines, line.removesuffix(opening.mark)], closed=True)
            opening, lines = None, []
        else:
            lines.append(line)
            if language == "python":
                quote = quote_after(line, quote)
    if opening is not None:
        if lines and lines[-1].strip() in ("", "`", "``", "~", "~~"):
            lines.pop()  # the text's end, or the closing fence cut off
        blocks += _block(opening, lines, closed=False)
    return blocks


def _is_code_before(lines: list[str]) -> bool:
    """Whether `lines` begin with code and end with it: then a fence after them closes one that was never opened."""
    written = [line for line in lines if line.strip()]
    if not written or not (starts_code(written[0]) or written[0][0] in " \t"):
        return False
    return not is_prose(written[-1]) and written[-1][0] not in "#-*"


def _goes_on(following: list[str], quote: str) -> bool:
    """Whether the string that `quote` began goes on behind a fence, and ends: then that is part of it."""
    for line in following:
        if quote in line:
            return True
        if (found := _FENCE.match(line[:_MAX_FENCE_LINE])) and found[3]:
            return False
    return False


def _closes_code(line: str) -> bool:
    """Whether the fence at the end of `line` closes the block whose code stands before it."""
    return (
        len(line) <= _MAX_FENCE_LINE
        and line.count("```") == 1
        and "#" not in line
        and line[:-3].strip() != ""
    )


def _fence(line: str, language: str) -> _Fence | None:
    if len(line) > _MAX_FENCE_LINE or not ("```" in line or "~~~" in line):
        return None
    if found := _FENCE.match(line):
        tag = found[3].lower().strip("{}.")
        wanted = bool(_WANTED[language].match(tag))
        return _Fence(_indent(found[1]), found[2], tag, wanted, found[4].strip())
    if found := _FENCE_AFTER_PROSE[language].match(line):
        return _Fence(0, found[1], found[2].lower(), True)
    return None


def _block(fence: _Fence, lines: list[str], *, closed: bool) -> list[Block]:
    """The block between two fences, moved left where it was indented with them; none where it is blank."""
    first = next((line for line in lines if line.strip()), "")
    columns = min(fence.indent, _indent(first))
    text = "".join(_outdent(line, columns) + "\n" for line in lines)
    if not text.strip():
        return []
    rank = Rank.WANTED if fence.wanted else Rank.OTHER if fence.tag in _OTHER else Rank.UNKNOWN
    if text.lstrip().startswith((">>>", "$ ")) or _EXAMPLE.search(fence.rest):
        rank = Rank.OTHER  # a transcript of a session, an example
    return [Block(typed(text) or text, rank, closed)]


def _outdent(line: str, columns: int) -> str:
    """`line` without up to `columns` columns of white space."""
    if not columns:
        return line
    return " " * (_indent(line) - columns) + line.lstrip(" \t")


def _indent(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))
