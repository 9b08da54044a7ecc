"""The client for programs that have an event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any

import httpx

from sandbox.client.dispatch import Dispatcher, PendingItem, Route, new_key
from sandbox.client.endpoint import message_of, open_daemon
from sandbox.client.errors import DaemonError
from sandbox.job_json import job_to_json, outcome_from_json
from sandbox.protocol import Job, Outcome, Status

AnyFuture = Future[Any] | asyncio.Future[Any]
Row = dict[str, Any]


class AsyncClient:
    """Use it in `async with`, on one event loop.

    `priority` (0 to 9) goes with every request. An item that has not started `deadline_seconds` after it was asked
    for ends as `infra`; so does one that has waited for `patience_seconds` in which no daemon answered.
    `batch` items travel together, in up to `requests` requests to each daemon at once.
    """

    def __init__(
        self,
        urls: Sequence[str],
        token: str | None = None,
        *,
        priority: int = 5,
        deadline_seconds: float | None = None,
        patience_seconds: float = 300.0,
        batch: int = 16,
        requests: int = 8,
    ) -> None:
        if not urls:
            raise DaemonError("no address of a daemon was given")
        self._dispatcher = Dispatcher(
            [open_daemon(url, token, requests) for url in urls],
            batch,
            requests,
            patience_seconds,
            deadline_seconds,
        )
        self._run = Route("/v1/run", partial(_run_body, priority))
        self._grade = Route("/v1/grade", partial(_grade_body, priority))
        self.backend = ""

    async def __aenter__(self) -> AsyncClient:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Ask each daemon for its description. Raises `DaemonError` if none answers, or one refuses the token."""
        problems = []
        for daemon in self._dispatcher.daemons:
            try:
                response = await daemon.http.get("/v1/info")
                response.raise_for_status()
                info = response.json()
                self.backend = self.backend or str(info["backend"])
                daemon.max_body_bytes = int(info.get("max_body_bytes", daemon.max_body_bytes))
            except httpx.HTTPStatusError as error:
                message = await message_of(error.response)
                await self.close()
                raise DaemonError(daemon.refusal(error.response.status_code, message)) from None
            except (httpx.HTTPError, ValueError, KeyError) as error:
                problems.append(f"{daemon.url}: {type(error).__name__}: {error}")
                daemon.rest()
        if not self.backend:
            await self.close()
            raise DaemonError(
                f"no daemon answers ({'; '.join(problems)}); start one with `coderl sandbox serve`"
            )

    async def close(self) -> None:
        """What is not answered yet is dropped."""
        await self._dispatcher.close()

    def submit(self, job: Job) -> asyncio.Future[Outcome]:
        """Raises `CodecError` (a `ValueError`) for arguments that cannot cross; its future, `ValueError` for a job
        that the daemon cannot take."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.put([self.job_item(job, future)])
        return future

    async def run(self, job: Job) -> Outcome:
        """`submit`, and wait. Raises `ValueError` for a job that the daemon cannot take."""
        return await self.submit(job)

    async def grade(self, tasks: Iterable[Row], completions: Iterable[Mapping[str, str]]) -> list[Row]:
        """Verdicts, in order. `tasks`: rows of the native format (docs/native-format.md). A completion has `task_id`,
        and `completion` (a model's text) or `program`. Raises `ValueError` for what the daemon cannot read."""
        loop = asyncio.get_running_loop()
        items = self.grade_items(tasks, completions, loop.create_future)
        self.put(items)
        return list(await asyncio.gather(*[item.future for item in items]))  # type: ignore[arg-type]

    # What the synchronous client uses: it makes items in any thread, and puts them on the loop.

    def put(self, items: Iterable[PendingItem]) -> None:
        """Queue `items`; each has the future of its answer."""
        self._dispatcher.put(items)

    def job_item(self, job: Job, future: AnyFuture) -> PendingItem:
        """Raises `CodecError`."""
        return PendingItem(
            route=self._run,
            text=_text({**job_to_json(job), "key": new_key()}),
            future=future,
            read=lambda fields: outcome_from_json(job.id, fields["outcome"]),
            lost=lambda reason: Outcome(job_id=job.id, status=Status.INFRA, detail=reason),
        )

    def grade_items(
        self,
        tasks: Iterable[Row],
        completions: Iterable[Mapping[str, str]],
        new_future: Callable[[], AnyFuture],
    ) -> list[PendingItem]:
        """Raises `ValueError` for a completion of an unknown task."""
        rows = {row["id"]: _text(row) for row in tasks}
        items = []
        for completion in completions:
            task_id = completion["task_id"]
            if task_id not in rows:
                raise ValueError(f"a completion's task_id {task_id!r} is not among the tasks")
            items.append(
                PendingItem(
                    route=self._grade,
                    text=(rows[task_id], _text({**completion, "key": new_key()})),
                    future=new_future(),
                    read=lambda fields: fields["verdict"],
                    lost=partial(_infra_verdict, task_id),
                )
            )
        return items


def _text(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _run_body(priority: int, texts: Sequence[bytes], seconds_left: float | None) -> bytes:
    return b'{"jobs":[' + b",".join(texts) + b"]," + _ordering(priority, seconds_left)


def _grade_body(priority: int, texts: Sequence[tuple[bytes, bytes]], seconds_left: float | None) -> bytes:
    """Each task stands in a request once."""
    rows = b",".join(dict.fromkeys(row for row, _ in texts))
    completions = b",".join(completion for _, completion in texts)
    return (
        b'{"tasks":[' + rows + b'],"completions":[' + completions + b"]," + _ordering(priority, seconds_left)
    )


def _ordering(priority: int, seconds_left: float | None) -> bytes:
    """The end of a body."""
    return _text({"priority": priority, "deadline_seconds": seconds_left})[1:]


def _infra_verdict(task_id: str, reason: str) -> Row:
    return {
        "task_id": task_id,
        "passed": None,
        "score": None,
        "status": "infra",
        "phase": "infra",
        "detail": reason,
    }
