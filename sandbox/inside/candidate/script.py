"""The candidate's process, where it runs the program as `python FILE` does: streams, `__main__`, the interpreter's end.

The process ends by `os._exit`, since finalizing a whole interpreter costs ten times what the program does. So
this file does what CPython does at its end, for the program's threads, atexit functions, streams and objects.
"""

from __future__ import annotations

import _io  # type: ignore[import-not-found, unused-ignore]
import atexit
import builtins
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

from sandbox.inside import wire
from sandbox.inside.candidate import program
from sandbox.inside.supervisor import seccomp

_FLUSH_FAILED = 120  # CPython's exit status where standard output could not be written


def main() -> NoReturn:
    """Main of a `stdio` process. Payload: `program`, `prelude`, and where the program is given files, `files` (texts by
    name) and `arguments`. One frame, if the program lets us write it: `failure`, or None after a normal end. The exit
    status is the program's own."""
    payload = wire.read_payload()
    with suppress(OSError):  # denied where it is so already
        seccomp.set_dumpable(True)  # else /dev/stdin and its like, links into /proc/self, are closed to it
    _open_standard_streams()
    sys.path.insert(0, os.getcwd())
    place(payload.get("files", {}))
    sys.argv[1:] = payload.get("arguments", [])
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    failure = program.run(module, payload["program"], "call", payload["prelude"])
    code: int = failure.get("exit", 1) if failure else 0
    if failure and code:
        _ignoring(lambda: sys.stderr.write(f"{failure['type']}: {failure['message']}\n"))
    wire.send(wire.RESULTS, {"failure": failure if code else None})
    os._exit(_end(module) or code)


def place(files: dict[str, str]) -> None:
    """Files of a checker or interactor, in the working directory."""
    for name, text in files.items():
        with open(name, "wb") as file:
            file.write(text.encode(errors="surrogatepass"))


def _open_standard_streams() -> None:
    """Text streams over descriptors 0 to 2, as a fresh interpreter in a UTF-8 locale opens them."""
    program.replace_streams(
        open(wire.STDIN, encoding="utf-8", errors="surrogateescape", closefd=False),
        open(wire.STDOUT, "w", encoding="utf-8", errors="surrogateescape", closefd=False),
        open(wire.STDERR, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False),
    )


def _end(module: ModuleType) -> int:
    """What the program finds at the interpreter's end, in CPython's order; the exit status that this comes to."""
    if "threading" in sys.modules:
        _ignoring(sys.modules["threading"]._shutdown)
    _ignoring(atexit._run_exitfuncs)
    status = _flush()
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    _ignoring(lambda: _let_go(module.__dict__))
    gc.collect()
    for each in gc.get_objects():  # what it still holds elsewhere; what was there before it is not among them
        if issubclass(type(each), _io._IOBase):
            _ignoring(each.flush)
    return _flush() or status


def _let_go(names: dict[str, object]) -> None:
    """A module's objects, in the order in which CPython lets them go."""
    for private in (True, False):
        for name in list(names):
            if isinstance(name, str) and (_is_private(name) if private else name != "__builtins__"):
                names[name] = None


def _is_private(name: str) -> bool:
    return name[:1] == "_" and name[1:2] != "_"


def _flush() -> int:
    status = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException:  # the program's own stream, or a descriptor that it closed  # noqa: BLE001
            status = _FLUSH_FAILED
    return status


def _ignoring(function: Callable[[], object]) -> None:
    """As CPython does with an exception that nothing can handle."""
    try:
        function()
    except BaseException:  # noqa: BLE001
        return
