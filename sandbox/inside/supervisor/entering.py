"""What a new process does between its fork and its main: another user, its descriptors, its limits."""

from __future__ import annotations

import gc
import os
import resource
import signal

# Past the wrapper in `signal`, which makes enumeration members of its arguments in each process.
from _signal import signal as _set_handler  # type: ignore

from sandbox.inside import wire

OWN_FILES = 256  # so few descriptors that closing all of them is quick
_SIGINT = int(signal.SIGINT)

ResourceLimit = tuple[int, tuple[int, int]]  # kind, (soft, hard)


def become_user(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def enter(
    scratch: str,
    descriptors: list[int],
    targets: bytes,
    limits: list[ResourceLimit],
    files: int = OWN_FILES,
) -> None:
    """Sets up a new process: `descriptors` at the numbers `targets`, all others below `files` closed.

    They were received in the order of their places, from 3 on, with those for 0 to 2 in between: once these are placed,
    none takes the place of another. Of our own 0 to 2 those stay that none replaces: they are /dev/null.
    """
    for number, target in zip(descriptors, targets, strict=True):
        if target <= wire.STDERR:
            os.dup2(number, target)
    if wire.STDERR not in targets:
        os.dup2(wire.STDIN, wire.STDERR)
    free = wire.STDERR + 1
    for number, target in zip(descriptors, targets, strict=True):
        if target > wire.STDERR:
            if number != target:
                os.dup2(number, target)
            if free != target:
                os.closerange(free, target)
            free = target + 1
    os.closerange(free, files)
    for kind, soft_and_hard in limits:
        resource.setrlimit(kind, soft_and_hard)
    os.chdir(scratch)
    _set_handler(_SIGINT, signal.default_int_handler)
    gc.enable()


def same(kind: int, soft_and_hard: int) -> ResourceLimit:
    return kind, (soft_and_hard, soft_and_hard)
