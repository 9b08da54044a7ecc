"""Markdown code fences, read leniently: as models write them, not only as CommonMark has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*$")
_FENCE_AFTER_PROSE = {
    "python": re.compile(r"[^`]*(```)(python|py)[ \t]*$", re.IGNORECASE),
    "cpp": re.compile(r"[^`]*(```)(cpp|c\+\+)[ \t]*$", re.IGNORECASE),
}
_MAX_FENCE_LINE = 300  # a longer line is no fence
_MAX_EXTRA_INDENT = 3  # a fence further to the right belongs to the block's own text (a docstring)

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

    def closes(self, opening: _Fence) -> bool:
        return self.mark.startswith(opening.mark) and self.indent <= opening.indent + _MAX_EXTRA_INDENT


def fenced_blocks(text: str, language: str = "python") -> list[Block]:
    """The non-empty fenced blocks of `text` in order. Linear in its length.

    A fence tagged as `language` within an open block closes that and begins another: the model forgot to.
    """
    if "```" not in text and "~~~" not in text:
        return []
    blocks: list[Block] = []
    opening: _Fence | None = None
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        fence = _fence(line, language)
        if opening is None:
            opening, lines = fence, []
        elif fence is not None and fence.closes(opening):
            blocks += _block(opening, lines, closed=True)
            opening, lines = (fence if fence.wanted else None), []
        else:
            lines.append(line)
    if opening is not None:
        if lines and lines[-1].strip() in ("", "`", "``", "~", "~~"):
            lines.pop()  # the text's end, or the closing fence cut off
        blocks += _block(opening, lines, closed=False)
    return blocks


def _fence(line: str, language: str) -> _Fence | None:
    if len(line) > _MAX_FENCE_LINE or not ("```" in line or "~~~" in line):
        return None
    if found := _FENCE.match(line):
        tag = found[3].lower().strip("{}.")
        return _Fence(_indent(found[1]), found[2], tag, bool(_WANTED[language].match(tag)))
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
    if text.lstrip().startswith((">>>", "$ ")):
        rank = Rank.OTHER  # a transcript of a session
    return [Block(text, rank, closed)]


def _outdent(line: str, columns: int) -> str:
    """`line` without up to `columns` columns of white space."""
    if not columns:
        return line
    return " " * (_indent(line) - columns) + line.lstrip(" \t")


def _indent(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))
