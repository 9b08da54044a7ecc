"""The routes. `create_app` takes more routers, made by functions of the `Service`: grading is mounted so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic_core import PydanticSerializationError
from starlette.types import Receive, Scope, Send

from sandbox.daemon.batches import Batch, Batches
from sandbox.daemon.guard import AccessLog, GuardedRoute, RequestError, install
from sandbox.daemon.health import Health
from sandbox.daemon.items import Item, Keep
from sandbox.daemon.metrics import Metrics
from sandbox.daemon.schedule import Scheduler, SlotPool
from sandbox.daemon.schema import Error, JobModel, Ordering, RunRequest
from sandbox.daemon.tokens import Tokens
from sandbox.inside.values.codec import CodecError
from sandbox.job_json import outcome_to_json
from sandbox.protocol import CEILING, MIB, Job, Outcome, Runner, Status

API = "1.0"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": text}
    for status, text in {
        400: "Not JSON, or not UTF-8",
        401: "No valid token",
        403: "The token does not allow it",
        409: "An idempotency key that stood for something else",
        413: "Too large a body or batch",
        422: "A field is wrong",
        429: "Busy, or over the token's quota: see Retry-After",
        503: "Shutting down",
    }.items()
}
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line of JSON for each item as it finishes, `{index, outcome}` or `{index, fault}`; "
        "then `{done: COUNT}`, without which the answer is not whole.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    queue: int = 4096  # items admitted and not answered
    max_body_bytes: int = 64 * MIB
    cache_bytes: int = 0  # 0: no cache


@dataclass(frozen=True)
class Service:
    """What routers are made of."""

    settings: Settings
    scheduler: Scheduler
    batches: Batches
    metrics: Metrics
    tokens: Tokens

    def image(self, job: Job) -> str:
        """The image that `job` runs in."""
        return job.image or next(iter(self.scheduler.pools))

    def answer(self, request: Request, items: Sequence[Item | RequestError], ordering: Ordering) -> Response:
        """Streams the answers to `items`. Raises `RequestError` where none of them is admitted."""
        return BatchResponse(
            self.batches.open(
                request.state.caller,
                items,
                priority=ordering.priority,
                deadline_seconds=ordering.deadline_seconds,
            )
        )


MakeRouter = Callable[[Service], APIRouter]


class BatchResponse(StreamingResponse):
    """Closes its batch however it ends, also when the client has gone."""

    media_type = "application/x-ndjson"

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.lines())
        self._batch = batch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._batch.close()


def api_router(service: Service) -> APIRouter:
    """A router for /v1: with tokens, bounded bodies and the documented faults."""
    # For the OpenAPI page: it is `GuardedRoute` that checks, before the body is read.
    security = [Security(HTTPBearer(auto_error=False))] if service.tokens.required else []
    return APIRouter(prefix="/v1", route_class=GuardedRoute, responses=_REFUSALS, dependencies=security)


def create_app(
    pools: dict[str, SlotPool],
    *,
    settings: Settings | None = None,
    tokens: Tokens | None = None,
    routers: Iterable[MakeRouter] = (),
) -> FastAPI:
    """The service on `pools`, by image digest; the first is the default. It closes them when it ends."""
    settings, tokens, metrics = settings or Settings(), tokens or Tokens(), Metrics()
    scheduler = Scheduler(pools, metrics.waited.observe)
    batches = Batches(scheduler, metrics, queue=settings.queue, cache_bytes=settings.cache_bytes)
    service = Service(settings, scheduler, batches, metrics, tokens)
    health = Health(scheduler, batches)
    metrics.gauge("admitted", "Items admitted and not answered", lambda: batches.admitted)
    metrics.gauge("waiting", "Jobs that wait", lambda: sum(pool.waiting for pool in pools.values()))
    metrics.gauge("running", "Jobs that run", lambda: sum(pool.running for pool in pools.values()))
    metrics.gauge("slots", "Jobs that can run at once", lambda: scheduler.slots)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            batches.draining = True
            scheduler.close()

    app = FastAPI(
        title="coderl sandbox",
        version=API,
        description="Runs untrusted programs in isolation. Values are the codec's JSON nodes.",
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.tokens = tokens
    app.state.max_body_bytes = settings.max_body_bytes
    install(app)
    app.add_middleware(AccessLog, metrics=metrics)
    app.include_router(_run_router(service))
    for make in routers:
        app.include_router(make(service))
    app.include_router(_health_router(health, metrics))
    return app


def _run_router(service: Service) -> APIRouter:
    router = api_router(service)

    @router.post("/run", response_class=StreamingResponse, responses=_LINES)
    async def run(request: Request, batch: RunRequest) -> Response:
        """Run programs. Their outcomes come as they finish."""
        items = [run_item(service, f"body.jobs.{number}", job) for number, job in enumerate(batch.jobs)]
        return service.answer(request, items, batch)

    @router.get("/info")
    async def info() -> dict[str, Any]:
        """What this daemon offers."""
        return {
            "api": API,
            "backend": service.scheduler.backend,
            "slots": service.scheduler.slots,
            "images": list(service.scheduler.pools),
            "languages": {image: pool.languages for image, pool in service.scheduler.pools.items()},
            "queue": service.settings.queue,
            "max_body_bytes": service.settings.max_body_bytes,
            "ceiling": asdict(CEILING),
        }

    return router


def run_item(service: Service, place: str, model: JobModel | RequestError) -> Item | RequestError:
    """What is to be run for the job at `place` of a request, or why that is not."""
    if isinstance(model, RequestError):
        return model.at(f"{place}.")
    try:
        job = model.job()
        service.scheduler.pool(job.image).check(job)  # before it is admitted: a refusal, and no outcome
    except (CodecError, ValueError) as error:
        return RequestError(422, "invalid", f"{place}: {error}")
    digest = b""
    if model.key or service.settings.cache_bytes:
        digest = _digest(service.image(job), model)
    return Item(model.key, digest, partial(_start, job), partial(_render, service.metrics))


def _digest(image: str, model: JobModel) -> bytes:
    """Of all that decides a job's outcome."""
    rest = {"id", "key", "image"}
    try:
        text = model.model_dump_json(exclude=rest)
    except PydanticSerializationError:  # lone surrogates, which UTF-8 lacks
        text = json.dumps(model.model_dump(exclude=rest))
    return b"run" + hashlib.sha256(f"{image} {text}".encode()).digest()


def _start(job: Job, runner: Runner) -> Future[Any]:
    return runner.submit(job)


def _render(metrics: Metrics, outcome: Outcome) -> tuple[dict[str, Any], Keep]:
    metrics.results.labels("outcome", outcome.status.value).inc()
    metrics.ran.observe(outcome.wall_seconds)
    return {"outcome": outcome_to_json(outcome)}, keep(outcome.status)


def keep(status: Status) -> Keep:
    """What an answer of this status is good for."""
    if status is Status.INFRA:
        return Keep.NOTHING
    return Keep.KEY if status is Status.WALL_TIMEOUT else Keep.CACHE


def _health_router(health: Health, metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process answers."""
        return "ok\n"

    @router.get("/readyz", responses={503: {"description": "Not now, and why"}})
    async def readyz() -> Response:
        """Whether jobs are taken and run well."""
        problem = await health.problem()
        return JSONResponse({"ready": not problem, "problem": problem}, status_code=503 if problem else 200)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics_page() -> Response:
        """For Prometheus."""
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
