"""The candidate's program in a model's completion. Text work only: nothing is parsed as Python or run.

A completion is read in four steps, each linear in its length:

1. *turn*: chat template headers before the assistant's turn and what follows its end are dropped;
2. *answer*: what reasoning tags enclose is dropped; unclosed reasoning leaves no answer;
3. *blocks*: Markdown fences (backticks or tildes, indented, unclosed; tasks/fences.py), else the run of
   lines that look like Python (or C++), without the prose around it;
4. *program*: the last block counts, behind the task's context. Blocks in another language, and blocks that
   only use the entry point (an example call), do not count beside one that defines it.

A completion of a `complete` task continues the prompt verbatim, as evalplus reads it, unless a fenced block,
or text that does not continue the prompt, defines the entry point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.fences import Block, Rank, fenced_blocks
from tasks.types import Task

_ASSISTANT = re.compile(
    r"<\|im_start\|>assistant|<\|start_header_id\|>assistant<\|end_header_id\|>|<\|assistant\|>"
    r"|<start_of_turn>model|\[/INST\]|<｜Assistant｜>"
)
_HEADERS = tuple(
    "<|im_start|> <|begin_of_text|> <|start_header_id|> <|assistant|> <|user|> <|system|> <bos> <s>"
    " <start_of_turn> [INST] <｜begin▁of▁sentence｜> <｜Assistant｜> <｜User｜>".split()
)
_END = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|start_header_id|end_of_text|endoftext|end|user|system)\|>"
    r"|<end_of_turn>|<start_of_turn>|<｜end▁of▁sentence｜>|<｜User｜>|(?:</s>|<eos>)\s*\Z"
)
_THINK = re.compile(r"^[ \t]*<(think|thinking|reasoning)>|</(?:think|thinking|reasoning)>", re.MULTILINE)

# A line that may begin a program, at the left margin.
_START = re.compile(
    r"(?:async +)?def +\w+ *\(|class +\w+ *[:(]|import +\w|from +[\w.]+ +import\b|@\w|#!|\"\"\"|'''"
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
# Two words in a row, a heading with a colon, a list item, a quotation or a doctest line.
_PROSE = re.compile(r"[^\W\d_][\w'’-]*[,;.!?]? +[^\W\d_]|[A-Z][\w ]*:\s*$|[-*•] |\d+[.)] |>|\|")
_TRIPLE_QUOTE = re.compile(r"\"\"\"|'''")
_FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.MULTILINE)
_LINE_HEAD = 300  # characters of a line that decide what it is
_MOST_BLOCKS = 8  # that are kept of a completion: the first and the last ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """`program` is what is graded: whole, context included; empty where nothing was `found`.

    `blocks` are the candidate blocks in order, as the model wrote them, at most 8: the last one is the answer
    (`program_of` makes a program of any of them). `truncated`: the reasoning or the last fence is unclosed.
    """

    program: str
    blocks: tuple[str, ...]
    truncated: bool
    found: bool


def extract(completion: str, task: Task) -> Extraction:
    """The program that `completion` answers `task` with. Never raises."""
    text, closed = _answer(_turn(completion))
    if not closed:
        return Extraction(program="", blocks=(), truncated=True, found=False)
    blocks = _candidates(fenced_blocks(text, task.language), task.entry_point)
    truncated = bool(blocks) and not blocks[-1].closed
    texts = tuple(block.text for block in blocks)
    if not any(_defines(block, task.entry_point) for block in texts):
        if task.style == "complete" and (_continues(text) or not (texts or _defines(text, task.entry_point))):
            return _extraction(task, (text,), truncated=False) if text.strip() else _nothing()
        if not texts or _defines(text, task.entry_point):
            texts, truncated = _UNFENCED[task.language](text), False
    return _extraction(task, texts, truncated) if texts else _nothing()


def program_of(block: str, task: Task) -> str:
    """The whole program that a block stands for: a continuation of the prompt, or code behind the context."""
    if task.style == "complete" and not _defines(block, task.entry_point):
        return task.prompt + block
    if not task.context:
        return block
    future = "".join(line.rstrip("\n") + "\n" for line in _FUTURE.findall(block))
    return f"{future}{task.context.rstrip()}\n\n{_FUTURE.sub('', block)}"


def _extraction(task: Task, blocks: tuple[str, ...], truncated: bool) -> Extraction:
    if len(blocks) > _MOST_BLOCKS:  # each is graded: a model that repeats itself must not fill the sandbox
        blocks = (blocks[0], *blocks[1 - _MOST_BLOCKS :])
    return Extraction(program=program_of(blocks[-1], task), blocks=blocks, truncated=truncated, found=True)


def _nothing() -> Extraction:
    return Extraction(program="", blocks=(), truncated=False, found=False)


def _turn(text: str) -> str:
    """The assistant's first turn."""
    if text.lstrip().startswith(_HEADERS) and (header := _ASSISTANT.search(text)):
        text = text[header.end() :].removeprefix("\n")
    end = _END.search(text)
    return text[: end.start()] if end else text


