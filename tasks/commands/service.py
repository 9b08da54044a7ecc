"""`/v1/grade`: tasks with tests and completions, to verdicts; `coderl sandbox serve` mounts it in the daemon.

Any trainer can use it as its reward service: see docs/serving.md for TRL's and verl's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field, model_validator

from sandbox.daemon.guard import RequestError
from sandbox.daemon.items import Item, Keep
from sandbox.daemon.metrics import Metrics
from sandbox.daemon.routes import Service, api_router, keep
from sandbox.daemon.schema import MAX_ITEMS, Each, Model, Name, Ordering, Source
from sandbox.protocol import Runner
from tasks import native
from tasks.errors import TaskError
from tasks.extraction.answers import Answer
from tasks.grading.futures import then
from tasks.grading.grader import Grader, Preparations
from tasks.grading.modes import Found, InProcess, decided, find, left_out, needs_check
from tasks.grading.reference import References
from tasks.rows import Row
from tasks.types import Task, Verdict

_KEPT_TASKS = 4096
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line of JSON for each completion as it is graded, `{index, verdict}` or `{index, fault}`; "
        "then `{done: COUNT}`, without which the answer is not whole.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


class CompletionModel(Model):
    """A model's text, from which the program is taken; or the program itself."""

    task_id: Source
    completion: Source | None = None
    program: Source | None = None
    key: Name = Field("", description="Idempotency key: what has it was asked before is not graded again.")

    @model_validator(mode="after")
    def _one_text(self) -> CompletionModel:
        if (self.completion is None) == (self.program is None):
            raise ValueError("give either completion or program")
        return self


Grading = Annotated[CompletionModel | RequestError, Each(CompletionModel)]


class GradeRequest(Ordering):
    tasks: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_ITEMS, description="Rows in the form of docs/native-format.md."
    )
    completions: list[Grading] = Field(min_length=1, max_length=MAX_ITEMS)
    in_process: Literal["never", "needed"] = Field(
        "never",
        description="Tests that cannot be run apart from the program, as their task's reference shows: left out "
        "(`infra`), or run in one process with it, where it can forge its verdict, which says so.",
    )


class Tasks:
    """Rows to tasks. Keeps recent ones, and what grading prepares of them, as a trainer sends the same ones often."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Task] = OrderedDict()
        self.preparations = Preparations()

    def parse(self, number: int, row: dict[str, Any]) -> tuple[bytes, Task]:
        """A row's digest and its task. Raises `TaskError`."""
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).digest()
        task = self._kept.get(digest)
        if task is None:
            task = self._kept[digest] = native.parse(Row(row, "native", number, f"body.tasks.{number}"))
            if len(self._kept) > _KEPT_TASKS:
                self._kept.popitem(last=False)
        self.preparations.of(task)
        return digest, task


def make_router(service: Service) -> APIRouter:
    router = api_router(service)
    tasks = Tasks()
    references = References(service.scheduler)
    modes = Modes(Grader(service.scheduler, references=references, preparations=tasks.preparations))

    @router.post("/grade", response_class=StreamingResponse, responses=_LINES)
    async def grade(request: Request, batch: GradeRequest) -> Response:
        """Grade completions. Their verdicts come as they finish."""
        # In a thread: large tasks take a while to read. One at a time, as the tasks kept are shared.
        async with reading:
            items = await asyncio.to_thread(_items, service, tasks, references, modes, batch)
        return service.answer(request, items, batch)

    reading = asyncio.Lock()
    return router


class Modes:
    """How recent tasks can be run, as their references showed, by the rows' digests."""

    def __init__(self, grader: Grader) -> None:
        self._grader = grader
        self._kept: OrderedDict[bytes, Future[Found]] = OrderedDict()
        self._lock = Lock()

    def of(self, digest: bytes, task: Task) -> Future[Found]:
        """After a fault of ours the next request tries again."""
        with self._lock:
            if digest in self._kept:
                return self._kept[digest]
        with self._lock:
            found = self._kept[digest] = find(task, self._grader)
            if len(self._kept) > _KEPT_TASKS:
                self._kept.popitem(last=False)
        found.add_done_callback(partial(self._forget, digest))
        return found

    def _forget(self, digest: bytes, found: Future[Found]) -> None:
        if found.cancelled() or found.exception() or found.result().mode == "unknown":
            with self._lock:
                self._kept.pop(digest, None)


