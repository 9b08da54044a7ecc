"""Finds the candidate's program in a completion of any model.

A completion is read in steps, each linear in its length; docs/grading.md has the table of formats:

1. *answer*: what is outside chat template headers, other turns, channels and reasoning (tasks/extraction/turns.py);
   unclosed reasoning leaves no answer;
2. *blocks*, by the first of `_FORMATS` that finds a program: tags around the answer, Markdown fences
   (fences.py), the continuation of the prompt, runs of lines that look like code (unfenced.py);
3. *program*: the last block that is one counts, behind the task's context, and behind earlier blocks that define
   what it uses.

A completion of a `complete` task continues the prompt verbatim, as evalplus reads it, unless a block defines the
entry point; what follows the continuation is cut off only where the whole is not Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.extraction.fences import Block, Rank, fenced_blocks
from tasks.extraction.turns import answer_of
from tasks.extraction.unfenced import cpp_runs, is_python, runs, starts_code, typed, without_what_follows
from tasks.types import Task

_TAG = re.compile(
    r"^[ \t]*(?:\[(?P<square>PYTHON|CODE|BEGIN|ANSWER|SOLUTION)\]"
    r"|<(?P<angle>answer|final_answer|code|solution|python|program)>)",
    re.MULTILINE | re.IGNORECASE,
)
_ENDS = {"BEGIN": ("[DONE]", "[END]", "[/BEGIN]")}  # of tags that no tag of their own name closes
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")
_RETURNS = re.compile(r"^return\b", re.MULTILINE)
_MOST_TAGS = 4  # of a completion that are looked at: the last ones
_FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.MULTILINE)
_DEFINED = re.compile(r"^(?:(?:async +)?def|class) +(\w+)", re.MULTILINE)
_IMPORTED = re.compile(r"^(?:from +[\w.]+ +)?import +([\w., *]+)", re.MULTILINE)
_NAME = re.compile(r"[^\W\d]\w*")
_HELPERS = re.compile(r"(?:(?:async +)?def|class|import|from)\b|[@#)\]}]|[A-Z_]+ *=[^=]|[ \t]|$")
_READS = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0\b|\bread\s*\(\s*0\b|\bfileinput\b")
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
    text, closed = answer_of(completion)
    if not closed:
        return Extraction(program="", blocks=(), truncated=True, found=False)
    for read in _FORMATS:
        if blocks := read(text, task):
            return _extraction(task, blocks)
    return Extraction(program="", blocks=(), truncated=False, found=False)


def program_of(block: str, task: Task) -> str:
    """The whole program that a block stands for: a continuation of the prompt, or code behind the context."""
    if task.style == "complete" and not _defines(block, task.entry_point):
        return task.prompt + block
    if not task.context:
        return block
    future = "".join(line.rstrip("\n") + "\n" for line in _FUTURE.findall(block))
    return f"{future}{task.context.rstrip()}\n\n{_FUTURE.sub('', block)}"


def is_whole(text: str, task: Task) -> bool:
    """Whether `text` is a program by itself: it begins with the head to complete, or is Python that defines the entry
    point."""
    head = task.prompt.strip()
    if task.style == "complete" and head and text.lstrip().startswith(head):
        return True
    return is_python(text) and (not task.entry_point or _defines(text, task.entry_point))


def _tagged(text: str, task: Task) -> list[Block]:
    """The last program that tags enclose."""
    for inner, closed in _inside_tags(text, task.language):
        if blocks := _fenced(inner, task):
            return blocks
        if task.style == "complete" and _continues(inner):
            return [Block(_BLANK_LINES.sub("", inner), Rank.WANTED, closed)]
        if blocks := _in_runs(inner, task):
            return [*blocks[:-1], replace(blocks[-1], closed=closed)]
    return []


def _inside_tags(text: str, language: str) -> Iterator[tuple[str, bool]]:
    """What each of the last tags outside fences encloses, the last one first, and whether it is closed."""
    for tag in list(_TAG.finditer(text))[: -_MOST_TAGS - 1 : -1]:
        before = fenced_blocks(text[: tag.start()], language)
        if before and not before[-1].closed:
            continue
        name = tag["square"] or tag["angle"]
        ends = _ENDS.get(name.upper()) or (f"[/{name}]" if tag["square"] else f"</{name}>",)
        places = [place for end in ends if (place := text.find(end, tag.end())) >= 0]
        yield text[tag.end() : min(places, default=len(text))], bool(places)


def _fenced(text: str, task: Task) -> list[Block]:
    """Markdown blocks, those of the best rank; none where the program stands outside of them."""
    blocks = fenced_blocks(text, task.language)
    best = max((block.rank for block in blocks), default=Rank.OTHER)
    blocks = _candidates([block for block in blocks if block.rank == best], task)
    if any(_defines(block.text, task.entry_point) for block in blocks):
        return blocks
    if _defines(text, task.entry_point) or (task.style == "complete" and _continues(text)):
        return []
    return (
        [replace(block, text=_body(block.text)) for block in blocks] if task.style == "complete" else blocks
    )


def _continuation(text: str, task: Task) -> list[Block]:
    """The text itself, as it continues the prompt of a `complete` task."""
    if task.style != "complete" or not text.strip():
        return []
    if _defines(text, task.entry_point) and not _continues(text):
        return []
    code = without_what_follows(task.prompt, text)
    if typed(text) and not is_python(task.prompt + code):
        return []  # a session, not the examples of the prompt's open docstring
    return [Block(code, Rank.WANTED, True)] if code.strip() else []


def _in_runs(text: str, task: Task) -> list[Block]:
    """Lines that look like code, among prose; or what was typed in a session of the interpreter."""
    if task.language == "cpp":
        return [Block(run, Rank.UNKNOWN, True) for run in cpp_runs(text)]
    session = _body(typed(text)) if task.style == "complete" else typed(text)
    return _candidates(
        [Block(run, Rank.UNKNOWN, True) for run in ([session] if session else runs(text))], task
    )


_FORMATS: tuple[Callable[[str, Task], list[Block]], ...] = (_tagged, _fenced, _continuation, _in_runs)


def _candidates(blocks: Sequence[Block], task: Task) -> list[Block]:
    """The blocks among which the last one counts: programs that define the entry point, where some do; of scripts
    not those behind the last that reads its input which only use what the ones before define: examples."""
    if task.language != "python":
        return list(blocks)
    programs = [block for block in blocks if _is_program(block)]
    chosen = [block for block in programs if _defines(block.text, task.entry_point)] or programs
    if not task.entry_point:
        readers = [number for number, block in enumerate(chosen) if _READS.search(block.text)]
        while readers and len(chosen) > readers[-1] + 1 and _is_example(chosen[-1], chosen[:-1]):
            chosen = chosen[:-1]
    if not chosen:
        return []
    earlier = programs[: programs.index(chosen[-1])]
    return [*chosen[:-1], replace(chosen[-1], text=_with_helpers(chosen[-1].text, earlier[-_MOST_BLOCKS:]))]


def _is_program(block: Block) -> bool:
    """Whether it holds more than comments and, where its tag does not say that it is code, more than prose or data."""
    lines = [line for line in block.text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    if block.rank is Rank.WANTED:
        return bool(lines)
    return any(starts_code(line.lstrip()) or line.startswith(("return ", "print ", "[")) for line in lines)


def _is_example(block: Block, earlier: Sequence[Block]) -> bool:
    """Whether it uses what `earlier` blocks define and it does not."""
    used = set(_NAME.findall(block.text)) - _defined_by(block.text)
    return any(used & set(_DEFINED.findall(each.text)) for each in earlier)


def _with_helpers(code: str, earlier: Sequence[Block]) -> str:
    """`code` behind those of the `earlier` blocks that only define or import what it uses and lacks."""
    defined = _defined_by(code)
    used = set(_NAME.findall(code))
    helpers: list[str] = []
    for block in reversed(earlier):
        names = _defined_by(block.text)
        lines = block.text.rstrip("\n").split("\n")
        if names & (used - defined) and not names & defined and all(map(_HELPERS.match, lines)):
            helpers.insert(0, block.text)
            defined |= names
            used |= set(_NAME.findall(block.text))
    return "".join([*helpers, code])


def _defined_by(code: str) -> set[str]:
    imported = " ".join(_IMPORTED.findall(code))
    return {*_DEFINED.findall(code), *_NAME.findall(imported)} - {"as"}


def _body(code: str) -> str:
    """`code`, moved to where a function's body stands if it is one at the left margin."""
    if code[:1].isspace() or not _RETURNS.search(code):
        return code
    return "".join("    " + line if line.strip() else line for line in code.splitlines(keepends=True))


def _extraction(task: Task, found: Sequence[Block]) -> Extraction:
    blocks = tuple(block.text for block in found)
    if len(blocks) > _MOST_BLOCKS:  # each is graded: a model that repeats itself must not fill the sandbox
        blocks = (blocks[0], *blocks[1 - _MOST_BLOCKS :])
    return Extraction(
        program=program_of(blocks[-1], task), blocks=blocks, truncated=not found[-1].closed, found=True
    )


def _defines(code: str, entry_point: str | None) -> bool:
    """Whether `code` defines `entry_point` (for `Class.method`, the class or a function) at its left margin."""
    if not entry_point:
        return False
    names = "|".join(map(re.escape, entry_point.split(".")))
    return bool(
        re.search(rf"^(?:(?:async +)?def|class) +(?:{names})\b|^(?:{names}) *=[^=]", code, re.MULTILINE)
    )


def _continues(text: str) -> bool:
    """Whether `text` goes on in the indented body that the prompt began."""
    return bool(re.match(r"(?:[ \t]*\r?\n)*[ \t]+\S", text))
