"""Pid 1 of a cell: forks one process at a time, bounds it, and afterwards removes all that it left.

It reads headers and descriptors only, never a payload: no process forked from it can hold another's secret.
Being pid 1 of its pid namespace it cannot be killed from inside, and its `kill(-1)` reaches every other process.

Messages on its socket (SOCK_SEQPACKET; `wire.py` says what they hold): it is told to `START` (with the descriptors),
asked for `USAGE`, told to `KILL`; it says `HELLO`, `USAGE` and `EXIT`.
"""

from __future__ import annotations

import importlib
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from sandbox.inside import wire
from sandbox.inside.supervisor import interpreter, meter, seccomp
from sandbox.inside.supervisor.entering import ResourceLimit, become_user, enter, same
from sandbox.inside.supervisor.scratch import empty

SCRATCH = "/tmp"
_WATCH_SECONDS = 0.01  # how often memory is summed where no cgroup bounds it
_REAP_SECONDS = 1.0  # how often orphans are reaped while a program runs
_CLEAR_SECONDS = 5.0
_MESSAGE_BYTES = 65536
_ANCILLARY_BYTES = socket.CMSG_SPACE(8 * struct.calcsize("i"))  # of eight descriptors

_ANY_BOUNDS = wire.Bounds(1, 1, 1, 1, 1)


