"""Expected outputs from a task's reference: run once, in the sandbox, and cached by content."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from sandbox.inside.values import codec
from sandbox.protocol import CEILING, MIB, Call, Calls, Job, Outcome, Runner, Status
from tasks.errors import TaskError
from tasks.files import replacing
from tasks.grading.compare import reference_value
from tasks.types import ReferenceTests, Task

_VERSION = 1  # of the cache: part of every key
_KEPT_BYTES = 64 * MIB  # encoded
_NO_BOUND = 1 << 30  # bytes of a value of ours
LIMITS = replace(CEILING, memory_bytes=2048 * MIB)


class ReferenceFailed(TaskError):
    """A task's reference does not answer its own inputs: a fault of the data (or ours), no program's."""


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/coderl/references`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coderl" / "references"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reference returned, one value an input, and how many bytes the values take encoded."""

    values: tuple[object, ...]
    encoded_bytes: int


class References:
    """Runs references on `runner`. Safe to call from several threads.

    Answers are kept in memory while they fit (`_KEPT_BYTES`), and in `cache_dir` for later runs.
    """

    def __init__(self, runner: Runner, cache_dir: Path | None = None) -> None:
        self._runner = runner
        self._folder = cache_dir or default_cache_dir()
        self._kept: OrderedDict[str, tuple[ReferenceTests, Future[Expected]]] = OrderedDict()
        self._lock = Lock()

    def expected(self, task: Task, tests: ReferenceTests) -> Future[Expected]:
        """One output an input of `tests`; the future raises `ReferenceFailed`."""
        with self._lock:
            known = self._kept.get(task.id)
            if known is not None and known[0] is tests:
                self._kept.move_to_end(task.id)
                return known[1]
            future: Future[Expected] = Future()
            self._kept[task.id] = (tests, future)
        self._start(task, tests, future)
        future.add_done_callback(lambda _: self._drop_oldest())
        return future

    def _start(self, task: Task, tests: ReferenceTests, future: Future[Expected]) -> None:
        if task.reference is None:
            future.set_exception(ReferenceFailed(f"{task.id}: has inputs but no reference; give one"))
            return
        file = self._folder / f"{_key(task.reference, tests)}.json.gz"
        if (cached := _read(file, len(tests.inputs))) is not None:
            future.set_result(cached)
            return

        def finish(done: Future[Outcome]) -> None:
            try:
                outcome = done.result()
                if outcome.status is Status.INFRA:
                    self._forget(task.id)  # a later program tries again
                expected = _write(file, _values(task.id, tests, outcome))
            except Exception as error:  # noqa: BLE001  # delivered to the caller
                future.set_exception(error)
            else:
                future.set_result(expected)

        calls = Calls(tuple(Call(tests.function, args) for args in tests.inputs))
        job = Job(
            id=f"{task.id}#reference",
            program=task.reference,
            work=calls,
            prelude=task.prelude,
            limits=LIMITS,
        )
        self._runner.submit(job).add_done_callback(finish)

    def _forget(self, task_id: str) -> None:
        with self._lock:
            self._kept.pop(task_id, None)

    def _drop_oldest(self) -> None:
        """Keeps the answers used last. Those of HumanEval+ take 400 MB encoded, and several times that as values."""
        with self._lock:
            sizes = {
                task_id: future.result().encoded_bytes
                for task_id, (_, future) in self._kept.items()
                if future.done() and future.exception() is None
            }
            excess = sum(sizes.values()) - _KEPT_BYTES
            for task_id, size in list(sizes.items())[:-1]:
                if excess > 0:
                    del self._kept[task_id]
                    excess -= size


def _values(task_id: str, tests: ReferenceTests, outcome: Outcome) -> tuple[object, ...]:
    for number, got in enumerate(outcome.tests):
        if got.status is not Status.OK:
            reason = f"{got.error.type}: {got.error.message}" if got.error else got.status.value
            raise ReferenceFailed(f"{task_id}: the reference fails on its input {number} ({reason})")
    if outcome.status is not Status.OK or len(outcome.tests) != len(tests.inputs):
        reason = f"{outcome.error.type}: {outcome.error.message}" if outcome.error else outcome.detail
        raise ReferenceFailed(f"{task_id}: the reference does not run ({outcome.status.value}: {reason})")
    return tuple(reference_value(got.value, tests.compare) for got in outcome.tests)


def _key(program: str, tests: ReferenceTests) -> str:
    digest = hashlib.sha256()
    inputs = (codec.encode(args, max_bytes=_NO_BOUND) for args in tests.inputs)
    for part in (str(_VERSION), program, tests.function, tests.compare.note, *inputs):
        digest.update(f"{len(part)}:".encode())
        digest.update(part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _read(file: Path, count: int) -> Expected | None:
    """What an earlier run kept; None where there is nothing, or nothing whole."""
    try:
        with gzip.open(file, "rt", encoding="ascii") as stream:
            texts = json.load(stream)
        values = tuple(codec.decode(text, max_bytes=_NO_BOUND) for text in texts)
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return Expected(values, sum(map(len, texts))) if len(values) == count else None


def _write(file: Path, values: tuple[object, ...]) -> Expected:
    """Keeps `values` for later runs; says so where it cannot, since nothing but time is lost."""
    texts = [codec.encode(value, max_bytes=_NO_BOUND) for value in values]
    data = gzip.compress(json.dumps(texts).encode("ascii"), compresslevel=1, mtime=0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        print(f"outputs of references cannot be kept for later runs: {error}", file=sys.stderr)
    return Expected(values, sum(map(len, texts)))
