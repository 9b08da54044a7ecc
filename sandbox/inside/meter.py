"""What the processes of a cell use: CPU seconds, memory, out-of-memory kills, files.

A container has a cgroup, which bounds memory and counts exactly. Without one the numbers are summed over
/proc, and the supervisor enforces the memory limit itself (`enforced` says which).
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

WRITABLE = ("/tmp", "/dev/shm")
_CGROUP = "/sys/fs/cgroup"
_PAGE = os.sysconf("SC_PAGESIZE")
_INODE_BYTES = 1024  # of kernel memory, about
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Mark:
    cpu: float
    oom_kills: int


def tmpfs_use() -> list[tuple[int, int]]:
    """(pages, inodes) used of each writable place: equal numbers mean that nothing was left there."""
    use = []
    for place in WRITABLE:
        found = os.statvfs(place)
        use.append((found.f_blocks - found.f_bfree, found.f_files - found.f_ffree))
    return use


class CgroupMeter:
    """Counters of the container's own cgroup; it bounds the memory."""

    enforced = True

    def __init__(self) -> None:
        if os.path.exists(f"{_CGROUP}/memory.events"):  # version 2
            self._events = os.open(f"{_CGROUP}/memory.events", os.O_RDONLY)
            self._cpu = os.open(f"{_CGROUP}/cpu.stat", os.O_RDONLY)
            self._cpu_field, self._cpu_unit = b"usage_usec", 1e-6
        else:
            self._events = os.open(f"{_CGROUP}/memory/memory.oom_control", os.O_RDONLY)
            self._cpu = os.open(f"{_CGROUP}/cpuacct/cpuacct.usage", os.O_RDONLY)
            self._cpu_field, self._cpu_unit = b"", 1e-9
        self._mark = Mark(0.0, 0)

    def start(self) -> Mark:
        self._mark = Mark(self._cpu_total(), self._oom_kills())
        return self._mark

    def since(self, mark: Mark) -> tuple[float, int]:
        """(CPU seconds, out-of-memory kills) since `mark`."""
        return self._cpu_total() - mark.cpu, self._oom_kills() - mark.oom_kills

    def cpu_seconds(self) -> float:
        return self._cpu_total() - self._mark.cpu

    def memory_bytes(self) -> int:
        return 0  # the kernel enforces it

    def reaped(self, usage: resource.struct_rusage) -> None:
        """Nothing to add: the cgroup counts the dead too."""

    def _cpu_total(self) -> float:
        return _field(self._cpu, self._cpu_field) * self._cpu_unit

    def _oom_kills(self) -> int:
        return _field(self._events, b"oom_kill")


class ProcMeter:
    """Sums over /proc: what processes whose parents never wait for them used before they died is lost."""

    enforced = False

    def __init__(self) -> None:
        self._of_the_dead = 0.0
        self._baseline_bytes = _anonymous_bytes("self")

    def start(self) -> Mark:
        self._of_the_dead = 0.0
        return Mark(0.0, 0)

    def since(self, mark: Mark) -> tuple[float, int]:
        return self._of_the_dead, 0

    def cpu_seconds(self) -> float:
        return self._of_the_dead + sum(map(_cpu_of, _others()))

    def memory_bytes(self) -> int:
        """Private and shared memory of all processes, beyond what they share with the supervisor; files."""
        files = sum(pages * _PAGE + inodes * _INODE_BYTES for pages, inodes in tmpfs_use())
        return files + sum(max(0, _anonymous_bytes(pid) - self._baseline_bytes) for pid in _others())

    def reaped(self, usage: resource.struct_rusage) -> None:
        self._of_the_dead += usage.ru_utime + usage.ru_stime


Meter = CgroupMeter | ProcMeter


def open_meter() -> Meter:
    try:
        return CgroupMeter()
    except FileNotFoundError:
        return ProcMeter()


def _field(descriptor: int, name: bytes) -> int:
    """The number after `name` in a file of `name number` lines, or the file's only number."""
    content = os.pread(descriptor, 4096, 0)
    if not name:
        return int(content)
    for line in content.splitlines():
        key, _, value = line.partition(b" ")
        if key == name:
            return int(value)
    raise ValueError(f"no field {name.decode()} in cgroup counters")


def _others() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def _anonymous_bytes(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            return 1024 * sum(
                int(line.split()[1]) for line in status if line.startswith(("RssAnon", "RssShmem"))
            )
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked


def _cpu_of(pid: str) -> float:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # own and waited-for children's, user and system