class Supervisor:
    def __init__(
        self,
        control: socket.socket,
        *,
        uid: int | None,
        mains: dict[str, Any],
        languages: list[str],
        fork_hooks: list[dict[str, Any]],
        oom_score: int,
        counts: meter.Meter | None = None,
        scratch: str = SCRATCH,
    ) -> None:
        self._control = control
        self._uid = uid  # of the processes; None: they keep ours, the only one there is
        self._mains = mains
        self._languages = languages  # besides Python, that a program may be in
        self._fork_hooks = fork_hooks
        self._scratch = scratch
        self._meter = counts or meter.open_meter()
        self._oom_score = oom_score  # descriptor of our own; what we fork inherits the value
        self._usual_oom_score = os.pread(oom_score, 16, 0)
        self._untouched = meter.tmpfs_use()
        self._packed = b""  # the last bounds, and what they come to
        self._bounds = _ANY_BOUNDS
        self._rows: list[ResourceLimit] = []
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._run = 0
        self._tried: set[str] = set()  # to import, beyond what all cells have

    def serve(self) -> None:
        """Until the host goes away."""
        hello = {
            "python": sys.version.split()[0],
            "cgroup": self._meter.enforced,
            "languages": self._languages,
        }
        self._control.send(wire.HELLO + wire.to_json(hello).encode())
        while True:
            message, descriptors = self._receive()
            if not message:
                return
            if message[:1] == wire.START:
                self._supervise(message, descriptors)
            elif message[:1] == wire.USAGE:  # it ended in the meantime; `EXIT` is on its way
                self._control.send(wire.USED.pack(*wire.RUN.unpack(message), 0.0))

    def _supervise(self, message: bytes, descriptors: list[int]) -> None:
        _, self._run, main, count, bounds = wire.STARTS.unpack_from(message)
        names = wire.STARTS.size + count
        targets = message[wire.STARTS.size : names]
        if len(message) > names:
            self._import(message[names:].decode().split())
        if bounds != self._packed:
            self._packed, self._bounds = bounds, wire.Bounds._make(wire.BOUNDS.unpack(bounds))
            self._rows = self._limits(self._bounds)
        before = self._meter.start()
        os.pwrite(self._oom_score, b"1000", 0)  # it dies first when memory runs out
        child = os.fork()
        if child == 0:
            self._become_child(self._mains[wire.MAINS[main]], descriptors, targets)
        os.pwrite(self._oom_score, self._usual_oom_score, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        status, peak_bytes, over_memory = self._watch(child)
        left_nothing = self._kill_all()
        used = self._meter.since(before)
        clean = left_nothing and self._wipe()
        code = os.waitstatus_to_exitcode(status)
        memory = over_memory or used.over_limit
        ends = (code, used.cpu, peak_bytes, memory, used.host_out_of_memory, clean)
        self._control.send(wire.EXITS.pack(wire.EXIT, self._run, *ends))

    def _import(self, names: list[str]) -> None:
        """From the first program or test on that names them (see modules.py), all find them here."""
        if self._tried.issuperset(names):
            return
        self._tried.update(names)
        with interpreter.without_fork_hooks() as fork_hooks:
            for name in names:
                with suppress(ModuleNotFoundError):  # the program that names it gets the same error
                    importlib.import_module(name)
        self._fork_hooks += fork_hooks
        interpreter.settle()

    def _watch(self, child: int) -> tuple[int, int, bool]:
        """Wait for `child` while answering the host. Returns (wait status, peak bytes, over memory)."""
        exited = os.pidfd_open(child)
        poller, control = self._poller, self._control.fileno()
        poller.register(exited, select.POLLIN)
        pause = _REAP_SECONDS if self._meter.enforced else _WATCH_SECONDS
        over_memory = False
        try:
            while True:
                ready = dict(poller.poll(pause * 1000))
                if exited in ready:
                    _, status, usage = os.wait4(child, 0)
                    self._meter.reaped(usage)
                    return status, usage.ru_maxrss * 1024, over_memory
                if control in ready:
                    self._answer()
                if not ready and not self._meter.enforced and self._exceeds_memory():
                    over_memory = True
                    self._signal_all()
                self._reap_others(child)
        finally:
            poller.unregister(exited)
            os.close(exited)

    def _answer(self) -> None:
        message, _ = self._receive()
        if not message:
            os._exit(0)  # the host is gone; the kernel kills the rest of this pid namespace with us
        letter, run = wire.RUN.unpack(message)
        if run != self._run:
            return
        if letter == wire.USAGE:
            self._control.send(wire.USED.pack(letter, run, self._meter.cpu_seconds()))
        elif letter == wire.KILL:
            self._signal_all()

    def _exceeds_memory(self) -> bool:
        return self._meter.memory_bytes() > self._bounds.memory_bytes

    def _reap_others(self, child: int) -> None:
        """Reap orphans, so that they do not count against the process limit; leave `child` to `_watch`."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == child:
                return
            _, _, usage = os.wait4(found.si_pid, 0)
            self._meter.reaped(usage)

    def _kill_all(self) -> bool:
        """Kill and reap everything else here; False if something is still there at the deadline."""
        if not self._others_exist():
            return True
        deadline = time.monotonic() + _CLEAR_SECONDS
        while True:
            self._signal_all()
            try:
                pid, _, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return not self._others_exist()
            if pid:
                self._meter.reaped(usage)
            elif time.monotonic() > deadline:
                return False
            else:
                time.sleep(0.001)

    def _wipe(self) -> bool:
        """Remove what the process left in writable places; False if anything remains."""
        if self._is_clean():
            return True
        wiper = os.fork()
        if wiper == 0:
            try:
                self._empty()
            finally:
                os._exit(0)
        exited = os.pidfd_open(wiper)
        done = select.select([exited], [], [], _CLEAR_SECONDS)[0]
        os.close(exited)
        if not done:
            os.kill(wiper, signal.SIGKILL)
        os.waitpid(wiper, 0)
        return self._is_clean()

    def _is_clean(self) -> bool:
        return meter.tmpfs_use() == self._untouched

    def _empty(self) -> None:
        """Delete everything in the writable places, as the user that made it."""
        self._drop_user()
        for place in meter.WRITABLE:
            empty(place)

    def _become_child(
        self, main: Callable[[], int | None], descriptors: list[int], targets: bytes
    ) -> NoReturn:
        """From fork to main: session, user, descriptors, limits. Never returns."""
        code = wire.SETUP_FAILED
        try:
            os.setsid()
            if self._uid is None:
                seccomp.set_dumpable(True)  # else its own /proc/self is closed to it
            self._drop_user()
            enter(self._scratch, descriptors, targets, self._rows)
            for hook in self._fork_hooks:
                os.register_at_fork(**hook)
            code = 1
            code = main() or 0
        finally:
            os._exit(code)

    def _limits(self, bounds: wire.Bounds) -> list[ResourceLimit]:
        cpu = int(bounds.total_cpu_seconds) + 2
        rows = [
            (resource.RLIMIT_CPU, (cpu, cpu + 1)),
            same(resource.RLIMIT_NPROC, bounds.processes),
            same(resource.RLIMIT_NOFILE, bounds.open_files),
            same(resource.RLIMIT_FSIZE, bounds.scratch_bytes),
            same(resource.RLIMIT_CORE, 0),
            same(resource.RLIMIT_MSGQUEUE, 0),
        ]
        if not self._meter.enforced:  # only slows a hog down between two looks: numpy maps much it never uses
            rows.append(same(resource.RLIMIT_AS, bounds.memory_bytes + (2 << 30)))
        return rows

    def _signal_all(self) -> None:
        """Kill every process here but this one."""
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _others_exist(self) -> bool:
        try:
            os.kill(-1, 0)
        except ProcessLookupError:
            return False
        return True

    def _drop_user(self) -> None:
        if self._uid is not None:
            become_user(self._uid)

    def rehearse(self, times: int) -> None:
        """What a child does first, done here to no effect (see rehearsal.py)."""
        unchanged = [(kind, resource.getrlimit(kind)) for kind, _ in self._limits(_ANY_BOUNDS)]
        for _ in range(times):
            if self._uid is not None:
                become_user(os.getuid())
            enter("/", [wire.STDERR], bytes([wire.STDERR]), unchanged, files=wire.STDERR + 1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # pid 1 ignores what it has no handler for

    def _receive(self) -> tuple[bytes, list[int]]:
        """A message with its descriptors; an empty one where the host is gone."""
        message, ancillary, _, _ = self._control.recvmsg(_MESSAGE_BYTES, _ANCILLARY_BYTES)
        return message, memoryview(ancillary[0][2]).cast("i").tolist() if ancillary else []
