"""The supervisor of a `confined` cell: no container, no namespace, no privilege.

Supervisor and programs are ordinary processes with the user id of the pool. So each process locks itself in before it
reads the program: Landlock leaves it the interpreter's files and one folder, a seccomp filter leaves it one process
with threads, which cannot signal, trace, renice or limit another. There is only that process to kill, and it dies with
its supervisor, as the supervisor does with its host.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
from typing import Any

from sandbox.inside import wire
from sandbox.inside.supervisor import landlock, scratch, seccomp
from sandbox.inside.supervisor.entering import ResourceLimit, same
from sandbox.inside.supervisor.meter import ProcessMeter
from sandbox.inside.supervisor.seccomp import AF_UNIX, Check, Filter, Numbers
from sandbox.inside.supervisor.supervisor import Supervisor

_SOCK_STREAM, _SOCK_TYPE = 1, 0xF
_THREAD = 0x100 | 0x400 | 0x800 | 0x10000  # CLONE_VM, FILES, SIGHAND, THREAD: one memory, one table of files
_TMPFILE = 0x400000  # O_TMPFILE: a file that no folder shows
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # not F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX. Others change files (their flags, verity) or name signals' owners.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_PRCTLS = (1, 4, 0x59616D61)  # PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_PTRACER

_NEW_PROCESS: tuple[Numbers, ...] = ((57, None), (58, None))  # fork, vfork
_DENIED: dict[str, Numbers] = {
    "execve": (59, 221),
    "execveat": (322, 281),
    # other processes of the same user
    "tkill": (200, 130),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "process_mrelease": (448, 448),
    "get_robust_list": (274, 100),
    "setpriority": seccomp.SETPRIORITY,
    "ioprio_set": seccomp.IOPRIO_SET,
    **seccomp.SCHEDULING,
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # what Landlock leaves open of other files of the same user
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    # sockets other than a connected pair
    "socket": seccomp.SOCKET,
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    # all file systems at once, and what the whole system has few of
    "io_setup": (206, 0),
    "sync": (162, 81),
    "syncfs": (306, 267),
}
# (l, f)getxattr, (l, f)listxattr, getxattrat, listxattrat
_READ_XATTR: tuple[Numbers, ...] = (
    *((191 + n, 8 + n) for n in range(6)),
    *((464 + n, 464 + n) for n in range(2)),
)
_OPEN: Numbers = (2, None)
_OPENAT: Numbers = (257, 56)
_OPENAT2: Numbers = (437, 437)
_KILL: tuple[Numbers, ...] = (
    (62, 129),
    (234, 131),
    (129, 138),
    (297, 240),
)  # kill, tgkill, rt_(tg)sigqueueinfo
_PRCTL: Numbers = (157, 167)
_FCNTL: Numbers = (72, 25)
_IOCTL: Numbers = (16, 29)
_SOCKETPAIR: Numbers = (53, 199)


def lock(pid: int) -> None:
    """Deny this process, whose number is `pid`, all that reaches beyond itself."""
    rules = Filter()
    for numbers in _DENIED.values():
        rules.deny(numbers)
    for numbers in _NEW_PROCESS:
        rules.deny(numbers, errno.EAGAIN)  # as where a limit of processes is reached
    rules.require(seccomp.CLONE, Check(0, (_THREAD,), mask=_THREAD), code=errno.EAGAIN)
    for numbers in _KILL:
        rules.require(numbers, Check(0, (pid,)))
    rules.require(seccomp.PRLIMIT, Check(0, (0, pid)))
    rules.require(_PRCTL, Check(0, _PRCTLS, wanted=False))
    rules.require(_FCNTL, Check(1, _FCNTLS))
    rules.require(_IOCTL, Check(1, _IOCTLS))
    for numbers in _READ_XATTR:
        rules.deny(numbers, errno.EOPNOTSUPP)  # as on file systems without them
    # A connected stream takes no address; a datagram socket could be sent to any.
    rules.require(_SOCKETPAIR, Check(0, (AF_UNIX,)), Check(1, (_SOCK_STREAM,), mask=_SOCK_TYPE))
    rules.require(_OPEN, Check(1, (0,), mask=_TMPFILE), code=errno.EOPNOTSUPP)
    rules.require(_OPENAT, Check(2, (0,), mask=_TMPFILE), code=errno.EOPNOTSUPP)
    rules.deny(_OPENAT2, errno.ENOSYS)  # its flags lie behind a pointer
    rules.install()


class LoneSupervisor(Supervisor):
    """Watches one process, which cannot become two."""

    def __init__(
        self,
        control: socket.socket,
        *,
        mains: dict[str, Any],
        fork_hooks: list[dict[str, Any]],
        oom_score: int,
        place: dict[str, Any],
    ) -> None:
        """`place`: {host: process number of the pool, folder, folder_bytes, listable, readable} (see landlock.py)."""
        seccomp.die_with_parent()
        if os.getppid() != place["host"]:
            os._exit(1)
        seccomp.drop_capabilities()
        self._folder: str = place["folder"]
        self._folder_bytes: int = place["folder_bytes"]
        self._ruleset = wire.set_aside(
            landlock.make_ruleset(
                listable=place["listable"],
                readable=place["readable"],
                writable=[self._folder, os.devnull],
            )
        )
        self._pid = os.getpid()
        self._child: int | None = None  # a descriptor: its number may be another process's by now
        self._counts = ProcessMeter()
        self._mark_untouched()
        super().__init__(
            control,
            uid=None,
            mains=mains,
            languages=[],  # nothing can be executed
            fork_hooks=fork_hooks,
            oom_score=oom_score,
            counts=self._counts,
            scratch=self._folder,
        )

    def _watch(self, child: int) -> tuple[int, int, bool]:
        self._child, self._counts.pid = os.pidfd_open(child), child
        try:
            return super()._watch(child)
        finally:
            os.close(self._child)
            self._child = self._counts.pid = None

    def _exceeds_memory(self) -> bool:
        if self._counts.threads() > self._bounds.processes:
            self._signal_all()
        room = self._bounds.memory_bytes - self._counts.memory_bytes()
        if room < 0 or self._is_clean():
            return room < 0
        room = min(room, self._folder_bytes) - self._counts.deleted_bytes()
        return scratch.bytes_used(self._folder, most=room) > room

    def _limits(self, bounds: wire.Bounds) -> list[ResourceLimit]:
        """Not the number of processes: all of this user's would count."""
        _, everyone = resource.getrlimit(resource.RLIMIT_NPROC)
        return [
            *super()._limits(bounds._replace(processes=everyone)),
            same(resource.RLIMIT_SIGPENDING, 64),  # the user's processes share these, and locked memory
            same(resource.RLIMIT_MEMLOCK, 0),
        ]

    def _drop_user(self) -> None:
        seccomp.die_with_parent()
        if os.getppid() != self._pid:
            os._exit(1)
        landlock.restrict_self(self._ruleset)
        lock(os.getpid())

    def _signal_all(self) -> None:
        if self._child is not None:
            signal.pidfd_send_signal(self._child, signal.SIGKILL)

    def _others_exist(self) -> bool:
        return False

    def _is_clean(self) -> bool:
        """Whether nothing was made in the folder, not even for a moment: programs cannot set times."""
        return os.stat(self._folder).st_mtime_ns == 0

    def _empty(self) -> None:
        scratch.empty(self._folder)
        self._mark_untouched()

    def _mark_untouched(self) -> None:
        os.utime(self._folder, ns=(0, 0))