def _answer(text: str) -> tuple[str, bool]:
    """What stands outside reasoning tags, and whether the reasoning was closed.

    A closing tag without an opening one ends reasoning that the prompt's template had opened.
    """
    kept: list[str] = []
    position, inside, closed_before = 0, False, False
    for tag in _THINK.finditer(text):
        if tag[1] and not inside:
            kept.append(text[position : tag.start()])
            inside = True
        elif not tag[1] and (inside or not closed_before):
            if not inside:
                kept.clear()
            position, inside, closed_before = tag.end(), False, True
    if not inside:
        kept.append(text[position:])
    return "".join(kept), not inside


def _candidates(blocks: list[Block], entry_point: str | None) -> list[Block]:
    """The blocks among which the last one counts."""
    best = max((block.rank for block in blocks), default=Rank.OTHER)
    blocks = [block for block in blocks if block.rank == best]
    return [block for block in blocks if _defines(block.text, entry_point)] or blocks


def _defines(code: str, entry_point: str | None) -> bool:
    """Whether `code` defines `entry_point` (for `Class.method`, the one or the other) at its left margin."""
    if not entry_point:
        return False
    name = f"(?:{'|'.join(map(re.escape, entry_point.split('.')))})"
    return bool(re.search(rf"^(?:(?:async +)?def|class) +{name}\b|^{name} *=[^=]", code, re.MULTILINE))


def _continues(text: str) -> bool:
    """Whether `text` goes on in the indented body that the prompt began."""
    return bool(re.match(r"(?:[ \t]*\r?\n)*[ \t]+\S", text))


def _unfenced(text: str) -> tuple[str, ...]:
    """The run of lines that look like Python, if any: from one that may begin a program, up to prose."""
    lines = text.replace("\r\n", "\n").split("\n")
    start = next((number for number, line in enumerate(lines) if _START.match(line[:_LINE_HEAD])), None)
    if start is None:
        return ()
    kept: list[str] = []
    quote: str | None = None
    for line in lines[start:]:
        if quote is None and _is_prose(line[:_LINE_HEAD]):
            break
        kept.append(line)
        for found in _TRIPLE_QUOTE.findall(line):
            quote = found if quote is None else None if quote == found else quote
    return ("\n".join(kept).rstrip() + "\n",)


def _unfenced_cpp(text: str) -> tuple[str, ...]:
    """From the first line that only a C++ program begins with, up to the last brace."""
    start, end = _CPP_START.search(text), text.rfind("}")
    return (text[start.start() : end + 1] + "\n",) if start and start.start() < end else ()


_UNFENCED = {"python": _unfenced, "cpp": _unfenced_cpp}


def _is_prose(line: str) -> bool:
    return bool(_PROSE.match(line)) and not (_KEYWORD.match(line) or _START.match(line))
