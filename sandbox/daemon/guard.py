"""How requests are read and refused: bounded bodies, one form of fault, no stack trace in an answer."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.daemon.metrics import Metrics
from sandbox.inside.values import codec

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("sandbox.daemon.access")
_SHOWN = 5  # problems of an invalid request that are told


class RequestError(HTTPException):
    """A request that is refused: status, a code for programs, a message for people."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after is not None else {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, message, headers)
        self.code = code
        self.retry_after = retry_after

    def at(self, place: str) -> RequestError:
        """The same, of what stands at `place`."""
        return RequestError(self.status_code, self.code, f"{place}{self.detail}")


class GuardedRoute(APIRoute):
    """Checks the token before the body is read, and reads the body through `BoundedRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            caller = request.app.state.tokens.caller(request.headers.get("authorization"))
            if caller is None:
                raise RequestError(
                    401, "unauthorized", "send `Authorization: Bearer TOKEN` with a valid token"
                )
            request.state.caller = caller
            return await handle(BoundedRequest(request.scope, request.receive))

        return bounded


class BoundedRequest(Request):
    """Its body is at most `app.state.max_body_bytes` of strict JSON, of bounded depth and count of values."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            most, parts, size = self.app.state.max_body_bytes, [], 0
            async for part in self.stream():
                size += len(part)
                if size > most:
                    raise RequestError(413, "body_too_large", f"the body has more than {most} bytes")
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        try:
            return _load(body.decode())
        except UnicodeDecodeError as error:
            raise RequestError(400, "not_utf8", f"the body is not UTF-8 at byte {error.start}") from None
        except codec.CodecError as error:
            raise RequestError(400, "not_json", f"the body cannot be read: {error}") from None


def _load(text: str) -> Any:
    """Raises `CodecError`."""
    value = codec.load(text.strip(" \t\r\n"), max_bytes=len(text))
    if "NaN" in text or "Infinity" in text:  # perhaps inside a string, where they are welcome
        json.loads(text, parse_constant=_refuse)
    return value


def _refuse(constant: str) -> None:
    raise codec.CodecError(f'{constant} is not JSON; values have {{"float": "nan"}}, "inf" and "-inf"')


def install(app: FastAPI) -> None:
    """Make every fault of a request an `Error` (see schema.py)."""
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)


def _answer(status: int, code: str, message: str, headers: Any = None) -> Response:
    message = message.encode(errors="backslashreplace").decode()  # it may quote lone surrogates
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    code = error.code if isinstance(error, RequestError) else str(error.detail).lower().replace(" ", "_")
    headers = dict(error.headers or {})
    if error.status_code == 413:
        headers["Connection"] = "close"  # the rest of the body is not read
    return _answer(error.status_code, code, str(error.detail), headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _answer(422, "invalid", told(error.errors()))


def told(problems: Sequence[Any]) -> str:
    """Pydantic's `problems`, the first ones of them, for people."""
    texts = [f"{'.'.join(map(str, problem['loc']))[:200]}: {problem['msg'][:300]}" for problem in problems]
    return first_of(texts)


def first_of(problems: Sequence[str]) -> str:
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more


def _failed(request: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return _answer(500, "internal", "a fault of the daemon; its log has the details")


class AccessLog:
    """Counts every request and logs it as one structured line."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, sent = time.monotonic(), 0, 0

        async def count(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, count)
        finally:
            route = scope.get("route")
            path = route.path if route else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            _access_log.info(
                "request",
                extra={
                    "fields": {
                        "method": scope["method"],
                        "path": scope["path"][:200],
                        "status": status,
                        "token": getattr(scope.get("state", {}).get("caller"), "name", ""),
                        "bytes": sent,
                        "seconds": round(time.monotonic() - started, 4),
                    }
                },
            )
