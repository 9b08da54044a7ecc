"""Makes the interpreter of a cell the one that programs were written for: plain CPython 3.11, started as a script is.

Recursion through C (`@cache`, `sum(map(f, ...))`, `__call__`, `sorted(key=f)`) is bounded by `sys.setrecursionlimit`
and by the stack, as it was until 3.11. CPython 3.12 and 3.13 count it separately and stop at some 3,300 levels, with no
way to raise that. The count is a field of the thread's state, behind the recursion limit.
"""

from __future__ import annotations

import _thread
import builtins
import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sandbox.inside.supervisor import dense, immortal, seccomp

STACK_BYTES = 1 << 30  # of the main thread; pages that are used count as memory
THREAD_STACK_BYTES = 16 << 20  # where a program does not choose; address space that `RLIMIT_AS` counts
_LEVEL = 10  # C's count goes up by that much, at most, in one level of a program's recursion
_MOST = 10**8
_STATE_WORDS = 64  # of a thread's state are looked at
_MARK = 54_321


def make_room_for_recursion() -> None:
    """Run this program anew with a stack that can grow: the kernel leaves room for it only when a program starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    if soft != resource.RLIM_INFINITY and soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    os.execv(sys.executable, sys.orig_argv)


def prepare() -> None:
    """Before anything is imported that keeps one of the functions that are replaced here."""
    _thread.stack_size(THREAD_STACK_BYTES)
    sys.set_int_max_str_digits(0)  # CPU time bounds conversions
    _add_site_builtins()
    if (place := _c_recursion_place()) is not None:
        _let_recursion_limit_count_for_c(place)


def _add_site_builtins() -> None:
    """Those that `site` adds, which some backends do without."""
    if hasattr(builtins, "exit"):
        return
    import _sitebuiltins  # type: ignore[import-not-found, unused-ignore]

    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    for name in ("copyright", "credits", "license"):
        setattr(builtins, name, _sitebuiltins._Printer(name, ""))
    builtins.help = _sitebuiltins._Helper()


_state = ctypes.pythonapi.PyThreadState_Get
_state.restype = ctypes.c_void_p


def _words() -> ctypes.Array[ctypes.c_int]:
    return (ctypes.c_int * _STATE_WORDS).from_address(_state())


def _c_recursion_place() -> int | None:
    """Which word of a thread's state counts how far C may still recurse; None where there is none."""
    if not (3, 12) <= sys.version_info < (3, 14):
        return None
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(_MARK)
    words = list(_words())
    sys.setrecursionlimit(usual)
    return words.index(_MARK) + 1 if _MARK in words else None


def _let_recursion_limit_count_for_c(place: int) -> None:
    """`sys.setrecursionlimit` as of 3.11, for the thread that calls it and for those that are started later."""
    usual = _words()[place]
    allowed = [usual]
    set_limit = sys.setrecursionlimit

    def allow() -> None:
        _words()[place] = allowed[0]

    def setrecursionlimit(limit: int, /) -> None:
        """Set the maximum depth of the Python interpreter stack to n."""
        set_limit(limit)
        allowed[0] = max(usual, min(_LEVEL * limit, _MOST))
        allow()

    def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        allow()
        return function(*args, **kwargs)

    def starting(start: Callable[..., Any]) -> Callable[..., Any]:
        return lambda function, *args, **kwargs: start(partial(run, function), *args, **kwargs)

    sys.setrecursionlimit = setrecursionlimit
    for name in ("start_new_thread", "start_joinable_thread"):
        if hasattr(_thread, name):
            setattr(_thread, name, starting(getattr(_thread, name)))


def settle() -> None:
    """Leave as little as possible for each process to write to: the kernel copies each page that it writes to."""
    gc.collect()
    immortal.make_all()
    seccomp.return_free_memory()
    dense.fill_holes()
    seccomp.return_free_memory()  # whose holes are filled now, so it gives back only what lies behind them
    gc.freeze()


@contextmanager
def without_fork_hooks() -> Iterator[list[dict[str, Any]]]:
    """Modules imported here do not register fork hooks with the interpreter; the list holds what they asked for.

    The hooks of `threading` and `random` write to a hundred pages in each child, for nothing: we have one thread, and
    the same random numbers for each program make verdicts repeatable. Programs register them for their own forks.
    """
    hooks: list[dict[str, Any]] = []
    register = os.register_at_fork
    os.register_at_fork = lambda **hook: hooks.append(hook)
    try:
        yield hooks
    finally:
        os.register_at_fork = register
