"""What a request asks for: an item, what its answer is good for, and the faults that stand for an answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sandbox.errors import JobCancelledError, PoolClosedError
from sandbox.protocol import Runner

_log = logging.getLogger(__name__)


class Keep(IntEnum):
    """For whom an answer is kept, besides the client that waits for it."""

    NOTHING = 0  # a fault of ours: the next request tries again
    KEY = 1  # for its key: true, but another run might differ (the time that a busy machine took)
    CACHE = 2  # for any equal question


@dataclass(frozen=True)
class Item:
    """One thing asked for. `digest` names what was asked exactly: items of one digest have one answer.

    `start` begins it with a runner; `render` turns its result into the fields of its line and says where that may be
    kept. Both may run in any thread.
    """

    key: str
    digest: bytes
    start: Callable[[Runner], Future[Any]]
    render: Callable[[Any], tuple[Mapping[str, Any], Keep]]


def fault_of(error: BaseException) -> bytes:
    if isinstance(error, (CancelledError, JobCancelledError)):
        return fault("cancelled", "the job was cancelled")
    if isinstance(error, PoolClosedError):
        return fault("draining", "this daemon shut down before the job was done")
    if isinstance(error, ValueError):  # misuse that only showed when the job was made
        return fault("invalid", str(error))
    _log.error("an item failed", exc_info=error)
    return fault("internal", "a fault of the daemon; its log has the details")


def fault(code: str, message: str) -> bytes:
    return json.dumps({"fault": {"code": code, "message": message}}).encode()[1:-1]
