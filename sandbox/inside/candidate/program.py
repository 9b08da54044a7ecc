"""The candidate's process: runs the program as a module, and makes calls.

All of it shares memory with a program that may be hostile. So nothing here is secret, and the host checks what
this process reports.
"""

from __future__ import annotations

import io
import linecache
import os
import sys
import time
from types import CodeType, ModuleType, TracebackType
from typing import Any

from sandbox.inside import wire
from sandbox.inside.values import codec

FILENAME = "<program>"
MESSAGE_CHARS = 2000
MAX_FRAMES = 20


class Capture(io.TextIOBase):
    """A text stream that keeps the first `limit` characters and drops the rest."""

    encoding = "utf-8"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.restart()

    def restart(self) -> None:
        self._parts: list[str] = []
        self._room = self.limit
        self.truncated = False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if len(text) > self._room:
            self.truncated = True
        if self._room:
            kept = text[: self._room]
            self._parts.append(kept)
            self._room -= len(kept)
        return len(text)

    def text(self) -> str:
        return "".join(self._parts)


_STREAMS = sys.stdin, sys.stdout, sys.stderr  # kept: freeing them in each process would take longer
_NO_INPUT, _STDOUT, _STDERR = io.StringIO(), Capture(0), Capture(0)


def calls() -> int:
    """Main of a `calls` process. Payload: `program`, `prelude`, `calls` [[function, arguments]...], `done` (how many
    of them need not be made), `value_bytes`, `output_bytes`; `arguments` is the codec text of (args, kwargs).
    Frames: see `sandbox/jobs/program_job.py`. Returns the exit status."""
    payload = wire.read_payload()
    stdout, stderr = _capture_output(payload["output_bytes"])
    module, failure = load(payload["program"], "solution", "import", payload["prelude"])
    if module is None:
        wire.send(wire.RESULTS, {"fatal": failure, **_output(stdout, stderr)})
        return wire.DONE
    wire.send(wire.RESULTS, {"ready": True})
    cpu_seconds = time.process_time
    for function, arguments in payload["calls"][payload["done"] :]:
        stdout.restart()
        stderr.restart()
        frame = _call(module, function, arguments, payload["value_bytes"])
        frame.update(_output(stdout, stderr))
        frame["cpu"] = cpu_seconds()
        wire.send(wire.RESULTS, frame)
    return wire.DONE


def load(
    program: str, name: str, phase: str, prelude: str = ""
) -> tuple[ModuleType | None, dict[str, Any] | None]:
    """Run `program` as the module `name`: the module, or how that failed (see `run`)."""
    module = ModuleType(name)
    failure = run(module, program, phase, prelude)
    return (None if failure else module), failure


def run(module: ModuleType, program: str, phase: str, prelude: str) -> dict[str, Any] | None:
    """Run `program` in `module`, after `prelude`: how that failed (`phase` is what running it is called), or None.

    The module is in `sys.modules` first (dataclasses and pickle look there); the source is in `linecache`.
    """
    program = program.removeprefix("\ufeff")  # a mark that files may begin with
    linecache.cache[FILENAME] = _Source(program)  # type: ignore[assignment]
    try:
        code: CodeType = compile(program, FILENAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return describe(error, "compile")
    sys.modules[module.__name__] = module
    module.__file__ = sys.argv[0] = f"{os.getcwd()}/{wire.OWN_FILE}"
    try:
        if "__file__" in program or "argv" in program:
            with open(module.__file__, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(program)
        if prelude:
            exec(compile(prelude, "<prelude>", "exec", dont_inherit=True), module.__dict__)
        exec(code, module.__dict__)
    except BaseException as error:  # the boundary to the program: all it raises is its failure  # noqa: BLE001
        return describe(error, phase)
    return None


class _Source:
    """An entry of `linecache`: (size, time, lines, name). It has lines once they are asked for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> object:
        return (len(self._text), None, self._text.splitlines(keepends=True), FILENAME)[index]


def describe(error: BaseException, phase: str) -> dict[str, Any]:
    """An exception as data; `exit` is the exit status that a SystemExit stands for."""
    try:
        message = str(error)[:MESSAGE_CHARS]
    except BaseException:  # the program's own __str__  # noqa: BLE001
        message = "<no message: str() of the exception failed>"
    info: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message,
        "phase": phase,
        "frames": candidate_frames(error.__traceback__),
    }
    if isinstance(error, SyntaxError) and phase == "compile":
        line = error.lineno or 0
        info["frames"] = [[line, "<module>", linecache.getline(FILENAME, line).strip()]]
    if isinstance(error, SystemExit):
        code = error.code
        info["exit"] = 0 if code is None else code & 0xFF if isinstance(code, int) else 1
    return info


def candidate_frames(traceback: TracebackType | None) -> list[list[object]]:
    """[line, function, source] of the program's own frames, outermost first, the innermost ones kept."""
    frames: list[list[object]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == FILENAME:
            line = traceback.tb_lineno
            frames.append([line, code.co_name, linecache.getline(FILENAME, line).strip()[:200]])
            del frames[:-MAX_FRAMES]
        traceback = traceback.tb_next
    return frames


def _call(module: ModuleType, name: str, arguments: str, value_bytes: int) -> dict[str, Any]:
    try:
        function = _resolve(module, name)
    except BaseException as error:  # noqa: BLE001
        return {"failure": describe(error, "entry")}
    decoded: Any = codec.decode(arguments)
    args, kwargs = decoded
    try:
        value = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001
        return {"failure": describe(error, "call")}
    try:
        return {"value": codec.encode(value, max_bytes=value_bytes)}
    except BaseException as error:  # CodecError; or out of stack or memory on the way  # noqa: BLE001
        return {"failure": describe(error, "call")}


def _resolve(module: ModuleType, name: str) -> Any:
    """`name`; or `Class.method` bound to a fresh `Class()`, or the plain function `method` of a program without it."""
    owner, _, method = name.rpartition(".")
    namespace = module.__dict__
    if owner in namespace and (method not in namespace or hasattr(namespace[owner], method)):
        return getattr(namespace[owner](), method)
    if method not in namespace:
        raise NameError(f"name {method!r} is not defined")
    return namespace[method]


def _capture_output(limit: int) -> tuple[Capture, Capture]:
    _STDOUT.limit = _STDERR.limit = limit
    _STDOUT.restart()
    _STDERR.restart()
    replace_streams(_NO_INPUT, _STDOUT, _STDERR)
    return _STDOUT, _STDERR


def replace_streams(stdin: Any, stdout: Any, stderr: Any) -> None:
    sys.stdin = sys.__stdin__ = stdin  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[misc]


def _output(stdout: Capture, stderr: Capture) -> dict[str, Any]:
    """What was printed, where anything was."""
    captured: dict[str, Any] = {}
    if text := stdout.text():
        captured["stdout"] = text
    if text := stderr.text():
        captured["stderr"] = text
    if stdout.truncated or stderr.truncated:
        captured["truncated"] = True
    return captured