def _items(
    service: Service, tasks: Tasks, references: References, modes: Modes, batch: GradeRequest
) -> list[Item | RequestError]:
    """What is to be graded; a completion that cannot be read, or whose task cannot, is replaced by the reason."""
    known: dict[str, _Known | RequestError] = {}
    for number, row in enumerate(batch.tasks):
        name = str(row.get("id"))
        try:
            digest, task = tasks.parse(number, row)
            for language in task.languages:
                service.scheduler.pool("").check_language(language)
        except TaskError as error:
            known[name] = RequestError(422, "invalid", str(error))
        except ValueError as error:
            known[name] = RequestError(422, "invalid", f"body.tasks.{number}: {error}")
        else:
            doubtful = needs_check(task, tasks.preparations.of(task).works)
            known[name] = _Known(digest, task, partial(modes.of, digest, task) if doubtful else None)
    graders = partial(Grader, references=references, preparations=tasks.preparations)
    render = partial(_render, service.metrics)
    return [
        _item(known, f"body.completions.{number}", asked, graders, batch.in_process, render)
        for number, asked in enumerate(batch.completions)
    ]


@dataclass(frozen=True)
class _Known:
    """A task of a request. `mode` says how it can be run; None: as its tests say."""

    digest: bytes
    task: Task
    mode: Callable[[], Future[Found]] | None


def _item(
    known: Mapping[str, _Known | RequestError],
    place: str,
    asked: CompletionModel | RequestError,
    graders: Callable[[Runner], Grader],
    allowed: InProcess,
    render: Callable[[Answer, Sequence[Verdict]], tuple[dict[str, Any], Keep]],
) -> Item | RequestError:
    if isinstance(asked, RequestError):
        return asked.at(f"{place}.")
    found = known.get(asked.task_id)
    if found is None:
        problem = f"{place}.task_id: {asked.task_id[:200]!r} is not among the tasks"
        return RequestError(422, "invalid", problem)
    if isinstance(found, RequestError):
        return found
    task = found.task
    answer = Answer.of(asked.completion, task) if asked.completion is not None else Answer(asked.program)
    digest = hashlib.sha256(found.digest + allowed.encode())
    for text in (answer.program or "", *answer.blocks):
        digest.update(b"%d:" % len(text) + text.encode(errors="surrogatepass"))
    return Item(
        asked.key,
        b"grade" + digest.digest(),
        partial(_start, graders, found.mode, allowed, task, answer.programs(task)),
        partial(render, answer),
    )


def _start(
    graders: Callable[[Runner], Grader],
    mode: Callable[[], Future[Found]] | None,
    allowed: InProcess,
    task: Task,
    programs: Sequence[str | None],
    runner: Runner,
) -> Future[list[Verdict]]:
    """The verdicts, once the task's reference has shown how it can be run (`mode`; None: as its tests say)."""
    if mode is None:
        return graders(runner).submit_each(task, programs)

    def grade(found: Found) -> list[Verdict] | Future[list[Verdict]]:
        how, reason = decided(task, found, allowed, "graded")
        if reason:
            return [left_out(task.id, reason)] * len(programs)
        return graders(runner).submit_each(how, programs)

    return then(mode(), grade)


def _render(metrics: Metrics, answer: Answer, verdicts: Sequence[Verdict]) -> tuple[dict[str, Any], Keep]:
    """A line's fields; it is kept as long as each of its verdicts may be."""
    for verdict in verdicts:
        metrics.results.labels("verdict", verdict.status.value).inc()
    fields = answer.to_json(verdicts)
    if error := fields["error"]:
        error["frames"] = [list(frame.values()) for frame in error["frames"]]  # as an outcome's
    return {"verdict": fields}, min(keep(verdict.status) for verdict in verdicts)
