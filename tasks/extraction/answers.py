"""What is graded of one completion: its program, and every code block that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.extraction.extract import extract, is_whole, program_of
from tasks.extraction.sanitize import sanitize
from tasks.types import Task, Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """`program`: the whole program (None: none was found).

    `blocks`: all code blocks of the completion as the model wrote them, the last one the answer; empty
    where there is only one.
    """

    program: str | None
    blocks: tuple[str, ...] = ()

    @staticmethod
    def of(completion: str, task: Task) -> Answer:
        found = extract(completion, task)
        return Answer(found.program if found.found else None, found.blocks if len(found.blocks) > 1 else ())

    @staticmethod
    def sanitized(given: str, written: str, task: Task) -> Answer:
        """As evalplus reads what a model has `written`, behind the part of the program that it was `given`."""
        return Answer(sanitize(given + written.replace("\t", "    "), task.entry_point) or None)

    @staticmethod
    def whole(program: str, task: Task) -> Answer:
        """Of a whole program, graded as it is; behind the task's context, unless the prompt holds that."""
        return Answer(program if task.style == "complete" else program_of(program, task))

    @staticmethod
    def either(text: str, task: Task) -> Answer:
        """Of a whole program, told by its beginning or its Python; or of a completion."""
        return Answer.whole(text, task) if is_whole(text, task) else Answer.of(text, task)

    def programs(self, task: Task) -> list[str | None]:
        """All that is to be graded: the program, then the earlier blocks as whole programs."""
        return [self.program, *(program_of(block, task) for block in self.blocks[:-1])]

    def to_json(self, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        """The answer's verdict, and whether each block passed where there are several; `verdicts` are on `programs`."""
        answer, *earlier = verdicts
        fields = answer.to_json()
        if self.blocks:
            judged = zip(self.blocks, [*earlier, answer], strict=True)
            fields["blocks"] = [{"code": code, "passed": verdict.passed} for code, verdict in judged]
        return fields
